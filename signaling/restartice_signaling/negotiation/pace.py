"""How fast a connection may negotiate, so that two sides don't keep each other busy for ever."""

import asyncio
import logging
from typing import Final

__all__ = ["Pace"]

logger = logging.getLogger(__name__)

# How many negotiations may follow one another at once, and how many a second after that. A program
# that adds its tracks one by one needs some; Chromium, once it has lost its data section to a
# rollback, asks for a negotiation as soon as one has ended, some 40 times a second.
BURST: Final = 30
RATE: Final = 1.0

ENDLESS: Final = "%s: the two sides negotiate without end: from now on once a second"


class Pace:
    """Tells by how much to put a negotiation off, in seconds.

    Args:
        name: What negotiates, for the log.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        # Whether negotiations are put off, and the warning of that has been given.
        self._endless = False
        self._left = float(BURST)
        self._at: float | None = None

    async def keep(self) -> None:
        """Return when the next negotiation may begin: at once, unless there is no end to it."""
        known = self._endless
        pause = self.pause(asyncio.get_running_loop().time())
        if self._endless and not known:
            logger.warning(ENDLESS, self._name)
        if pause:
            await asyncio.sleep(pause)

    def pause(self, now: float) -> float:
        """Note a negotiation; return for how long to put it off.

        Args:
            now: The time, from any start.
        """
        if self._at is not None:
            self._left = min(BURST, self._left + max(0.0, now - self._at) * RATE)
        self._at = now
        self._left -= 1
        if self._left >= 0:
            # They have rested.
            self._endless = self._endless and self._left < BURST / 2
            return 0.0
        self._endless = True
        return -self._left / RATE
