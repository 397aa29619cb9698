"""Tells which of the servers that share a Redis are alive, by a clock that doesn't jump."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["Fleet"]

GONE: Final = "gone"
# After a pause of this server or of Redis, the silence of other servers means nothing.
PAUSE: Final = 3.0
# The silence after which a server seems to be gone, in seconds.
SILENCE: Final = 3.0


@dataclass
class _Other:
    beat: str
    since: float


class Fleet:
    """Watches the counters of the other servers: a counter that doesn't rise is of a dead server.

    Args:
        own: The name of this server.
        window: How many seconds the sessions of a dead server are kept.
    """

    def __init__(self, own: str, window: float) -> None:
        self._own = own
        self._window = window
        self._others: dict[str, _Other] = {}
        self._noted: float | None = None

    def note(self, now: float, beats: Mapping[str, str]) -> float:
        """Note the counters; return the seconds since the last call, or 0 if they were few."""
        pause = 0.0 if self._noted is None else now - self._noted
        pause = pause if pause > PAUSE else 0.0
        self._noted = now
        self._others = {name: other for name, other in self._others.items() if name in beats}
        for name, beat in beats.items():
            if name == self._own:
                continue
            other = self._others.get(name)
            if other is None or other.beat != beat:
                self._others[name] = _Other(beat, now)
            else:
                other.since += pause
        return pause

    def silent(self, now: float) -> Iterator[str]:
        """Yield the servers that seem to be gone."""
        for name, other in self._others.items():
            if other.beat == GONE or now - other.since > SILENCE:
                yield name

    def dead(self, now: float) -> Iterator[str]:
        """Yield the servers that are gone for longer than the window."""
        for name in self.silent(now):
            if now - self._others[name].since > self._window:
                yield name
