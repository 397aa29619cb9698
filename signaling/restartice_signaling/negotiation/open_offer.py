"""Watches the offer that waits for its answer."""

import asyncio
from typing import TYPE_CHECKING, Final

from .matching import content_of, names_another

if TYPE_CHECKING:
    import aiortc

__all__ = ["OpenOffer"]

# The seconds without an answer after which an offer is sent again: first, and at most. They double
# each time.
ANSWER_TIMEOUT: Final = 10.0
LONGEST_TIMEOUT: Final = 60.0


class OpenOffer:
    """Notices an offer that waits too long, and answers to another one, or to it a second time.

    A Negotiator's answer names its offer. Others are matched by their content and number.

    Attributes:
        repeats: How often the offer was sent again.
        ignored: The last offer of the other side that was ignored meanwhile, or None.
    """

    def __init__(self) -> None:
        self.repeats = 0
        self.ignored: aiortc.RTCSessionDescription | None = None
        self._sent = asyncio.Event()
        self._settled = asyncio.Event()
        # The number of further answers that may come for an offer that has been answered.
        self._surplus = 0
        self._last_answer = ""

    @property
    def timeout(self) -> float:
        """The seconds that the offer may wait now."""
        return float(min(ANSWER_TIMEOUT * 2.0 ** min(self.repeats, 10), LONGEST_TIMEOUT))

    def sent(self) -> None:
        """Note that the offer was sent, or waits because the other side can't be reached."""
        self._settled.clear()
        self._sent.set()

    def repeat(self) -> None:
        """Note that the offer is sent again, as no answer came in time."""
        self.repeats += 1
        self.expect_another()

    def expect_another(self) -> None:
        """Note that the offer is sent again, so that a further answer may come."""
        self._surplus += 1

    def settle(self) -> None:
        """Note that the offer was answered or rolled back."""
        self.repeats = 0
        self.ignored = None
        self._settled.set()

    def withdraw(self) -> None:
        """Note that the offer was rolled back, so no further answer comes."""
        self._surplus = 0

    def takes(self, answer: str, signaling_state: str, offer: str | None = None) -> bool:
        """Return whether to apply an answer: False if it isn't the first one to our open offer.

        Args:
            answer: The answer.
            signaling_state: The state of the connection.
            offer: Our open offer, or None.
        """
        content = content_of(answer)
        other = None if offer is None else names_another(answer, offer)
        if other is None:
            other = signaling_state == "stable"
            other = other or (self._surplus > 0 and content == self._last_answer)
        if other:
            self._surplus = max(0, self._surplus - 1)
        else:
            self._last_answer = content
        return not other

    async def wait_overdue(self) -> None:
        """Wait until an offer has waited too long for its answer."""
        while True:
            await self._sent.wait()
            self._sent.clear()
            try:
                async with asyncio.timeout(self.timeout):
                    await self._settled.wait()
            except TimeoutError:
                return
