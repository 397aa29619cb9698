"""Sequence diagrams, written as Mermaid's, drawn as SVG when the documentation is built.

So pages need no program from elsewhere to show them. Of Mermaid's language it knows `participant A
as Name`, `A->>B: text` (dashed with `-->>`), `A->>A: text` and `Note over A,B: text`.
"""

import re
from dataclasses import dataclass
from html import escape
from typing import Final, Self

ROW, TOP = 46, 44
GAP: Final = 24
FONT: Final = 13
# How wide a character is, more or less.
CHARACTER: Final = 6.9
PARTICIPANT: Final = re.compile(r"participant (\w+)(?: as (.+))?$")
NOTE: Final = re.compile(r"Note over (\w+)(?:,\s*(\w+))?: (.+)$")
MESSAGE: Final = re.compile(r"(\w+)(--?>>)(\w+): (.+)$")


@dataclass(frozen=True)
class Step:
    """A message or a note.

    Attributes:
        kind: `"message"`, `"dashed"` or `"note"`.
        start: The lane it begins in, from 0.
        end: The lane it ends in.
        text: What it says.
    """

    kind: str
    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Lanes:
    """Where the participants' lines are, so that every text has room.

    Attributes:
        places: From the left, for each participant.
        width: Of the whole drawing.
    """

    places: list[float]
    width: float

    @classmethod
    def fitting(cls, names: list[str], steps: list[Step]) -> Self:
        """Return lanes that are far enough apart."""
        last = len(names) - 1
        spans = [step for step in steps if step.kind != "note"]
        lane = max(
            (_width(s.text) / max(1, abs(s.end - s.start)) for s in spans if s.start < last),
            default=0.0,
        )
        # A loop's text is beside its lane, a note's around the middle of what it is about.
        right = max((_width(s.text) for s in spans if s.start == s.end == last), default=0.0)
        notes = [(_width(s.text) - lane * (s.end - s.start)) / 2 for s in steps if s not in spans]
        heads = [_width(name) / 2 for name in (names[0], names[-1])]
        left, right = max(*heads, *notes), max(right, *heads, *notes)
        places = [left + lane * place for place in range(len(names))]
        return cls(places, places[-1] + right)


def draw(source: str) -> str:
    """Return a sequence diagram as SVG, in the colors of the page.

    Raises:
        ValueError: A line isn't understood.
    """
    names, steps = read(source)
    lanes = Lanes.fitting(names, steps)
    height = TOP + ROW * (len(steps) + 1)
    parts = [_lane(name, x, height) for name, x in zip(names, lanes.places, strict=True)]
    parts += [_step(step, lanes.places, TOP + ROW * (row + 1)) for row, step in enumerate(steps)]
    title = escape(", ".join(names))
    return (
        f'<svg class="drawing" viewBox="0 0 {lanes.width:.0f} {height}" role="img" '
        f'aria-label="What {title} send to each other" font-size="{FONT}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def read(source: str) -> tuple[list[str], list[Step]]:
    """Return the participants and the steps.

    Raises:
        ValueError: A line isn't understood.
    """
    lanes: dict[str, int] = {}
    names: list[str] = []
    steps: list[Step] = []
    first, *lines = [line.strip() for line in source.strip().splitlines()]
    if first != "sequenceDiagram":
        raise ValueError(f"only sequence diagrams are drawn, not {first!r}")
    for line in filter(None, lines):
        if match := PARTICIPANT.match(line):
            lanes[match[1]] = len(names)
            names.append(match[2] or match[1])
        elif match := NOTE.match(line):
            ends = lanes[match[1]], lanes[match[2] or match[1]]
            steps.append(Step("note", min(ends), max(ends), match[3]))
        elif match := MESSAGE.match(line):
            kind = "dashed" if match[2] == "-->>" else "message"
            steps.append(Step(kind, lanes[match[1]], lanes[match[3]], match[4]))
        else:
            raise ValueError(f"can't draw {line!r}")
    return names, steps


def _width(text: str) -> float:
    return len(text) * CHARACTER + 2 * GAP


def _lane(name: str, x: float, height: int) -> str:
    box = _width(name) - GAP
    return (
        f'<line class="lane" x1="{x:.0f}" y1="{TOP}" x2="{x:.0f}" y2="{height - 12}"/>'
        f'<rect class="head" x="{x - box / 2:.0f}" y="8" width="{box:.0f}" height="30" rx="6"/>'
        f'<text class="name" x="{x:.0f}" y="28" text-anchor="middle">{escape(name)}</text>'
    )


def _step(step: Step, places: list[float], y: int) -> str:
    start, end = places[step.start], places[step.end]
    text = escape(step.text)
    if step.kind == "note":
        width = max(_width(step.text) - GAP, end - start + 2 * GAP if end > start else 0)
        middle = (start + end) / 2
        return (
            f'<rect class="note" x="{middle - width / 2:.0f}" y="{y - 20}" width="{width:.0f}" '
            f'height="28" rx="4"/>'
            f'<text x="{middle:.0f}" y="{y - 2}" text-anchor="middle">{text}</text>'
        )
    if start == end:
        return (
            f'<path class="{step.kind}" d="M{start:.0f} {y - 12} h16 v16 h-8"/>'
            f'<path class="tip" d="M{start:.0f} {y + 4} l9 -5 v10 Z"/>'
            f'<text x="{start + 22:.0f}" y="{y}">{text}</text>'
        )
    tip = end - 9 if end > start else end + 9
    return (
        f'<line class="{step.kind}" x1="{start:.0f}" y1="{y}" x2="{tip:.0f}" y2="{y}"/>'
        f'<path class="tip" d="M{end:.0f} {y} L{tip:.0f} {y - 5} L{tip:.0f} {y + 5} Z"/>'
        f'<text x="{(start + end) / 2:.0f}" y="{y - 7}" text-anchor="middle">{text}</text>'
    )
