"""Accepts traffic from a new port of the peer, such as after its NAT has lost a mapping.

The peer doesn't notice the change, and may send no check for seconds. So we send it a request.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from aioice import stun

from ...seam import CandidatePair, is_signed_success
from .guard import NO_PROOF, Discards, HeldDatagrams, transaction_of

__all__ = ["NewPorts"]

Address = tuple[str, int]

# How often a port is probed, and the pause in seconds. Its traffic is held meanwhile.
TRIES: Final = 4
INTERVAL: Final = 0.25
# How many seconds a port that hasn't answered blocks its place. Each further one doubles the time,
# so that a stranger with many ports makes us probe few of them.
REST: Final = 4.0
LONGEST_REST: Final = 256.0


class Socket(Protocol):
    """A guarded socket."""

    def send_stun(self, message: stun.Message, addr: Address) -> None:
        """Send a message."""

    def prove(self, addr: Address) -> None:
        """Note a signed response to one of our requests from an address."""


class Asking(Protocol):
    """The connection whose peer is probed."""

    remote_password: str | None

    @property
    def selected_pair(self) -> CandidatePair | None:
        """The pair in use."""

    def build_question(self, pair: CandidatePair) -> stun.Message:
        """Make a binding request outside the pair's checks."""


class _Question:
    """A port that is being probed, or hasn't answered."""

    def __init__(self, protocol: Socket, address: Address, request: stun.Message) -> None:
        self.protocol = protocol
        self.address = address
        self.request = request
        self.tries = 0
        # The datagrams held; None when the probe has ended.
        self.held: list[bytes] | None = []
        self.timer: asyncio.TimerHandle | None = None


class NewPorts:
    """Holds traffic from new ports of the selected pair's remote host, and probes these ports.

    Only the peer can answer the probe, as the answer takes its password. Until then the port may be
    a stranger's, so only a few are probed at a time.

    Args:
        connection: The connection.
        discards: Counts dropped datagrams.
        on_move: Called when a port other than the pair's has answered.
    """

    PORTS: Final = 3
    EACH: Final = 32

    def __init__(self, connection: Asking, discards: Discards, on_move: Callable[[], None]) -> None:
        self._connection = connection
        self._discards = discards
        self._on_move = on_move
        self._questions: dict[tuple[Socket, Address], _Question] = {}
        self._unanswered = 0

    def hold(self, protocol: Socket, source: Address, datagram: bytes) -> bool:
        """Hold a datagram if it may be the peer's and there is room; return whether it is held."""
        question = self._questions.get((protocol, source)) or self._open(protocol, source)
        if question is None or question.held is None:
            return False
        if len(question.held) >= self.EACH or len(datagram) > HeldDatagrams.SIZE:
            return False
        question.held.append(datagram)
        return True

    def release(self, protocol: Socket, source: Address) -> list[bytes]:
        """Return the datagrams held from a port that has proved to be the peer's."""
        question = self._questions.get((protocol, source))
        if question is None:
            return []
        held, question.held = question.held or [], None
        self._close(question)
        return held

    def take_response(self, source: Address, datagram: bytes) -> bool:
        """Handle a STUN response; return whether it answers a probe."""
        transaction_id = transaction_of(datagram)
        for question in self._questions.values():
            if question.request.transaction_id == transaction_id:
                return question.address == source and self._take_answer(question, datagram)
        return False

    def stop(self) -> None:
        """Stop probing, and drop all datagrams held."""
        for question in list(self._questions.values()):
            self._drop(question)
            self._close(question)

    def _open(self, protocol: Socket, source: Address) -> _Question | None:
        pair = self._connection.selected_pair
        if pair is None or len(self._questions) >= self.PORTS:
            return None
        in_use: object = pair.protocol
        if in_use is not protocol or pair.remote_addr[0] != source[0]:
            return None
        request = self._connection.build_question(pair)
        assert self._connection.remote_password is not None
        request.add_message_integrity(self._connection.remote_password.encode())
        question = _Question(protocol, source, request)
        self._questions[protocol, source] = question
        self._ask(question)
        return question

    def _ask(self, question: _Question) -> None:
        if question.tries < TRIES:
            question.tries += 1
            question.protocol.send_stun(question.request, question.address)
            self._set_timer(question, INTERVAL, self._ask)
            return
        self._drop(question)
        self._set_timer(question, min(LONGEST_REST, REST * 2**self._unanswered), self._close)
        self._unanswered += 1

    def _set_timer(
        self, question: _Question, delay: float, action: Callable[[_Question], None]
    ) -> None:
        question.timer = asyncio.get_running_loop().call_later(delay, action, question)

    def _take_answer(self, question: _Question, datagram: bytes) -> bool:
        password = self._connection.remote_password
        if password is None or not is_signed_success(datagram, password.encode()):
            return False
        self._unanswered = 0
        # This releases the datagrams held.
        question.protocol.prove(question.address)
        pair = self._connection.selected_pair
        if pair is not None and pair.remote_addr != question.address:
            self._on_move()
        return True

    def _drop(self, question: _Question) -> None:
        if question.held is not None:
            self._discards.add(NO_PROOF, question.address, len(question.held))
            question.held = None

    def _close(self, question: _Question) -> None:
        if question.timer is not None:
            question.timer.cancel()
        self._questions.pop((question.protocol, question.address), None)
