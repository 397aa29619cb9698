"""Losing packets of SCTP that a test has chosen."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import aiortc

# Types of chunks. (RFC 9260 section 3.2)
DATA, INIT, INIT_ACK, COOKIE_ECHO, COOKIE_ACK = 0, 1, 2, 10, 11
I_DATA, I_FORWARD_TSN = 64, 194  # of RFC 8260; I-DATA counts as DATA here
SCTP_HEADER = 12


class Losses:
    """Lets the first packets of some types of chunks that a connection sends get lost.

    Args:
        pc: The connection, which has an SCTP transport already.
        left: How many packets of each type are lost.
    """

    def __init__(self, pc: aiortc.RTCPeerConnection, left: Mapping[int, int]) -> None:
        assert pc.sctp is not None
        self.left = Counter(left)
        self.sent: list[int] = []
        transport: Any = pc.sctp.transport
        self._send = transport._send_data
        transport._send_data = self._lose

    async def _lose(self, packet: bytes) -> None:
        kind = DATA if packet[SCTP_HEADER] == I_DATA else packet[SCTP_HEADER]
        self.sent.append(kind)
        if self.left[kind] > 0:
            self.left[kind] -= 1
        else:
            await self._send(packet)
