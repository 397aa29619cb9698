"""Asking STUN and TURN servers, and what goes wrong with them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from aioice import stun

from ...seam import Redirected, hear_redirections
from .redirection import Trail

__all__ = ["ask_for_address", "explain", "within_quota"]

# "If the server could not be reached, errorCode will be set to 701."
UNREACHABLE: Final = 701
QUOTA_REACHED: Final = 486
# How many seconds there are between two requests for something for which room was made.
PAUSE: Final = 0.1

T = TypeVar("T")


async def ask_for_address(protocol: Any, address: tuple[str, int]) -> stun.Message:
    """Return the answer of a STUN server, or of another one that it names."""
    trail = Trail(address)
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
    """Allocate, after room was made for that, if the user has as much as a server grants.

    Args:
        allocate: Asks the server.
        make_room: Gives something back, if there is something, and says if it is worth another try.
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
        # The phrase may be padded.
        return code, text.rstrip("\0")
    if isinstance(error, TimeoutError | stun.TransactionTimeout):
        return UNREACHABLE, "The server did not answer"
    if isinstance(error, KeyError):
        return UNREACHABLE, f"The server's answer lacks {error}"
    return UNREACHABLE, str(error)
