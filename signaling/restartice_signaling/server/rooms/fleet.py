"""Which of the servers that share a Redis are still there, by a clock that doesn't jump."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["Fleet"]

GONE: Final = "gone"
# After a pause of our own, or of Redis, that others were not heard says nothing.
PAUSE: Final = 3.0
# How long one may be silent that is thought to be there.
SILENCE: Final = 3.0


@dataclass
class _Other:
    beat: str
    since: float


class Fleet:
    """What the other servers' counters say: those that don't rise any more belong to dead ones.

    Args:
        own: The name of this server.
        window: For how many seconds the sessions of a dead one are kept.
    """

    def __init__(self, own: str, window: float) -> None:
        self._own = own
        self._window = window
        self._others: dict[str, _Other] = {}
        self._noted: float | None = None

    def note(self, now: float, beats: Mapping[str, str]) -> float:
        """Take what there is to see; return how long nothing was seen before, if it was long."""
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
        """Yield those that seem to be gone."""
        for name, other in self._others.items():
            if other.beat == GONE or now - other.since > SILENCE:
                yield name

    def dead(self, now: float) -> Iterator[str]:
        """Yield those that were gone for so long that nobody comes back to their sessions."""
        for name in self.silent(now):
            if now - self._others[name].since > self._window:
                yield name
