"""Streams are found by MID, else by RID, SSRC, payload type. (I10, RFC 9143 section 9.2)."""

import asyncio
import itertools
import re
from collections.abc import Callable
from typing import Any, cast

import pytest
from aiortc import MediaStreamError, MediaStreamTrack
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
from aiortc.rtp import HeaderExtensionsMap, RtpPacket, is_rtcp, wrap_rtx
from av.frame import Frame

from conftest import Factory
from connecting import DEADLINE, negotiate, wait_connected
from restartice import (
    AudioStreamTrack,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCSessionDescription,
    VideoStreamTrack,
)
from restartice.seam.routing import LEARNED
from restartice.seam.sources import CONTRIBUTORS, SILENCE

SSRC_LINES = re.compile(r"a=ssrc(-group)?:.*\r\n")
MID_LINE = re.compile(r"a=extmap:\d+ urn:ietf:params:rtp-hdrext:sdes:mid\r\n")
# 20 ms of nothing, by Opus.
SILENT = bytes([0xF8, 0xFF, 0xFE])
FRAME = 960


async def negotiate_without(
    lines: re.Pattern[str], near: RTCPeerConnection, far: RTCPeerConnection
) -> None:
    """Hand an offer over in which some lines are left out, and the answer."""
    await negotiate_edited(lambda sdp: lines.sub("", sdp), near, far)


async def negotiate_edited(
    edit: Callable[[str], str], near: RTCPeerConnection, far: RTCPeerConnection
) -> None:
    """Hand an offer over that somebody has changed, and the answer."""
    await near.setLocalDescription(await near.createOffer())
    offer = edit(near.localDescription.sdp)
    assert offer != near.localDescription.sdp
    await far.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    await far.setLocalDescription(await far.createAnswer())
    await near.setRemoteDescription(far.localDescription)


async def frames(track: MediaStreamTrack, count: int) -> list[Frame]:
    """Return the next frames."""
    async with asyncio.timeout(DEADLINE):
        received = [await track.recv() for _ in range(count)]
    assert all(isinstance(frame, Frame) for frame in received)
    return cast("list[Frame]", received)


def tracks(pc: RTCPeerConnection) -> list[MediaStreamTrack]:
    return [receiver.track for receiver in pc.getReceivers()]


@pytest.mark.parametrize("kind", [AudioStreamTrack, VideoStreamTrack])
async def test_two_streams_whose_sources_are_not_described(make_pc: Factory, kind: Any) -> None:
    near, far = make_pc(), make_pc()
    senders = [near.addTrack(kind()) for _ in range(2)]
    await negotiate_without(SSRC_LINES, near, far)
    await asyncio.gather(*(frames(track, 10) for track in tracks(far)))
    for sender, receiver in zip(senders, far.getReceivers(), strict=True):
        assert receiver._core.sources.current == sender._ssrc
        (source,) = receiver.getSynchronizationSources()
        assert source.source == sender._ssrc


@pytest.mark.parametrize("described", [True, False])
async def test_a_source_that_changes_with_an_offer(make_pc: Factory, *, described: bool) -> None:
    near, far = make_pc(), make_pc()
    senders = [near.addTrack(VideoStreamTrack()) for _ in range(2)]
    await negotiate(near, far)
    before = [(await frames(track, 10))[-1] for track in tracks(far)]
    senders[1]._ssrc += 1
    lines = MID_LINE if described else SSRC_LINES
    await negotiate_without(lines, near, far)
    assert (f"a=ssrc:{senders[1]._ssrc} " in far.remoteDescription.sdp) is described
    after = [await frames(track, 20) for track in tracks(far)]
    for last, following in zip(before, after, strict=True):
        # Neither does time go back, nor does it leap.
        times = [float(frame.time or 0) for frame in (last, *following)]
        assert all(0 < b - a < 2 for a, b in itertools.pairwise(times))
    assert far.getReceivers()[1]._core.sources.current == senders[1]._ssrc


async def test_lost_packets_are_repeated_from_a_source_that_is_not_described(
    make_pc: Factory,
) -> None:
    near, far = make_pc(), make_pc()
    senders: list[Any] = [near.addTrack(VideoStreamTrack()) for _ in range(2)]
    await negotiate_without(SSRC_LINES, near, far)
    await asyncio.gather(*(frames(track, 5) for track in tracks(far)))
    lose_some(senders[1])
    receiver = far.getReceivers()[1]
    async with asyncio.timeout(DEADLINE):
        while receiver._core.sources.repeaters != {senders[1]._rtx_ssrc: senders[1]._ssrc}:
            await receiver.track.recv()
    repeated = receiver._core.statistics[senders[1]._rtx_ssrc]
    assert repeated.packets_received > 0
    (source,) = receiver.getSynchronizationSources()
    assert source.source == senders[1]._ssrc
    assert not far.getReceivers()[0]._core.sources.repeaters


def lose_some(sender: Any) -> None:
    """Lose every tenth packet of a sender, but for those that are sent again."""
    transport, send = sender.transport, sender.transport._send_rtp
    counter = itertools.count()

    async def lose(data: bytes) -> None:
        if is_rtcp(data) or RtpPacket.parse(data).ssrc != sender._ssrc or next(counter) % 10:
            await send(data)

    transport._send_rtp = lose


async def begun(*receivers: RTCRtpReceiver) -> None:
    """Return when they receive."""
    async with asyncio.timeout(DEADLINE):
        while any(receiver._core.rtcp_task is None for receiver in receivers):  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # no event tells


class HandMade:
    """RTP of our own making, over DTLS and SRTP from one peer to the other.

    Two sections of audio and one of video, in which nothing but this is sent.
    """

    def __init__(self, near: RTCPeerConnection, far: RTCPeerConnection) -> None:
        self.near, self.far = near, far
        self._numbers: dict[int, itertools.count[int]] = {}

    @property
    def receivers(self) -> list[RTCRtpReceiver]:
        return self.far.getReceivers()

    def sender(self, place: int) -> RTCRtpSender:
        return self.near.getSenders()[place]

    def mid(self, place: int) -> str:
        return str(self.near.getTransceivers()[place].mid)

    async def send(
        self,
        ssrc: int,
        mid: str | None = None,
        *,
        place: int = 0,
        rid: str | None = None,
        repeats: tuple[int, int] | None = None,
        mixed_from: tuple[int, ...] = (),
    ) -> None:
        """Send a packet of a source.

        Args:
            ssrc: The source.
            mid: What the packet says.
            place: Of which section it has the codec.
            rid: The encoding that it says it is of.
            repeats: The source and the number of the packet that this one repeats.
            mixed_from: The sources that a mixer names.
        """
        parameters = self.receivers[place].getParameters()
        payload_type = parameters.codecs[0].payloadType
        assert payload_type is not None
        number = next(self._numbers.setdefault(ssrc, itertools.count(1000)))
        packet = RtpPacket(
            payload_type=payload_type,
            sequence_number=number,
            timestamp=number * FRAME,
            ssrc=ssrc,
            payload=SILENT,
        )
        packet.csrc = [*mixed_from]
        packet.extensions.mid = mid
        packet.extensions.rtp_stream_id = rid
        if repeats is not None:
            packet.ssrc, packet.sequence_number = repeats
            repeating = parameters.codecs[1].payloadType
            assert repeating is not None
            packet = wrap_rtx(packet, repeating, number, ssrc)
            packet.extensions.rtp_stream_id, packet.extensions.repaired_rtp_stream_id = None, rid
        extensions = HeaderExtensionsMap()
        extensions.configure(parameters)
        await self.sender(0).transport._send_rtp(packet.serialize(extensions))

    async def arrives(
        self, ssrc: int, mid: str | None = None, *, at: int | None, **kwargs: Any
    ) -> None:
        """Send a packet, and check at which place it is taken."""
        before = [self._count(place, ssrc) for place in range(3)]
        await self.send(ssrc, mid, **kwargs)
        # What comes in the order of sending, and is always taken.
        await self.pass_by()
        after = [self._count(place, ssrc) for place in range(3)]
        taken = [b - a for a, b in zip(before, after, strict=True)]
        assert taken == [int(place == at) for place in range(3)]

    async def silence(self, ssrc: int, *, at: int) -> None:
        """Return when a source has been silent for long enough."""
        async with asyncio.timeout(DEADLINE):
            while self.receivers[at]._core.sources.hears(ssrc):  # noqa: ASYNC110
                await asyncio.sleep(SILENCE / 5)  # only time tells

    def _count(self, place: int, ssrc: int) -> int:
        counted = self.receivers[place]._core.statistics.get(ssrc)
        return 0 if counted is None else counted.packets_received

    async def pass_by(self) -> None:
        """Return when all that was sent before has arrived."""
        channel = next(iter(self.near._core.state.sctp_transport._data_channels.values()))  # type: ignore[union-attr]
        echoed = asyncio.get_running_loop().create_future()
        channel.once("message", echoed.set_result)
        channel.send("all before this has arrived")
        async with asyncio.timeout(DEADLINE):
            await echoed


@pytest.fixture
async def by_hand(make_pc: Factory) -> HandMade:
    return await hand_made(make_pc, lambda sdp: SSRC_LINES.sub("", sdp))


async def hand_made(make_pc: Factory, edit: Callable[[str], str]) -> HandMade:
    near, far = make_pc(), make_pc()
    for kind in ("audio", "audio", "video"):
        near.addTransceiver(kind, direction="sendonly")
    channel = near.createDataChannel("passing by")
    opened = asyncio.Event()
    channel.on("open", opened.set)
    far.on("datachannel", lambda theirs: theirs.on("message", theirs.send))
    await negotiate_edited(edit, near, far)
    await wait_connected(near, far)
    async with asyncio.timeout(DEADLINE):
        await opened.wait()
    await begun(*far.getReceivers())
    return HandMade(near, far)


async def test_what_is_told_of_the_sources_of_a_mixer(by_hand: HandMade) -> None:
    receiver = by_hand.receivers[0]
    assert not receiver.getContributingSources()
    assert not receiver.getSynchronizationSources()
    await by_hand.send(1, by_hand.mid(0), mixed_from=(70, 71))
    await by_hand.send(1, by_hand.mid(0), mixed_from=(71, 72))
    await by_hand.send(1, by_hand.mid(0), mixed_from=(70,))
    await by_hand.pass_by()
    mixed = [(s.source, s.rtpTimestamp // FRAME) for s in receiver.getContributingSources()]
    assert mixed == [(70, 1002), (72, 1001), (71, 1001)]
    # One that another has taken the place of is told for a while, too.
    await by_hand.send(2, by_hand.mid(0))
    await by_hand.pass_by()
    heard = [(s.source, s.rtpTimestamp // FRAME) for s in receiver.getSynchronizationSources()]
    assert heard == [(2, 1000), (1, 1002)]
    assert by_hand.receivers[1].getSynchronizationSources() == []


async def test_a_bounded_number_of_sources_of_mixers_is_known(by_hand: HandMade) -> None:
    receiver = by_hand.receivers[0]
    for first in range(100, 100 + 2 * CONTRIBUTORS, 8):
        await by_hand.send(1, by_hand.mid(0), mixed_from=tuple(range(first, first + 8)))
    await by_hand.pass_by()
    known = [source.source for source in receiver.getContributingSources()]
    assert known == [*reversed(range(100 + CONTRIBUTORS, 100 + 2 * CONTRIBUTORS))]


async def test_the_mid_decides(by_hand: HandMade) -> None:
    await by_hand.arrives(1, by_hand.mid(0), at=0)
    await by_hand.arrives(2, by_hand.mid(1), at=1)
    # Browsers leave it out when the other side must have got it.
    await by_hand.arrives(1, at=0)
    await by_hand.arrives(2, at=1)
    # A source may move.
    await by_hand.arrives(1, by_hand.mid(1), at=1)
    await by_hand.arrives(1, at=1)


def with_rids(sdp: str) -> str:
    """Return an offer without MIDs, in which each section has an encoding of its own."""
    number = itertools.count()
    extensions = "".join(
        f"a=extmap:{n} urn:ietf:params:rtp-hdrext:sdes:{name}\r\n"
        for n, name in ((10, "rtp-stream-id"), (11, "repaired-rtp-stream-id"))
    )
    return MID_LINE.sub(lambda _: f"{extensions}a=rid:r{next(number)} send\r\n", sdp)


async def test_the_rid_decides_where_there_is_no_mid(make_pc: Factory) -> None:
    by_hand = await hand_made(make_pc, lambda sdp: with_rids(SSRC_LINES.sub("", sdp)))
    assert by_hand.far.localDescription.sdp.count("sdes:rtp-stream-id") == 3
    await by_hand.arrives(1, rid="r0", at=0)
    await by_hand.arrives(2, rid="r1", at=1)
    await by_hand.arrives(1, at=0)
    await by_hand.arrives(5, rid="r9", at=None)
    await by_hand.arrives(3, place=2, rid="r2", at=2)
    await by_hand.arrives(30, place=2, rid="r2", repeats=(3, 1000), at=2)
    assert by_hand.receivers[2]._core.sources.repeaters == {30: 3}


async def test_encodings_that_are_not_asked_for_do_not_come_between(by_hand: HandMade) -> None:
    """A peer that sends a simulcast all the same is seen by one of its encodings."""
    mid = by_hand.mid(2)
    await by_hand.arrives(31, mid, place=2, at=2)
    await by_hand.arrives(32, mid, place=2, at=2)
    await by_hand.arrives(33, mid, place=2, at=2)
    for _ in range(3):
        await by_hand.arrives(31, mid, place=2, at=None)
        await by_hand.arrives(32, mid, place=2, at=None)
        await by_hand.arrives(33, mid, place=2, at=2)


async def test_an_unknown_mid_is_of_no_section(by_hand: HandMade) -> None:
    await by_hand.arrives(1, "unknown", at=None)
    await by_hand.arrives(1, by_hand.mid(0), at=0)
    await by_hand.arrives(1, "unknown", at=None)
    await by_hand.arrives(3, "unknown", place=2, at=None)


async def test_codecs_of_another_section_are_not_taken(by_hand: HandMade) -> None:
    await by_hand.arrives(1, by_hand.mid(0), place=2, at=None)
    await by_hand.arrives(1, by_hand.mid(2), place=0, at=None)


async def test_a_payload_type_decides_if_one_section_only_has_it(by_hand: HandMade) -> None:
    await by_hand.arrives(1, at=None)
    await by_hand.arrives(3, place=2, at=2)


async def test_another_source_takes_over_by_its_mid_and_the_former_one_does_not_come_between(
    by_hand: HandMade,
) -> None:
    await by_hand.arrives(1, by_hand.mid(0), at=0)
    await by_hand.arrives(11, by_hand.mid(0), at=0)
    await by_hand.arrives(1, by_hand.mid(0), at=None)
    await by_hand.arrives(1, at=None)
    await by_hand.arrives(11, at=0)
    # The former one is what there is when the other one has ended.
    await by_hand.silence(11, at=0)
    await by_hand.arrives(1, at=0)
    await by_hand.arrives(11, at=None)


async def test_a_guess_does_not_interrupt_what_is_received(by_hand: HandMade) -> None:
    await by_hand.arrives(3, by_hand.mid(2), place=2, at=2)
    await by_hand.arrives(33, place=2, at=None)
    await by_hand.silence(3, at=2)
    await by_hand.arrives(33, place=2, at=2)
    # What is told by its packets does.
    await by_hand.arrives(333, by_hand.mid(2), place=2, at=2)


async def test_a_stream_that_comes_before_its_description(by_hand: HandMade) -> None:
    await by_hand.arrives(3, by_hand.mid(2), place=2, at=2)
    await by_hand.arrives(4, "4", place=2, at=None)
    # Without a MID it can't be told from another one of the only section that there is.
    await by_hand.silence(3, at=2)
    await by_hand.arrives(4, place=2, at=2)
    added = by_hand.near.addTransceiver("video", direction="sendonly")
    added.sender._ssrc = 4
    await negotiate(by_hand.near, by_hand.far)
    new = by_hand.receivers[3]
    await begun(new)
    assert added.mid == "4"
    await by_hand.arrives(4, place=2, at=None)
    assert new._core.statistics[4].packets_received == 1
    await by_hand.arrives(3, place=2, at=2)


async def test_repeated_packets_are_of_the_stream_that_is_received(by_hand: HandMade) -> None:
    video = by_hand.mid(2)
    repeaters = by_hand.receivers[2]._core.sources.repeaters
    await by_hand.arrives(3, video, place=2, at=2)
    await by_hand.arrives(30, video, place=2, repeats=(3, 1000), at=2)
    assert repeaters == {30: 3}
    await by_hand.arrives(3, place=2, at=2)
    await by_hand.arrives(30, place=2, repeats=(3, 1001), at=2)
    # Another stream has its own; what is late, and of the former one, isn't taken for it.
    await by_hand.arrives(5, video, place=2, at=2)
    await by_hand.arrives(30, video, place=2, repeats=(3, 41000), at=None)
    assert repeaters == {}
    await by_hand.arrives(50, video, place=2, repeats=(5, 1000), at=2)
    assert repeaters == {50: 5}


async def test_both_sides_may_have_the_same_ssrc(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    for pc in (near, far):
        pc.addTrack(VideoStreamTrack())
        pc.addTrack(VideoStreamTrack())
    await near.setLocalDescription(await near.createOffer())
    await far.setRemoteDescription(near.localDescription)
    for ours, theirs in zip(near.getSenders(), far.getSenders(), strict=True):
        theirs._ssrc, theirs._rtx_ssrc = ours._ssrc, ours._rtx_ssrc
    await far.setLocalDescription(await far.createAnswer())
    await near.setRemoteDescription(far.localDescription)
    await asyncio.gather(*(frames(track, 10) for track in (*tracks(near), *tracks(far))))


async def test_two_sections_that_name_the_same_source(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    senders = [near.addTrack(AudioStreamTrack()) for _ in range(2)]
    await near.setLocalDescription(await near.createOffer())
    first, second = (str(sender._ssrc) for sender in senders)
    offer = near.localDescription.sdp.replace(f"a=ssrc:{second} ", f"a=ssrc:{first} ")
    await far.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    await far.setLocalDescription(await far.createAnswer())
    await near.setRemoteDescription(far.localDescription)
    # Its packets tell where it belongs.
    await asyncio.gather(*(frames(track, 10) for track in tracks(far)))


async def test_a_source_that_two_sections_share_in_turn(by_hand: HandMade) -> None:
    for _ in range(3):
        await by_hand.arrives(1, by_hand.mid(0), at=0)
        await by_hand.arrives(1, by_hand.mid(1), at=1)


async def test_sources_are_not_remembered_for_ever(by_hand: HandMade) -> None:
    receiver = by_hand.receivers[0]
    router: Any = receiver.transport._rtp_router
    for ssrc in range(1, 2 * LEARNED):
        await by_hand.send(ssrc, by_hand.mid(0))
        if ssrc % 32 == 0:
            await by_hand.pass_by()  # what is sent faster is lost
    await by_hand.arrives(2 * LEARNED, by_hand.mid(0), at=0)
    assert len(router.learned) == LEARNED
    for table in (router.routes, router.ssrc_table, receiver._core.statistics):
        assert set(table) == {2 * LEARNED}
    await by_hand.arrives(2 * LEARNED, at=0)


async def test_a_receiver_that_ends_leaves_nothing_behind(by_hand: HandMade) -> None:
    await by_hand.arrives(3, by_hand.mid(2), place=2, at=2)
    await by_hand.arrives(30, by_hand.mid(2), place=2, repeats=(3, 1000), at=2)
    router: Any = by_hand.receivers[2].transport._rtp_router
    await by_hand.far.getTransceivers()[2].stop()
    for table in (router.named, router.learned, router.routes, router.ssrc_table):
        assert not table.keys() & {3, 30}
    assert by_hand.mid(2) not in router.by_mid


async def test_a_track_ends_as_its_stream_does(by_hand: HandMade) -> None:
    track = by_hand.receivers[0].track
    await by_hand.far.getTransceivers()[0].stop()
    with pytest.raises(MediaStreamError):
        await track.recv()


class OwnReceiver:
    """A receiver of the program's own, on a transport of ours."""

    def __init__(self) -> None:
        self.packets: list[RtpPacket] = []

    def _handle_disconnect(self) -> None:
        """End."""

    async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        del arrival_time_ms
        self.packets.append(packet)


async def test_a_program_may_have_receivers_of_its_own(by_hand: HandMade) -> None:
    ours = by_hand.receivers[2]
    transport: Any = ours.transport
    transport._unregister_rtp_receiver(ours)
    own = OwnReceiver()
    parameters = ours.getParameters()
    receive = RTCRtpReceiveParameters(codecs=parameters.codecs, muxId=by_hand.mid(2))
    transport._register_rtp_receiver(own, receive)
    for ssrc, repeats in ((3, None), (5, None), (3, None), (30, (3, 1000))):
        await by_hand.send(ssrc, by_hand.mid(2), place=2, repeats=repeats)
    await by_hand.pass_by()
    assert [packet.ssrc for packet in own.packets] == [3, 5, 3, 30]
    transport._unregister_rtp_receiver(own)
    await by_hand.arrives(3, by_hand.mid(2), place=2, at=None)
    assert len(own.packets) == 4


async def test_reports_of_a_source_that_is_named_count_before_its_media(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    sender = near.addTransceiver("audio", direction="sendonly").sender
    await negotiate(near, far)
    await wait_connected(near, far)
    (receiver,) = far.getReceivers()
    await begun(receiver)
    async with asyncio.timeout(DEADLINE):
        while sender._ssrc not in receiver._core.sources.reports:  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # no event tells
    assert receiver._core.sources.current is None
