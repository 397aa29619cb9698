"""Media and data go on at once when a path works again."""

import asyncio

import aiortc
from aiortc import VideoStreamTrack
from av.frame import Frame

from conftest import Factory
from connecting import negotiate, wait_connected, wait_for_state
from cutting import QUICK, Cut, connect_measured, ice_connection
from owntime import own_time
from restartice import RTCPeerConnection, RTCRtpSender


class Viewer:
    """Takes the pictures that come in, and says when each did."""

    def __init__(self, pc: RTCPeerConnection) -> None:
        self.pictures: asyncio.Queue[float] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

        @pc.on("track")
        def watch(track: aiortc.MediaStreamTrack) -> None:
            self._task = asyncio.create_task(self._watch(track))

    async def _watch(self, track: aiortc.MediaStreamTrack) -> None:
        try:
            while True:
                await track.recv()
                self.pictures.put_nowait(own_time())
        except aiortc.MediaStreamError:
            pass

    async def see(self, count: int = 10) -> None:
        """Return when so many more pictures have come in."""
        async with asyncio.timeout(30):
            for _ in range(count):
                await self.pictures.get()

    async def see_after(self, moment: float) -> float:
        """Return when the first picture after a moment came in."""
        async with asyncio.timeout(30):
            while (at := await self.pictures.get()) < moment:
                pass
        return at


class CountingTrack(VideoStreamTrack):
    """A track that says how often it has been read."""

    def __init__(self) -> None:
        super().__init__()
        self.read = 0
        self._was_read = asyncio.Condition()

    async def recv(self) -> Frame:
        frame = await super().recv()
        async with self._was_read:
            self.read += 1
            self._was_read.notify_all()
        return frame

    async def wait_read(self, times: int) -> None:
        """Return when it has been read so many times more."""
        target = self.read + times
        async with asyncio.timeout(30), self._was_read:
            await self._was_read.wait_for(lambda: self.read >= target)


async def packets_sent(sender: RTCRtpSender) -> int:
    """Return how many packets a sender has sent."""
    report = await sender.getStats()
    return next(int(s.packetsSent) for s in report.values() if s.type == "outbound-rtp")


async def test_nothing_is_numbered_that_cannot_be_sent(make_pc: Factory) -> None:
    near, far = make_pc(iceSettings=QUICK), make_pc(iceSettings=QUICK)
    viewer = Viewer(far)
    track = CountingTrack()
    sender = near.addTrack(track)
    assert isinstance(sender, RTCRtpSender)
    await connect_measured(near, far)
    await viewer.see()
    cuts = [Cut(near), Cut(far)]
    await wait_for_state(near, "iceConnectionState", "failed")
    await wait_for_state(far, "iceConnectionState", "failed")

    # The frame that was being encoded may still be counted.
    await track.wait_read(3)
    before = await packets_sent(sender)
    await track.wait_read(20)
    assert await packets_sent(sender) == before
    assert track.readyState == "live"

    assert cuts
    near.restartIce()
    await negotiate(near, far)
    await wait_connected(near, far)
    restarted = own_time()
    # The first picture needs no other.
    assert await viewer.see_after(restarted) - restarted < 1.5
    await viewer.see()


async def test_pictures_and_messages_after_a_path_has_healed(make_pc: Factory) -> None:
    near, far = make_pc(iceSettings=QUICK), make_pc(iceSettings=QUICK)
    viewer = Viewer(far)
    near.addTrack(VideoStreamTrack())
    echo = await connect_measured(near, far)
    await viewer.see()
    delays: list[float] = []
    for number in range(3):
        cuts = [Cut(near), Cut(far)]
        await asyncio.gather(
            *(wait_for_state(pc, "iceConnectionState", "disconnected") for pc in (near, far))
        )
        for message in range(20):
            echo.channel.send(f"{number} {message}")
        for cut in cuts:
            cut.heal()
        healed = own_time()
        async with asyncio.timeout(30):
            for message in range(20):
                assert await echo.received.get() == f"{number} {message}"
        delays.append(own_time() - healed)
        assert await viewer.see_after(healed) - healed < 1.5
    # SCTP's own timer runs for a second, at least.
    assert sorted(delays)[1] < 0.7


async def test_the_path_is_not_flooded_while_it_is_lost(make_pc: Factory) -> None:
    near, far = make_pc(iceSettings=QUICK), make_pc(iceSettings=QUICK)
    await connect_measured(near, far)
    pair = ice_connection(near).selected_pair
    assert pair is not None
    cut = Cut(near)
    Cut(far)
    await wait_for_state(near, "iceConnectionState", "failed")
    assert cut.swallowed < 40
