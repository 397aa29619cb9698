"""The statistics of RTP streams, their codecs and what they are made of, for getStats()."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Protocol

import aiortc
from aiortc import stats
from aiortc.sdp import parameters_to_sdp
from aiortc.stats import RTCStats

__all__ = [
    "RTCCodecStats",
    "RTCInboundRtpStreamStats",
    "RTCMediaSourceStats",
    "RTCOutboundRtpStreamStats",
    "RTCRemoteInboundRtpStreamStats",
    "RTCRemoteOutboundRtpStreamStats",
    "Source",
    "receiver_statistics",
    "sender_statistics",
]


@dataclass
class RTCInboundRtpStreamStats(stats.RTCInboundRtpStreamStats):
    """aiortc's statistics of a source that is received.

    Attributes:
        mid: The mid of its media section.
        trackIdentifier: The id of the receiver's track.
        codecId: The `id` of the statistics of the codec that the source began with, or None.
        remoteId: The `id` of what the peer's reports tell of it, or None.

    Spec: https://w3c.github.io/webrtc-stats/#inboundrtpstats-dict*
    """

    mid: str = ""
    trackIdentifier: str = ""
    codecId: str | None = None
    remoteId: str | None = None


@dataclass
class RTCOutboundRtpStreamStats(stats.RTCOutboundRtpStreamStats):
    """aiortc's statistics of a source that is sent.

    Attributes:
        mid: The mid of its media section.
        codecId: The `id` of the statistics of the codec, or None.
        mediaSourceId: The `id` of the statistics of the track, or None.
        remoteId: The `id` of what the peer's reports tell of it, or None.
        encodingIndex: The number of the encoding of a video, which is the only one.
        active: Whether it is encoded and sent.
        framesEncoded: How many frames of a video were encoded; None for audio.
        framesSent: How many of them were sent, which are all.

    Spec: https://w3c.github.io/webrtc-stats/#outboundrtpstats-dict*
    """

    mid: str = ""
    codecId: str | None = None
    mediaSourceId: str | None = None
    remoteId: str | None = None
    encodingIndex: int | None = None
    active: bool = True
    framesEncoded: int | None = None
    framesSent: int | None = None


@dataclass
class RTCRemoteInboundRtpStreamStats(stats.RTCRemoteInboundRtpStreamStats):
    """aiortc's statistics of what the peer receives, as its reports tell.

    Attributes:
        localId: The `id` of the statistics of what is sent.

    Spec: https://w3c.github.io/webrtc-stats/#remoteinboundrtpstats-dict*
    """

    localId: str = ""


@dataclass
class RTCRemoteOutboundRtpStreamStats(stats.RTCRemoteOutboundRtpStreamStats):
    """aiortc's statistics of what the peer sends, as its reports tell.

    Attributes:
        localId: The `id` of the statistics of what is received.

    Spec: https://w3c.github.io/webrtc-stats/#remoteoutboundrtpstats-dict*
    """

    localId: str = ""


@dataclass
class RTCCodecStats(RTCStats):
    """A codec that is used on a transport.

    Attributes:
        transportId: The `id` of the statistics of the transport.
        payloadType: Its payload type.
        mimeType: Its name, such as `"video/VP8"`.
        clockRate: The units of its timestamps in a second.
        channels: The number of channels of sound, or None.
        sdpFmtpLine: Its parameters as in `a=fmtp`, or None.

    Spec: https://w3c.github.io/webrtc-stats/#codec-dict*
    """

    transportId: str
    payloadType: int
    mimeType: str
    clockRate: int
    channels: int | None
    sdpFmtpLine: str | None


@dataclass
class RTCMediaSourceStats(RTCStats):
    """A track that is sent.

    Attributes:
        trackIdentifier: Its id.
        kind: `"audio"` or `"video"`.

    Spec: https://w3c.github.io/webrtc-stats/#mediasourcestats-dict*
    """

    trackIdentifier: str
    kind: str


class Source(Protocol):
    """What is counted of a source that is received."""

    packets_received: int

    @property
    def packets_lost(self) -> int:
        """The number of packets that are missing."""

    @property
    def jitter(self) -> int:
        """The variance of the times between packets, in units of the timestamps."""


def sender_statistics(
    report: aiortc.RTCStatsReport,
    negotiated: aiortc.RTCRtpParameters,
    track: aiortc.MediaStreamTrack | None,
    *,
    active: bool,
    frames: int,
) -> Iterator[RTCStats]:
    """Yield aiortc's statistics of a sender, with what it leaves out.

    Args:
        report: aiortc's.
        negotiated: What is negotiated to be sent.
        track: The track that is sent.
        active: Whether it is encoded.
        frames: How many frames were encoded and sent.
    """
    sent = next(s for s in report.values() if isinstance(s, stats.RTCOutboundRtpStreamStats))
    codec = source = remote = None
    if negotiated.codecs:
        codec = _codec(sent, negotiated.codecs[0])
        yield codec
    if track is not None:
        yield (source := _media_source(sent, track))
    for told in report.values():
        if isinstance(told, stats.RTCRemoteInboundRtpStreamStats):
            remote = told.id
            yield RTCRemoteInboundRtpStreamStats(**asdict(told), localId=sent.id)
    yield RTCOutboundRtpStreamStats(
        **asdict(sent),
        mid=negotiated.muxId,
        codecId=None if codec is None else codec.id,
        mediaSourceId=None if source is None else source.id,
        remoteId=remote,
        encodingIndex=0 if sent.kind == "video" else None,
        active=active,
        framesEncoded=frames if sent.kind == "video" else None,
        framesSent=frames if sent.kind == "video" else None,
    )


def receiver_statistics(
    report: aiortc.RTCStatsReport,
    negotiated: aiortc.RTCRtpParameters,
    track: aiortc.MediaStreamTrack,
    sources: Mapping[int, Source],
    payload_types: Mapping[int, int],
) -> Iterator[RTCStats]:
    """Yield aiortc's statistics of a receiver for each source, with what it leaves out.

    Args:
        report: aiortc's, in which all sources have the same `id`.
        negotiated: What is negotiated to be received.
        track: The track that is received.
        sources: What is counted of each source.
        payload_types: Those that sources began with.
    """
    last = next((s for s in report.values() if isinstance(s, stats.RTCInboundRtpStreamStats)), None)
    if last is None:
        return
    told = [s for s in report.values() if isinstance(s, stats.RTCRemoteOutboundRtpStreamStats)]
    codecs = {codec.payloadType: codec for codec in negotiated.codecs}
    for ssrc, counted in sources.items():
        codec = codecs.get(payload_types.get(ssrc))
        used = None if codec is None else _codec(last, codec)
        if used is not None:
            yield used
        received = RTCInboundRtpStreamStats(
            timestamp=last.timestamp,
            type=last.type,
            id=f"{last.id}_{ssrc}",
            ssrc=ssrc,
            kind=last.kind,
            transportId=last.transportId,
            packetsReceived=counted.packets_received,
            packetsLost=counted.packets_lost,
            jitter=counted.jitter,
            mid=negotiated.muxId,
            trackIdentifier=track.id,
            codecId=None if used is None else used.id,
            remoteId=next((remote.id for remote in told if remote.ssrc == ssrc), None),
        )
        yield received
        for remote in told:
            if remote.ssrc == ssrc:
                yield RTCRemoteOutboundRtpStreamStats(**asdict(remote), localId=received.id)
    # Of sources of which nothing was received yet.
    yield from (remote for remote in told if remote.ssrc not in sources)


def _codec(basis: stats.RTCRtpStreamStats, codec: aiortc.RTCRtpCodecParameters) -> RTCCodecStats:
    assert codec.payloadType is not None
    return RTCCodecStats(
        timestamp=basis.timestamp,
        type="codec",
        id=f"codec_{basis.transportId}_{codec.payloadType}_{codec.mimeType}",
        transportId=basis.transportId,
        payloadType=codec.payloadType,
        mimeType=codec.mimeType,
        clockRate=codec.clockRate,
        channels=codec.channels,
        sdpFmtpLine=parameters_to_sdp(codec.parameters) or None,
    )


def _media_source(basis: RTCStats, track: aiortc.MediaStreamTrack) -> RTCMediaSourceStats:
    return RTCMediaSourceStats(
        timestamp=basis.timestamp,
        type="media-source",
        id=f"media-source_{basis.id}",
        trackIdentifier=track.id,
        kind=track.kind,
    )
