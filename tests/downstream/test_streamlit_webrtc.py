"""streamlit-webrtc's WebRtcWorker, with restartice's class in place of aiortc's."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from threading import Thread
from typing import Any
from unittest import mock

import av
import pytest
from aiortc import RTCConfiguration, RTCSessionDescription
from aiortc.contrib.media import MediaRelay
from streamlit_webrtc.webrtc import WebRtcMode, WebRtcWorker

from connecting import DEADLINE, wait_connected
from downstream.remote import Remote, answer
from restartice import RTCPeerConnection

PATCHED = "streamlit_webrtc.webrtc.RTCPeerConnection"
RESTARTS = 3


@pytest.fixture(autouse=True)
def ours() -> Iterator[None]:
    with mock.patch(PATCHED, RTCPeerConnection):
        yield


class App:
    """A Streamlit script: threads that have no event loop, and a worker that has ours."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.relay = MediaRelay()
        self.worker: Any = None
        self.shapes: list[tuple[int, ...]] = []

    def make_worker(self) -> WebRtcWorker:
        names = inspect.signature(WebRtcWorker.__init__).parameters
        arguments = dict.fromkeys(names, None)
        del arguments["self"]
        return WebRtcWorker(
            **{
                **arguments,
                "mode": WebRtcMode.SENDRECV,
                "rtc_configuration": RTCConfiguration(iceServers=[]),
                "video_frame_callback": self.handle,
                "async_processing": True,
                "video_receiver_size": 4,
                "audio_receiver_size": 4,
                "sendback_video": True,
                "sendback_audio": True,
                "loop": self.loop,
                "relay": self.relay,
            }
        )

    def handle(self, frame: av.VideoFrame) -> av.VideoFrame:
        picture = frame.to_ndarray(format="bgr24")
        self.shapes.append(picture.shape)
        return av.VideoFrame.from_ndarray(picture[::-1, :, :], format="bgr24")

    async def signal(self, offer: RTCSessionDescription) -> RTCSessionDescription:
        """Handle the first offer in threads, as Streamlit does; a worker takes no other."""
        if self.worker is not None:
            return await answer(self.pc, offer)
        self.worker = await asyncio.to_thread(self.make_worker)
        process = self.worker.process_offer
        description = await asyncio.to_thread(process, offer.sdp, offer.type, DEADLINE)
        assert isinstance(description, RTCSessionDescription)
        return description

    @property
    def pc(self) -> RTCPeerConnection:
        assert self.worker is not None
        assert isinstance(self.worker.pc, RTCPeerConnection)
        return self.worker.pc


@asynccontextmanager
async def call() -> AsyncIterator[tuple[App, WebRtcWorker, Remote]]:
    """Connect a page to an app."""
    app = App()
    async with Remote(app.signal, "video", "audio") as remote:
        await remote.connect()
        assert app.worker is not None
        yield app, app.worker, remote
        await asyncio.to_thread(app.worker.stop, DEADLINE)
        assert app.pc.connectionState == "closed"


async def test_a_callback_sees_the_pictures_through_restarts() -> None:
    async with call() as (app, _, remote):
        await remote.receive()
        for _ in range(RESTARTS):
            app.shapes.clear()
            await remote.restart()
            await remote.receive()
            assert app.shapes
            assert set(app.shapes) == {(480, 640, 3)}


async def test_candidates_are_taken_one_by_one() -> None:
    app = App()
    async with Remote(app.signal, "video", "audio") as remote:
        candidates = remote.trickle()
        await remote.negotiate()
        assert app.worker is not None
        named = {str(number): candidate for number, candidate in enumerate(await candidates)}
        app.worker.set_ice_candidates_from_offerer(named)
        await wait_connected(remote.pc, app.pc)
        await remote.receive()
        await asyncio.to_thread(app.worker.stop, DEADLINE)


async def test_decoder_threads_are_stopped_from_other_threads() -> None:
    async with call() as (app, worker, remote):
        await remote.receive()
        decoders = [decoder_thread(t.receiver) for t in app.pc.getTransceivers()]
        assert all(decoder.is_alive() for decoder in decoders)
        await asyncio.to_thread(worker.stop, DEADLINE)
        assert not any(decoder.is_alive() for decoder in decoders)


def decoder_thread(receiver: Any) -> Thread:
    """Return the thread that streamlit-webrtc ends by a private method of aiortc's."""
    thread: Thread = receiver._RTCRtpReceiver__decoder_thread
    return thread
