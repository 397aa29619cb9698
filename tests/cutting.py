"""Cutting the path between two peers of one process."""

import asyncio
from typing import Any

from connecting import DEADLINE, Echo, connect, transports
from restartice import IceSettings, RTCPeerConnection
from restartice.ice.connection import IceConnection

QUICK = IceSettings(
    silence_timeout=0.2, probe_timeout=0.2, consent_interval=0.3, consent_lifetime=3.0
)


class Cut:
    """Lets no datagram out of a connection any more, but goes on taking them in."""

    def __init__(self, pc: RTCPeerConnection) -> None:
        connection = ice_connection(pc)
        pair = connection.selected_pair
        assert pair is not None
        protocol: Any = pair.protocol
        self._protocol = protocol
        self._transport: Any = self._protocol.transport
        self._protocol.transport = self
        self.swallowed = 0

    def sendto(self, _data: bytes, _address: tuple[str, int]) -> None:
        """Swallow it."""
        self.swallowed += 1

    def is_closing(self) -> bool:
        closing: bool = self._transport.is_closing()
        return closing

    def close(self) -> None:
        self.heal()
        self._transport.close()

    def heal(self) -> None:
        self._protocol.transport = self._transport


async def connect_measured(near: RTCPeerConnection, far: RTCPeerConnection) -> Echo:
    """Connect two peers, and return when both know how long the way there and back takes.

    Until then they are patient, and one might take a path for dead before it takes it for lost.
    """
    echo = await connect(near, far)
    async with asyncio.timeout(DEADLINE):
        while not all(is_measured(pc) for pc in (near, far)):  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.01)
    return echo


def is_measured(pc: RTCPeerConnection) -> bool:
    watch = ice_connection(pc).watch
    return watch is not None and watch.round_trip_time is not None


def ice_connection(pc: RTCPeerConnection) -> IceConnection:
    connection = transports(pc)[0]._connection
    assert isinstance(connection, IceConnection)
    return connection
