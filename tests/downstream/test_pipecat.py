"""pipecat-ai's SmallWebRTC connection, with restartice's class in place of aiortc's."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from unittest import mock

import aiortc
import pytest
from aiortc import AudioStreamTrack, RTCSessionDescription, VideoStreamTrack
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection, SmallWebRTCTrack
from pipecat.transports.smallwebrtc.request_handler import (
    SmallWebRTCRequest,
    SmallWebRTCRequestHandler,
)

from connecting import DEADLINE, wait_connected, wait_for_state
from cutting import Cut
from downstream.remote import Remote, receive
from restartice import RTCPeerConnection

PATCHED = "pipecat.transports.smallwebrtc.connection.RTCPeerConnection"
EVENTS = ("connecting", "connected", "disconnected", "failed", "closed", "track-ended")
RESTARTS = 3
# That of Pipecat's transport.
READ_TIMEOUT = 2.0


@pytest.fixture
def ours() -> Iterator[None]:
    with mock.patch(PATCHED, RTCPeerConnection):
        yield


class Bot:
    """Pipecat's end: the handler of a web server's requests, and the connection it makes."""

    def __init__(self) -> None:
        self.handler = SmallWebRTCRequestHandler()
        self.connection: SmallWebRTCConnection | None = None
        self.events: list[str] = []
        self.messages = asyncio.Queue[object]()
        self.pc_ids: list[str] = []

    async def signal(self, offer: RTCSessionDescription) -> RTCSessionDescription:
        """Handle an offer as Pipecat's web server does."""
        pc_id = self.pc_ids[-1] if self.pc_ids else None
        request = SmallWebRTCRequest(sdp=offer.sdp, type=offer.type, pc_id=pc_id)
        response = await self.handler.handle_web_request(request, self._take)
        assert response is not None
        self.pc_ids.append(response["pc_id"])
        return RTCSessionDescription(sdp=response["sdp"], type=response["type"])

    async def _take(self, connection: SmallWebRTCConnection) -> None:
        self.connection = connection
        for name in EVENTS:
            connection.add_event_handler(name, self._noter(name))
        connection.add_event_handler("app-message", self._receive)

    def _noter(self, name: str) -> Callable[..., Awaitable[None]]:
        async def note(*_: object) -> None:
            self.events.append(name)

        return note

    async def _receive(self, _: object, message: object) -> None:
        self.messages.put_nowait(message)

    async def start(self) -> None:
        """Do what Pipecat's pipeline does when it starts: send, receive, count as connected."""
        assert self.connection is not None
        self.connection.replace_audio_track(AudioStreamTrack())
        self.connection.replace_video_track(VideoStreamTrack())
        await self.connection.connect()

    async def receive(self, count: int = 10) -> None:
        """Receive frames of microphone, camera and screen."""
        connection = self.connection
        assert connection is not None
        tracks = (
            connection.audio_input_track(),
            connection.video_input_track(),
            connection.screen_video_input_track(),
        )
        await asyncio.gather(*(receive_as_pipecat(track, count) for track in tracks))

    async def message(self) -> object:
        async with asyncio.timeout(DEADLINE):
            return await self.messages.get()


async def receive_as_pipecat(track: SmallWebRTCTrack, count: int) -> None:
    """Receive frames of a track, asking for each again and again, as Pipecat's transport does.

    Pipecat turns a receiver off 2 s after it was asked last, whether it still waits or not, and
    on when it is asked again.
    """
    async with asyncio.timeout(DEADLINE):
        while count:
            with suppress(TimeoutError):
                await asyncio.wait_for(track.recv(), READ_TIMEOUT)
                count -= 1


@asynccontextmanager
async def call() -> AsyncIterator[tuple[Bot, SmallWebRTCConnection, Remote]]:
    """Connect a page, with microphone, camera and screen, to a bot."""
    bot = Bot()
    async with Remote(bot.signal, "audio", "video", "video") as remote:
        await remote.connect()
        assert bot.connection is not None
        assert isinstance(bot.connection.pc, RTCPeerConnection)
        await wait_connected(bot.connection.pc)
        await bot.start()
        await check(bot, remote)
        yield bot, bot.connection, remote
        await bot.handler.close()


async def check(bot: Bot, remote: Remote) -> None:
    """Check that sound, pictures and messages go both ways."""
    assert bot.connection is not None
    # The bot sends sound and one video.
    await asyncio.gather(bot.receive(), *(receive(track, 10) for track in remote.tracks[:2]))
    remote.channel.send('{"type": "question", "number": 1}')
    assert await bot.message() == {"type": "question", "number": 1}
    bot.connection.send_app_message({"type": "reply"})
    await remote.message("reply")


@pytest.mark.usefixtures("ours")
async def test_the_remote_side_restarts_without_a_new_connection() -> None:
    async with call() as (bot, connection, remote):
        pc, tracks = connection.pc, dict(connection._track_map)
        for _ in range(RESTARTS):
            await remote.restart()
            await check(bot, remote)
        assert connection.pc is pc
        assert connection._track_map == tracks
        assert len(set(bot.pc_ids)) == 1
        assert not {"disconnected", "failed", "closed", "track-ended"} & set(bot.events)


@pytest.mark.usefixtures("ours")
async def test_a_lost_path_is_replaced_without_a_new_connection() -> None:
    async with call() as (bot, connection, remote):
        pc = connection.pc
        for end in (pc, remote.pc):
            Cut(end)
        await wait_for_state(remote.pc, "iceConnectionState", "disconnected")
        await remote.restart()
        await wait_for_state(pc, "connectionState", "connected")
        await check(bot, remote)
        assert connection.pc is pc
        assert not {"failed", "closed", "track-ended"} & set(bot.events)


@pytest.mark.parametrize("theirs", [True, False])
async def test_with_aiortcs_class_a_restart_has_no_effect(*, theirs: bool) -> None:
    bot = Bot()
    with mock.patch(PATCHED, aiortc.RTCPeerConnection if theirs else RTCPeerConnection):
        async with Remote(bot.signal, "audio") as remote:
            await remote.connect()
            before = remote.pc.remoteDescription.sdp
            remote.pc.restartIce()
            await remote.negotiate()
            after = remote.pc.remoteDescription.sdp
            assert (credentials(after) == credentials(before)) is theirs
            await bot.handler.close()


def credentials(sdp: str) -> list[str]:
    """Return the username fragments in a description."""
    return [line for line in sdp.splitlines() if line.startswith("a=ice-ufrag:")]
