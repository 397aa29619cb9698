"""A program that has a call by way of a TURN server, and ends right after `await pc.close()`.

Run it with the port of the server, its transport, and whether the nonces that it has told are to be
taken for stale, which they are after some time.
"""

import asyncio
import sys
from typing import Any

import aioice.ice

from restartice import (
    RTCConfiguration,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCPeerConnection,
)


async def main(port: str, transport: str, stale: str) -> None:
    aioice.ice.get_host_addresses = lambda **_: ["127.0.0.1"]
    server = RTCIceServer(
        urls=[f"turn:127.0.0.1:{port}?transport={transport}"],
        username="alice",
        credential="wonderland",
    )
    pc = RTCPeerConnection(RTCConfiguration([server], RTCIceTransportPolicy.RELAY))
    pc.createDataChannel("x")
    await pc.setLocalDescription()
    assert pc.sctp is not None
    ice: Any = pc.sctp.transport.transport
    assert [c.type for c in ice.getLocalCandidates()] == ["relay"]
    if stale == "stale":
        (protocol,) = ice._connection._protocols
        protocol.transport._TurnTransport__inner_protocol.nonce = b"0123456789abcdef"
    await pc.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
