"""Sends requests to STUN and TURN servers, and reports their errors."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from aioice import stun

from ...logs import ObjectLogger
from ...seam import Redirected, hear_redirections
from .redirection import Trail

__all__ = ["ask_for_address", "explain", "within_quota"]

# "If the server could not be reached, errorCode will be set to 701."
UNREACHABLE: Final = 701
QUOTA_REACHED: Final = 486
# How long to wait after a release before the next request, in seconds.
PAUSE: Final = 0.1

T = TypeVar("T")


async def ask_for_address(
    protocol: Any, address: tuple[str, int], log: ObjectLogger
) -> stun.Message:
    """Return the answer of a STUN server, or of the server that it redirects to."""
    trail = Trail(address, log)
    while True:
        request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
        try:
            with hear_redirections(protocol):
                answer: tuple[stun.Message, object] = await protocol.request(request, trail.address)
        except Redirected as hint:
            trail.follow(hint)
        else:
            return answer[0]


async def within_quota(
    allocate: Callable[[], Awaitable[T]], make_room: Callable[[], Awaitable[bool]]
) -> T:
    """Allocate; if the user's quota at the server is used up, release allocations and try again.

    Args:
        allocate: Asks the server for an allocation.
        make_room: Releases an allocation; returns whether there was one.
    """
    while True:
        try:
            return await allocate()
        except stun.TransactionFailed as error:
            if explain(error)[0] != QUOTA_REACHED or not await make_room():
                raise
        await asyncio.sleep(PAUSE)


def explain(error: Exception) -> tuple[int, str]:
    """Return the code and the text of an error event."""
    if isinstance(error, stun.TransactionFailed) and "ERROR-CODE" in error.response.attributes:
        code, text = error.response.attributes["ERROR-CODE"]
        # The text may be padded with zeros.
        return code, text.rstrip("\0")
    if isinstance(error, TimeoutError | stun.TransactionTimeout):
        return UNREACHABLE, "The server did not answer"
    if isinstance(error, KeyError):
        return UNREACHABLE, f"The server's answer lacks {error}"
    return UNREACHABLE, str(error)
