"""The offer that waits for its answer."""

import asyncio
from typing import TYPE_CHECKING, Final

from .politeness import content_of

if TYPE_CHECKING:
    import aiortc

__all__ = ["OpenOffer"]

# After how many seconds without an answer an offer is sent again, doubled each time, up to the
# second number.
ANSWER_TIMEOUT: Final = 10.0
LONGEST_TIMEOUT: Final = 60.0


class OpenOffer:
    """Tells when our offer waits too long, and which answers belong to copies of it.

    Attributes:
        repeats: How often the offer was sent again.
        ignored: The last offer of the other side that was ignored meanwhile.
    """

    def __init__(self) -> None:
        self.repeats = 0
        self.ignored: aiortc.RTCSessionDescription | None = None
        self._sent = asyncio.Event()
        self._settled = asyncio.Event()
        # How many answers may still come in for an offer that has been answered.
        self._surplus = 0
        self._last_answer = ""

    @property
    def timeout(self) -> float:
        """For how many seconds the offer may wait now."""
        return float(min(ANSWER_TIMEOUT * 2.0 ** min(self.repeats, 10), LONGEST_TIMEOUT))

    def sent(self) -> None:
        """Note that the offer was sent, or that it waits for a reason that is known."""
        self._settled.clear()
        self._sent.set()

    def repeat(self) -> None:
        """Note that the offer is sent once more, so that it may be answered once more."""
        self.repeats += 1
        self._surplus += 1

    def settle(self) -> None:
        """Note that the offer was answered or taken back."""
        self.repeats = 0
        self.ignored = None
        self._settled.set()

    def withdraw(self) -> None:
        """Note that the offer was taken back, so that nobody answers it."""
        self._surplus = 0

    def takes(self, answer: str, signaling_state: str) -> bool:
        """Return whether to apply an answer, which isn't a second one to the same offer."""
        content = content_of(answer)
        second = signaling_state == "stable" or (self._surplus > 0 and content == self._last_answer)
        if second:
            self._surplus = max(0, self._surplus - 1)
        else:
            self._last_answer = content
        return not second

    async def wait_overdue(self) -> None:
        """Return when an offer has waited too long for its answer."""
        while True:
            await self._sent.wait()
            self._sent.clear()
            try:
                async with asyncio.timeout(self.timeout):
                    await self._settled.wait()
            except TimeoutError:
                return
