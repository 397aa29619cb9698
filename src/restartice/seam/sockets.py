"""The private names of aioice's sockets."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import aioice.ice
import aioice.turn

from ..logs import ObjectLogger
from .names import as_defined, require

if TYPE_CHECKING:
    from aioice.ice import StunProtocol
else:
    # Programs put subclasses in its place, which only make_socket() is to see.
    StunProtocol = as_defined(aioice.ice.StunProtocol)

__all__ = ["StunProtocol", "is_aioices", "is_closing", "make_socket", "without_errors"]

Take = Callable[[bytes, Any], None]

for _name in ("receiver", "request", "send_stun", "transactions"):
    require(StunProtocol, _name)


def make_socket(receiver: Any) -> StunProtocol:
    """Return a new socket of a connection, made as aioice makes it, in ways that may be patched."""
    return aioice.ice.StunProtocol(receiver)


def is_closing(protocol: Any) -> bool:
    """Return whether a socket is closed, or about to be; a relayed address's only drops things."""
    relayed = isinstance(protocol.transport, aioice.turn.TurnTransport)
    return not relayed and protocol.transport.is_closing()


def is_aioices(method: Callable[..., Any]) -> bool:
    """Return whether a method of a connection is aioice's, not one that a program has replaced."""
    code = getattr(method, "__code__", None)
    return code is not None and code.co_filename == aioice.ice.__file__


def without_errors(take: Take, log: ObjectLogger) -> Take:
    """Return a function that drops the datagrams with which something goes wrong."""

    def take_or_drop(data: bytes, addr: Any) -> None:
        try:
            take(data, addr)
        except Exception as error:  # noqa: BLE001  whatever is in there
            log.debug("dropped a datagram from %s: %s", addr, type(error).__name__)

    return take_or_drop
