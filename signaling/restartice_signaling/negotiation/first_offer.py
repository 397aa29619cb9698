"""Who of two makes the first offer, so that it doesn't collide with the other side's."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from restartice import RTCPeerConnection

    from .channel import RoomChannel

__all__ = ["FirstOffer"]

# For how many seconds since it came the newcomer is left the first offer: a round trip to the
# server, and what a browser needs to make one.
PATIENCE: Final = 0.3


class FirstOffer:
    """Leaves the first offer to who came later into the room.

    Both sides learn at the same time that they are two, and mostly both have something to offer.
    The later one is polite, so that it would have to take its offer back, after which Chromium
    loses its data channels for good, or numbers header extensions so that it refuses its own offer.
    If the newcomer makes no offer, ours is made a little later.

    Args:
        pc: The connection.
        room: The room, or None if the signaling has none.
    """

    def __init__(self, pc: "RTCPeerConnection", room: "RoomChannel | None") -> None:
        self._pc = pc
        self._room = room
        self._came = asyncio.Event()
        self._since: dict[str, float] = {}

    def note_peer(self, instance: str) -> None:
        """Note that another side is there."""
        self._since.setdefault(instance, asyncio.get_running_loop().time())

    def note_offer(self) -> None:
        """Note that the other side has made an offer."""
        self._came.set()

    async def wait(self) -> None:
        """Return when it is our turn: at once, unless a newcomer may be about to make an offer."""
        peers = () if self._room is None else self._room.peers.values()
        for info in peers:
            self.note_peer(info.instance)
        newcomers = [info for info in peers if info.polite is False and info.state == "joined"]
        if len(newcomers) != 1 or self._pc.currentRemoteDescription is not None:
            return
        until = self._since[newcomers[0].instance] + PATIENCE
        if asyncio.get_running_loop().time() < until:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    await self._came.wait()
