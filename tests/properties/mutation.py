"""Breaking text as programs, networks and people do: at random, but the same each time."""

import random
from collections.abc import Callable, Sequence
from typing import Any

ODDITIES = (
    "",
    " ",
    "-1",
    "0",
    "1",
    "255",
    "256",
    "65535",
    "65536",
    "4294967296",
    "9" * 30,
    "9" * 5000,
    "1.5",
    "0x10",
    "\N{ARABIC-INDIC DIGIT FIVE}",
    "\N{SUPERSCRIPT TWO}",
    "\N{SNOWMAN}",
    "\ud800",
    "\x00",
    "\x85",
    "\u2028",
    "\r",
    "*",
    "/",
    ":",
    ";",
    "=",
    "=;=",
    "%s",
    "nul\x00l",
    "a" * 300,
    "udp",
    "tcp",
    "::1",
    "127.0.0.1",
    "127.0.0.1%lo",
    "fe80::1%1",
    "0.0.0.0",  # noqa: S104  nothing is bound to it
    "255.255.255.255",
    "IN IP6 ::",
    "active",
    "inactive",
    "holdconn",
)
SEPARATORS = " :/;=,"


class Mutator:
    """Mutates text line by line, and token by token.

    Args:
        seed: Whatever the changes depend on, or what makes the choices.
        material: Texts whose lines are inserted.
    """

    def __init__(self, seed: object, material: Sequence[str]) -> None:
        self.random = seed if isinstance(seed, random.Random) else random.Random(str(seed))
        self._lines = [line for text in material for line in text.splitlines()]

    def mutate(self, text: str) -> str:
        """Return the text with one to four changes."""
        lines = text.splitlines()
        for _ in range(self.random.choice((1, 1, 1, 2, 3, 4))):
            lines = self.random.choice(self._changes)(self, lines) or [""]
        end = self.random.choice(("\r\n",) * 20 + ("\n", "\r"))
        whole = "".join(f"{line}{end}" for line in lines)
        return whole[: self.random.randrange(len(whole) + 1)] if self._seldom() else whole

    def change_token(self, line: str) -> str:
        """Return a line in which something between two separators is another thing."""
        marks = [n for n, character in enumerate(line) if character in SEPARATORS]
        bounds = [-1, *marks, len(line)]
        place = self.random.randrange(len(bounds) - 1)
        before, after = line[: bounds[place] + 1], line[bounds[place + 1] :]
        return f"{before}{self.random.choice(ODDITIES)}{after}"

    def change_character(self, line: str) -> str:
        """Return a line with a character more, less, or another one."""
        place = self.random.randrange(len(line) + 1)
        added = self.random.choice(("", chr(self.random.randrange(1, 128)), "\N{SNOWMAN}"))
        return f"{line[:place]}{added}{line[place + self.random.randrange(2) :]}"

    def _seldom(self) -> bool:
        return self.random.random() < 0.05

    def _place(self, lines: list[str]) -> int:
        return self.random.randrange(len(lines))

    def _leave_out(self, lines: list[str]) -> list[str]:
        place = self._place(lines)
        return [*lines[:place], *lines[place + 1 :]]

    def _double(self, lines: list[str]) -> list[str]:
        place = self._place(lines)
        return [*lines[:place], lines[place], *lines[place:]]

    def _move(self, lines: list[str]) -> list[str]:
        moved = lines[self._place(lines)]
        rest = [line for line in lines if line is not moved]
        place = self.random.randrange(len(rest) + 1)
        return [*rest[:place], moved, *rest[place:]]

    def _insert(self, lines: list[str]) -> list[str]:
        place = self._place(lines)
        return [*lines[:place], self.random.choice(self._lines), *lines[place:]]

    def _replace(self, lines: list[str]) -> list[str]:
        place = self._place(lines)
        return [*lines[:place], self.random.choice(self._lines), *lines[place + 1 :]]

    def _change(self, lines: list[str]) -> list[str]:
        place = self._place(lines)
        how = self.random.choice((self.change_token, self.change_token, self.change_character))
        return [*lines[:place], how(lines[place]), *lines[place + 1 :]]

    def _cut(self, lines: list[str]) -> list[str]:
        place = self._place(lines)
        line = lines[place]
        return [*lines[:place], line[: self.random.randrange(len(line) + 1)], *lines[place + 1 :]]

    def _double_section(self, lines: list[str]) -> list[str]:
        begin, end = self._section(lines)
        return [*lines, *lines[begin:end]]

    def _leave_out_section(self, lines: list[str]) -> list[str]:
        begin, end = self._section(lines)
        return [*lines[:begin], *lines[end:]]

    def _leave_out_attribute(self, lines: list[str]) -> list[str]:
        name = lines[self._place(lines)].partition(":")[0]
        return [line for line in lines if line.partition(":")[0] != name]

    def _section(self, lines: list[str]) -> tuple[int, int]:
        starts = [n for n, line in enumerate(lines) if line.startswith("m=")] or [0]
        place = self.random.randrange(len(starts))
        return starts[place], [*starts, len(lines)][place + 1]

    _changes: tuple[Callable[[Any, list[str]], list[str]], ...] = (
        *(_change,) * 10,
        _leave_out,
        _leave_out,
        _double,
        _move,
        _insert,
        _replace,
        _cut,
        _double_section,
        _leave_out_section,
        _leave_out_attribute,
    )
