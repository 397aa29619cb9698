"""What we send is read by every peer: an offer or answer of each shape that we can have.

They answer our offers, and we take their answers. Nothing is connected.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aioice.ice
import pytest

from connecting import wait_for_state
from interop.call import ufrags
from interop.process import End, PeerError, PeerProcess
from interop.stacks import REFUSES, STACKS, Stack
from restartice import (
    AudioStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)

pytestmark = [pytest.mark.network, pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

# Loopback has so many addresses on Linux.
MANY = 40
# Those that can be told what to offer.
of_browsers = pytest.mark.parametrize(
    "stack",
    [stack for stack in STACKS if stack.name in {"chromium", "firefox", "wrtc"}],
    indirect=True,
    ids=lambda stack: str(stack.name),
)
Description = dict[str, str]
Prepare = Callable[[RTCPeerConnection], None]


class Talk:
    """A connection of ours, and one of the peer's."""

    def __init__(self, pc: RTCPeerConnection, end: End) -> None:
        self.pc = pc
        self.end = end

    async def offer(self) -> list[str]:
        """Make an offer that the peer answers; return the kinds of what it accepts."""
        await self.pc.setLocalDescription()
        await self.end.do("remote", description=described(self.pc.localDescription))
        answer = await self.end.do("local")
        await self.pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        assert self.pc.signalingState == "stable"
        return accepted(answer["sdp"])

    async def answer(self) -> list[str]:
        """Answer an offer of the peer's; return the kinds of what we accept."""
        offer = await self.end.do("local")
        await self.pc.setRemoteDescription(RTCSessionDescription(offer["sdp"], offer["type"]))
        await self.pc.setLocalDescription()
        answer = described(self.pc.localDescription)
        await self.end.do("remote", description=answer)
        return accepted(answer["sdp"])


def described(description: RTCSessionDescription) -> Description:
    return {"type": description.type, "sdp": description.sdp}


def accepted(answer: str) -> list[str]:
    lines = [line.split() for line in answer.splitlines() if line.startswith("m=")]
    return [fields[0].removeprefix("m=") for fields in lines if fields[1] != "0"]


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return what gives this host so many addresses, all of them of loopback."""

    def have(count: int) -> None:
        found = [f"127.0.0.{number}" for number in range(1, count + 1)]
        monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: found)

    have(1)
    return have


@pytest.fixture
def talk(
    addresses: Callable[[int], None],  # noqa: ARG001  nothing leaves this host
    their_process: PeerProcess,
) -> Callable[..., Any]:
    @asynccontextmanager
    async def begin(policy: RTCBundlePolicy = RTCBundlePolicy.BALANCED) -> AsyncIterator[Talk]:
        pc = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=policy))
        end = await their_process.new()
        try:
            yield Talk(pc, end)
        finally:
            await pc.close()
            await end.do("close")

    return begin


def data(pc: RTCPeerConnection) -> None:
    pc.createDataChannel("data")


def audio(pc: RTCPeerConnection) -> None:
    pc.addTrack(AudioStreamTrack())


def video(pc: RTCPeerConnection) -> None:
    pc.addTrack(VideoStreamTrack())


def both(pc: RTCPeerConnection) -> None:
    audio(pc)
    video(pc)


def everything(pc: RTCPeerConnection) -> None:
    both(pc)
    data(pc)


def two_videos(pc: RTCPeerConnection) -> None:
    video(pc)
    video(pc)


def one_track_twice(pc: RTCPeerConnection) -> None:
    track = VideoStreamTrack()
    pc.addTrack(track)
    pc.addTransceiver("video").sender.replaceTrack(track)


def one_way(direction: str) -> Prepare:
    def add(pc: RTCPeerConnection) -> None:
        pc.addTransceiver("audio", direction=direction)
        pc.addTransceiver(VideoStreamTrack(), direction=direction)

    return add


FIRST: dict[str, tuple[Prepare, list[str]]] = {
    "data": (data, ["application"]),
    "audio": (audio, ["audio"]),
    "video": (video, ["video"]),
    "both": (both, ["audio", "video"]),
    "everything": (everything, ["audio", "video", "application"]),
    "two-videos": (two_videos, ["video", "video"]),
    "one-track-twice": (one_track_twice, ["video", "video"]),
    "sendonly": (one_way("sendonly"), ["audio", "video"]),
    "recvonly": (one_way("recvonly"), ["audio", "video"]),
    "inactive": (one_way("inactive"), ["audio", "video"]),
}


@pytest.mark.parametrize("shape", FIRST)
async def test_first_offers(talk: Callable[..., Any], shape: str) -> None:
    prepare, kinds = FIRST[shape]
    async with talk() as made:
        prepare(made.pc)
        assert await made.offer() == kinds


@pytest.mark.parametrize("policy", list(RTCBundlePolicy), ids=lambda policy: str(policy.value))
async def test_bundle_policies(talk: Callable[..., Any], policy: RTCBundlePolicy) -> None:
    kinds = FIRST["everything"][1]
    async with talk(policy) as made:
        everything(made.pc)
        assert await made.offer() == kinds


async def test_with_many_candidates(
    talk: Callable[..., Any], addresses: Callable[[int], None]
) -> None:
    addresses(MANY)
    async with talk() as made:
        data(made.pc)
        await made.pc.setLocalDescription()
        await wait_for_state(made.pc, "iceGatheringState", "complete")
        assert made.pc.localDescription.sdp.count("a=candidate:") >= MANY
        assert await made.offer() == ["application"]


async def test_after_a_restart(stack: Stack, talk: Callable[..., Any]) -> None:
    async with talk() as made:
        everything(made.pc)
        await made.offer()
        before = made.pc.localDescription.sdp
        made.pc.restartIce()
        if stack.answers_restart == REFUSES:
            with pytest.raises(PeerError):
                await made.offer()
        else:
            assert await made.offer() == FIRST["everything"][1]
        assert ufrags(described(made.pc.localDescription)) != ufrags({"sdp": before})


async def test_a_stopped_section(stack: Stack, talk: Callable[..., Any]) -> None:
    """What comes next may take its place."""
    async with talk() as made:
        both(made.pc)
        await made.offer()
        made.pc.getTransceivers()[1].stop()
        assert await made.offer() == (["audio"] if stack.rejects_stopped else ["audio", "video"])
        assert "m=video 0 " in made.pc.localDescription.sdp
        video(made.pc)
        if stack.reuses_sections:
            assert await made.offer() == ["audio", "video"]
        else:
            with pytest.raises(PeerError, match="not implemented"):
                await made.offer()


async def test_more_and_less(talk: Callable[..., Any]) -> None:
    """A track is removed, and data are added."""
    async with talk() as made:
        both(made.pc)
        await made.offer()
        made.pc.removeTrack(made.pc.getSenders()[1])
        data(made.pc)
        assert await made.offer() == ["audio", "video", "application"]


@of_browsers
@pytest.mark.parametrize("direction", ["sendrecv", "sendonly", "recvonly", "inactive"])
async def test_answers_to_one_way(talk: Callable[..., Any], direction: str) -> None:
    async with talk() as made:
        for kind in ("audio", "video"):
            await made.end.do("transceiver", kind=kind, direction=direction)
        await made.end.do("channel")
        both(made.pc)
        assert await made.answer() == FIRST["everything"][1]


@of_browsers
async def test_answers_to_a_stopped_section(talk: Callable[..., Any]) -> None:
    async with talk() as made:
        for kind in ("audio", "video"):
            await made.end.do("transceiver", kind=kind, direction="sendrecv")
        assert await made.answer() == ["audio", "video"]
        await made.end.do("stop", index=0)
        assert await made.answer() == ["video"]
        # And again, with the section still there.
        await made.end.do("channel")
        assert await made.answer() == ["video", "application"]


@of_browsers
async def test_answers_that_reject(talk: Callable[..., Any]) -> None:
    """A codec that we don't have; the rest is accepted."""
    async with talk() as made:
        await made.end.do("transceiver", kind="audio", direction="sendrecv")
        await made.end.do("transceiver", kind="video", direction="sendrecv", codec="video/VP9")
        await made.end.do("channel")
        assert await made.answer() == ["audio", "application"]
        assert "m=video 0 " in made.pc.localDescription.sdp
        # What was rejected stays so in an offer of ours, and doesn't spoil it.
        audio(made.pc)
        made.pc.restartIce()
        assert "audio" in await made.offer()


@of_browsers
async def test_answers_by_stopped_transceivers(talk: Callable[..., Any]) -> None:
    async with talk() as made:
        for kind in ("audio", "video"):
            await made.end.do("transceiver", kind=kind, direction="sendrecv")
        offer = await made.end.do("local")
        await made.pc.setRemoteDescription(RTCSessionDescription(offer["sdp"], "offer"))
        made.pc.getTransceivers()[0].stop()
        await made.pc.setLocalDescription()
        await made.end.do("remote", description=described(made.pc.localDescription))
        assert "a=inactive" in made.pc.localDescription.sdp
        assert await made.offer() == ["video"]
