"""STUN requests on pairs, whose answers are received without a task for each."""

from collections.abc import Callable
from typing import Any, Protocol

from aioice import stun

from ...seam import (
    CandidatePair,
    forget_transaction,
    is_closing,
    is_role_conflict,
    is_signed,
    numbered,
    send_request,
)

__all__ = ["Asking", "PendingRequest", "Questions"]


class PendingRequest:
    """A request whose answer is accepted however late it comes, if the peer has signed it."""

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
        """Handle a response; called by aioice."""
        if address == self.pair.remote_addr and is_signed(message, self._key):
            self._on_response(self, message)


class Asking(Protocol):
    """The connection whose peer is probed."""

    remote_password: str | None

    def build_request(self, pair: CandidatePair, nominate: bool) -> stun.Message:
        """Make a binding request."""

    def switch_role(self, ice_controlling: bool) -> None:
        """Become controlling or controlled."""


class Questions:
    """Sends single requests on pairs, and accepts their answers however late they come.

    Args:
        connection: The connection.
        on_answer: Called with the pair that answered, and the time of the request.
    """

    def __init__(
        self, connection: Asking, on_answer: Callable[[CandidatePair, float], None]
    ) -> None:
        self._connection = connection
        self._on_answer = on_answer
        self._pending: dict[bytes, PendingRequest] = {}

    def ask(
        self, pair: CandidatePair, now: float, lifetime: float, nomination: int | None = None
    ) -> None:
        """Send a request, unless the socket is closed.

        Args:
            pair: The pair.
            now: The time.
            lifetime: How long to wait for an answer, in seconds.
            nomination: The nomination number, or None for a plain check.
        """
        password = self._connection.remote_password
        if password is None or is_closing(pair.protocol):
            return
        for transaction_id, pending in list(self._pending.items()):
            if now - pending.asked_at > lifetime:
                self._forget(transaction_id)
        request = self._connection.build_request(pair, nominate=nomination is not None)
        if nomination is not None:
            request = numbered(request, nomination)
        key = password.encode()
        pending = PendingRequest(pair, request, key, now, self._take_response)
        self._pending[request.transaction_id] = pending
        send_request(pair, request, key, pending)

    def stop(self) -> None:
        """Ignore all further answers."""
        for transaction_id in list(self._pending):
            self._forget(transaction_id)

    def _take_response(self, request: PendingRequest, response: stun.Message) -> None:
        self._forget(response.transaction_id)
        if response.message_class is stun.Class.RESPONSE:
            # From now on, traffic from there is accepted as the peer's.
            socket: Any = request.pair.protocol
            socket.prove(request.pair.remote_addr)
            self._on_answer(request.pair, request.asked_at)
        elif is_role_conflict(response):
            controlled = "ICE-CONTROLLED" in request.request.attributes
            self._connection.switch_role(ice_controlling=controlled)

    def _forget(self, transaction_id: bytes) -> None:
        pending = self._pending.pop(transaction_id)
        forget_transaction(pending.pair, transaction_id)
