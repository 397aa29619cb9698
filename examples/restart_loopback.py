"""An ICE restart between two peers of one program: the shortest example."""

import asyncio

from restartice import IceSettings, RTCPeerConnection


async def negotiate(near: RTCPeerConnection, far: RTCPeerConnection) -> str:
    """Exchange offer and answer; return the line with the near side's username fragment."""
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    return next(line for line in near.localDescription.sdp.split() if "ice-ufrag" in line)


async def main() -> None:
    """Connect, restart ICE, and use the same data channel again."""
    settings = IceSettings(loopback_candidates=True)
    near, far = (RTCPeerConnection(iceSettings=settings) for _ in range(2))
    echoes: asyncio.Queue[str] = asyncio.Queue()
    channel = near.createDataChannel("echo")
    channel.on("open", lambda: channel.send("hello"))
    channel.on("message", echoes.put_nowait)
    far.on("datachannel", lambda far_end: far_end.on("message", far_end.send))

    print("before:", await negotiate(near, far), await echoes.get())
    near.restartIce()
    ufrag = await negotiate(near, far)
    channel.send("hello again, on the same channel")
    print("after: ", ufrag, await echoes.get())
    await asyncio.gather(near.close(), far.close())


if __name__ == "__main__":
    asyncio.run(main())
