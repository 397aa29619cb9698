"""Two connections that tell each other `.local` names in place of addresses, as browsers do.

Usage: `names.py ADDRESS published|unknown`. Each name is published by multicast DNS in this
process, or the address is told beside it; and beside either, a name that nobody knows.
"""

import asyncio
import json
import sys

import aioice.ice
from aioice import mdns

from restartice import RTCConfiguration, RTCIceCandidate, RTCPeerConnection


def tell(event: str, **values: object) -> None:
    """Print an event."""
    print(json.dumps({"event": event, **values}), flush=True)


async def hand_over(
    source: RTCPeerConnection, to: RTCPeerConnection, protocol: mdns.MDnsProtocol | None
) -> asyncio.Task[None]:
    """Hand candidates on under names in place of their addresses."""
    candidates: asyncio.Queue[RTCIceCandidate | None] = asyncio.Queue()
    source.on("icecandidate", candidates.put_nowait)
    await source.setLocalDescription()
    await to.setRemoteDescription(source.localDescription)

    async def hand() -> None:
        unknown = mdns.create_mdns_hostname()
        while (candidate := await candidates.get()) is not None:
            if candidate.candidate:
                known = candidate.ip
                if protocol is not None:
                    known = mdns.create_mdns_hostname()
                    await protocol.publish(known, candidate.ip)
                for host in (unknown, known):
                    init = candidate.toJSON()
                    init["candidate"] = init["candidate"].replace(candidate.ip, host)
                    await to.addIceCandidate(init)
            else:
                await to.addIceCandidate(candidate.toJSON())

    return asyncio.create_task(hand())


def remote_addresses(pc: RTCPeerConnection) -> list[str]:
    """Return what a connection calls the addresses of the other one."""
    assert pc.sctp is not None
    return [candidate.ip for candidate in pc.sctp.transport.transport.getRemoteCandidates()]


async def main(address: str, *, publish: bool) -> None:
    """Connect, then restart."""
    aioice.ice.get_host_addresses = lambda **_: [address]
    protocol = await mdns.create_mdns_protocol() if publish else None
    configuration = RTCConfiguration(iceServers=[])
    near, far = RTCPeerConnection(configuration), RTCPeerConnection(configuration)
    opened, completed = asyncio.Event(), asyncio.Event()

    @near.on("iceconnectionstatechange")
    def note_completion() -> None:
        if near.iceConnectionState == "completed":
            completed.set()
        else:
            completed.clear()

    near.createDataChannel("x").on("open", opened.set)
    for _ in range(2):
        handing = [await hand_over(near, far, protocol), await hand_over(far, near, protocol)]
        await asyncio.gather(*handing)
        await opened.wait()
        await completed.wait()
        tell("connected", remote=remote_addresses(near))
        near.restartIce()
    await asyncio.gather(near.close(), far.close())
    if protocol is not None:
        await protocol.close()
    tell("closed")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], publish=sys.argv[2] == "published"))
