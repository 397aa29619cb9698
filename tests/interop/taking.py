"""Who takes which description of the corpus, and the table of that."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from descriptions import Entry
from interop.process import End, PeerError, PeerProcess
from interop.stacks import WE, Stack

TABLE: Final = Path(__file__).parent / "DESCRIPTIONS.md"
BEGIN: Final = "<!-- Written by .ci/interop. -->"
REFUSED: Final = "refused"
ACCEPTED, REJECTED = "✓", "✗"
SECTION: Final = re.compile(r"^m=(\w+) (\d+) ", re.MULTILINE)
OURS: Final = Stack("restartice", "restartice", WE)


@dataclass(frozen=True)
class Outcome:
    """What a stack makes of a description.

    Attributes:
        sections: For each section whether it is accepted, or None if all is refused.
        error: Why all is refused.
    """

    sections: tuple[bool, ...] | None
    error: str = ""

    def cell(self) -> str:
        """Return what the table says."""
        if self.sections is None:
            return REFUSED
        return " ".join(ACCEPTED if accepted else REJECTED for accepted in self.sections)


def key(entry: Entry) -> str:
    """Return what a description is called."""
    return f"{entry.kind} {entry.name}"


async def take(process: PeerProcess, entry: Entry) -> Outcome:
    """Give a description to a new connection of a peer; return what comes of it."""
    end = await process.new()
    try:
        return await (_take_offer(end, entry) if entry.kind == "offer" else _answer(end, entry))
    finally:
        await end.do("close")


async def _take_offer(end: End, entry: Entry) -> Outcome:
    try:
        await end.do("remote", description={"type": "offer", "sdp": entry.sdp()})
        answer = await end.do("local")
    except PeerError as error:
        return Outcome(None, str(error))
    return Outcome(_accepted(answer["sdp"]))


async def _answer(end: End, entry: Entry) -> Outcome:
    for offered in entry.offered:
        kind, _, direction = offered.partition(" ")
        if kind == "application":
            await end.do("channel")
        else:
            await end.do("transceiver", kind=kind, direction=direction or "sendrecv")
    offer = await end.do("local")
    sdp = entry.sdp(offer["sdp"])
    try:
        await end.do("remote", description={"type": "answer", "sdp": sdp})
    except PeerError as error:
        return Outcome(None, str(error))
    return Outcome(_accepted(sdp))


def _accepted(answer: str) -> tuple[bool, ...]:
    return tuple(port != "0" for _, port in SECTION.findall(answer))


def kinds(entry: Entry) -> list[str]:
    """Return the kinds of a description's sections."""
    return [kind for kind, _ in SECTION.findall(entry.sdp())]


def less_than(ours: Outcome, theirs: Outcome) -> bool:
    """Return whether we take less than another stack."""
    if theirs.sections is None or ours.sections is None:
        return theirs.sections is not None
    return any(they and not we for we, they in zip(ours.sections, theirs.sections, strict=True))


def table(entries: list[Entry], outcomes: dict[str, dict[str, Outcome]], version: str) -> str:
    """Return the table as Markdown.

    Args:
        entries: The descriptions.
        outcomes: What became of each, by the name of the stack and that of the description.
        version: That of the stacks, as a sentence.
    """
    lines = [version]
    for kind in ("offer", "answer"):
        heading = ["", *outcomes, "product", "what is remarkable"]
        lines += ["", f"## {kind.capitalize()}s", "", _row(heading)]
        lines += [_row(["---"] * len(heading))]
        for entry in (entry for entry in entries if entry.kind == kind):
            cells = [outcomes[stack][key(entry)].cell() for stack in outcomes]
            lines.append(_row([entry.name, *cells, entry.product, entry.special]))
    reasons = [entry for entry in entries if entry.unlike_chromium]
    if reasons:
        lines += ["", "## What Chromium takes and we don't", ""]
        lines += [f"- {key(e)}: {e.unlike_chromium}" for e in reasons]
    return "\n".join(lines) + "\n"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
