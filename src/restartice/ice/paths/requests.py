"""Requests whose answers are waited for without a task of their own."""

from collections.abc import Callable

from aioice import stun

from ...seam import CandidatePair, is_signed

__all__ = ["PendingRequest"]


class PendingRequest:
    """A request whose answer is accepted however late it is, if the right peer has signed it."""

    def __init__(
        self,
        pair: CandidatePair,
        request: stun.Message,
        key: bytes,
        asked_at: float,
        on_response: Callable[["PendingRequest", stun.Message], None],
    ) -> None:
        self.pair = pair
        self.request = request
        self.asked_at = asked_at
        self._key = key
        self._on_response = on_response

    def response_received(self, message: stun.Message, address: tuple[str, int]) -> None:
        """Take a response; called by aioice."""
        if address == self.pair.remote_addr and is_signed(message, self._key):
            self._on_response(self, message)
