"""Cutting the path between two peers of one process."""

from typing import Any

from connecting import transports
from restartice import IceSettings, RTCPeerConnection
from restartice.iceconnection import IceConnection

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

    def close(self) -> None:
        self.heal()
        self._transport.close()

    def heal(self) -> None:
        self._protocol.transport = self._transport


def ice_connection(pc: RTCPeerConnection) -> IceConnection:
    connection = transports(pc)[0]._connection
    assert isinstance(connection, IceConnection)
    return connection
