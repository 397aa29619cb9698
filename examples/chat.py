"""A chat between two programs that survives the loss of its network.

Start a signaling server, and then this program twice, on one machine or on two:

    python -m restartice_signaling
    python examples/chat.py

Each line that you type in one appears in the other. `/restart` restarts ICE. The loss of the
address in use restarts it, too: disconnect the network, or change it, and keep typing.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator

from restartice import IceSettings, RTCDataChannel, RTCPeerConnection
from restartice_signaling import Negotiator, RestartEvent, SignalingError, WebSocketSignaling


async def typed_lines() -> AsyncIterator[str]:
    """Yield the typed lines, until the end of the input."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    async for line in reader:
        yield line.decode().rstrip("\n")


async def talk(pc: RTCPeerConnection, channel: RTCDataChannel) -> None:
    """Send the typed lines."""
    async for line in typed_lines():
        if line == "/restart":
            pc.restartIce()
        else:
            # Arrives after a restart if there is no network now.
            channel.send(line)


def show_restart(event: RestartEvent) -> None:
    """Print an event of a restart."""
    print("*", event, flush=True)


async def chat(url: str, room: str) -> None:
    """Chat with the other program in a room until one of them ends."""
    # Loopback, so that this also works on a machine without a network.
    pc = RTCPeerConnection(iceSettings=IceSettings(loopback_candidates=True))
    try:
        async with (
            WebSocketSignaling(url, room=room) as signaling,
            Negotiator(pc, signaling, on_restart=show_restart),
        ):
            # Both sides create the same channel, so either may start first.
            channel = pc.createDataChannel("chat", negotiated=True, id=0)
            opened = asyncio.Event()
            channel.on("open", opened.set)
            channel.on("message", lambda text: print(">", text, flush=True))
            print("* waiting for the other program", flush=True)
            await opened.wait()
            print("* connected", flush=True)
            talking = asyncio.create_task(talk(pc, channel))
            channel.on("close", talking.cancel)
            await asyncio.wait([talking])
    finally:
        await pc.close()


def main() -> int:
    """Read the command line, and chat; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--url", default="ws://127.0.0.1:8765", help="the URL of the signaling server (%(default)s)"
    )
    parser.add_argument("--room", default="chat", help="the name of the room (%(default)s)")
    options = parser.parse_args()
    try:
        asyncio.run(chat(options.url, options.room))
    except KeyboardInterrupt:
        return 130
    except SignalingError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
