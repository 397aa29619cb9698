"""A robot with a camera, and its viewers, all of which may come, go and be restarted.

Start a signaling server, the robot, and as many viewers as you like, on one machine or on several:

    python -m restartice_signaling
    python examples/robot.py
    python examples/robot.py --view

End any of them, even with `kill -9`, and start it again: the pictures come again.
"""

import argparse
import asyncio
import sys

from aiortc import MediaStreamError, MediaStreamTrack
from aiortc.contrib.media import MediaPlayer, MediaRelay

from restartice import IceSettings, RTCPeerConnection, VideoStreamTrack
from restartice_signaling import PeerConnections, PeerInfo, SignalingError, WebSocketSignaling

ROBOT = "robot"


def connection() -> RTCPeerConnection:
    """Make a connection that also works on a machine without a network."""
    return RTCPeerConnection(iceSettings=IceSettings(loopback_candidates=True))


def stop_sending(pc: RTCPeerConnection, peer: PeerInfo) -> None:
    """Let the camera know that a viewer is gone."""
    print(f"* {peer.peer} is gone", flush=True)
    for sender in pc.getSenders():
        if sender.track is not None:
            sender.track.stop()


async def show(url: str, room: str, device: str | None) -> None:
    """Send the camera's picture to each viewer, as long as the signaling lasts."""
    relay = MediaRelay()
    camera = MediaPlayer(device).video if device else VideoStreamTrack()
    if camera is None:
        raise ValueError(f"{device} has no video")

    def prepare(pc: RTCPeerConnection, peer: PeerInfo) -> None:
        print(f"* {peer.peer} has come", flush=True)
        pc.addTrack(relay.subscribe(camera, buffered=False))

    async with (
        WebSocketSignaling(url, room=room, peer=ROBOT) as signaling,
        PeerConnections(
            signaling, prepare, on_gone=stop_sending, connection=connection
        ) as connections,
    ):
        await connections.wait_closed()


async def watch(track: MediaStreamTrack) -> None:
    """Print when the first picture comes, and when the last one has come."""
    pictures = 0
    try:
        while True:
            await track.recv()
            pictures += 1
            if pictures == 1:
                print("* the robot shows a picture", flush=True)
    except MediaStreamError:
        print(f"* the robot is gone after {pictures} pictures", flush=True)


async def view(url: str, room: str) -> None:
    """Watch the robot, whenever it is there."""
    tasks = set()

    def receive(track: MediaStreamTrack) -> None:
        task = asyncio.create_task(watch(track))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def prepare(pc: RTCPeerConnection, _: PeerInfo) -> None:
        pc.on("track", receive)

    async with (
        WebSocketSignaling(url, room=room) as signaling,
        PeerConnections(
            signaling,
            prepare,
            wanted=lambda peer: peer.peer == ROBOT,  # and not to the other viewers
            connection=connection,
        ) as connections,
    ):
        print("* waiting for the robot", flush=True)
        await connections.wait_closed()


def main() -> int:
    """Read the command line, and be the robot or a viewer; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--url", default="ws://127.0.0.1:8765", help="the URL of the signaling server (%(default)s)"
    )
    parser.add_argument("--room", default="robot-7", help="the name of the room (%(default)s)")
    parser.add_argument("--view", action="store_true", help="be a viewer")
    parser.add_argument("--camera", help="a device such as /dev/video0, or a file, to be shown")
    options = parser.parse_args()
    try:
        if options.view:
            asyncio.run(view(options.url, options.room))
        else:
            asyncio.run(show(options.url, options.room, options.camera))
    except KeyboardInterrupt:
        return 130
    except SignalingError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
