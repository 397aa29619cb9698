"""The other end of a call, in a process that a test kills: it takes an offer, and answers it.

python -m vanishing     with the offer as JSON on a line of stdin, and the answer on stdout
"""

import asyncio
import json
import sys

from restartice import (
    AudioStreamTrack,
    IceSettings,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)


async def main() -> None:
    """Answer, and stay until killed."""
    settings = IceSettings(interfaces=[], loopback_candidates=True)
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]), iceSettings=settings)
    pc.addTrack(AudioStreamTrack())
    pc.addTrack(VideoStreamTrack())
    await pc.setRemoteDescription(RTCSessionDescription(**json.loads(sys.stdin.readline())))
    await pc.setLocalDescription()
    print(json.dumps(vars(pc.localDescription)), flush=True)
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main())
