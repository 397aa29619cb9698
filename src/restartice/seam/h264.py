"""H.264 in packetization mode 0 or of the Main profile, which aiortc doesn't negotiate."""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from itertools import count
from typing import Any, Final

import av
from aiortc.codecs import h264, is_rtx
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.sdp import H264Profile, parse_h264_profile_level_id
from av.frame import Frame

from ..logs import ObjectLogger
from .names import require

__all__ = [
    "SingleNalEncoder",
    "as_offered",
    "is_single_nal",
    "readable",
    "unusual_codecs",
]

H264: Final = "h264"
# The payload types from here on are none that aiortc gives to a codec by itself.
FIRST_FREE: Final = 112
MODE: Final = "packetization-mode"
PROFILE: Final = "profile-level-id"
CONSTRAINED_BASELINE: Final = "42e01f"
BASELINE: Final = {H264Profile.PROFILE_BASELINE, H264Profile.PROFILE_CONSTRAINED_BASELINE}
# By how much the rate may differ from the wanted one before aiortc makes its encoder anew.
TOLERANCE: Final = 0.1

for _name in ("_encode_frame", "_packetize"):
    require(h264.H264Encoder, _name)


def is_single_nal(codec: RTCRtpCodecParameters) -> bool:
    """Return whether this is H.264 in mode 0, which is the default. (RFC 6184 section 8.1)."""
    return codec.name.lower() == H264 and str(codec.parameters.get(MODE, "0")) == "0"


def _profile(codec: RTCRtpCodecParameters) -> H264Profile | None:
    """Return the profile of H.264; None for another codec, or if it can't be read."""
    if codec.name.lower() != H264:
        return None
    told = str(codec.parameters.get(PROFILE, CONSTRAINED_BASELINE))
    try:
        return parse_h264_profile_level_id(told)[0]
    except ValueError:
        return None


def readable(codecs: Iterable[RTCRtpCodecParameters]) -> list[RTCRtpCodecParameters]:
    """Return codecs with H.264 of mode 0 shown as mode 1, and Main alone as constrained baseline.

    aiortc negotiates those. It can receive all of them, as its decoder looks at the stream only. A
    stream in mode 0 is one in mode 1 as well, and a receiver of Main decodes constrained baseline,
    which aiortc sends.

    Spec: RFC 6184 section 6.2, ITU-T H.264 section A.2.2
    """
    shown = [_told(codec, MODE, "1") if is_single_nal(codec) else codec for codec in codecs]
    profiles = [_profile(codec) for codec in shown]
    if H264Profile.PROFILE_MAIN not in profiles or BASELINE & {*profiles}:
        return shown
    return [
        _told(codec, PROFILE, CONSTRAINED_BASELINE)
        if profile is H264Profile.PROFILE_MAIN
        else codec
        for codec, profile in zip(shown, profiles, strict=True)
    ]


def _told(codec: RTCRtpCodecParameters, name: str, value: str) -> RTCRtpCodecParameters:
    return replace(codec, parameters={**codec.parameters, name: value})


def as_offered(
    codecs: Iterable[RTCRtpCodecParameters], offered: list[RTCRtpCodecParameters]
) -> list[RTCRtpCodecParameters]:
    """Return negotiated codecs with H.264 as it was offered, before aiortc was shown another."""
    told = {
        _profile(shown): offer
        for offer, shown in reversed([*zip(offered, readable(offered), strict=True)])
        if shown is not offer
    }
    return [
        _like(codec, told[key]) if (key := _profile(codec)) in told else codec for codec in codecs
    ]


def _like(codec: RTCRtpCodecParameters, offer: RTCRtpCodecParameters) -> RTCRtpCodecParameters:
    codec = _told(codec, MODE, str(offer.parameters.get(MODE, "0")))
    if _profile(offer) is H264Profile.PROFILE_MAIN:
        codec = _told(codec, PROFILE, str(offer.parameters[PROFILE]))
    return codec


def unusual_codecs(codecs: Iterable[RTCRtpCodecParameters]) -> list[RTCRtpCodecParameters]:
    """Return those of a transceiver's codecs that aiortc doesn't offer, and what repeats them.

    They have numbers that aiortc doesn't use in an offer.
    """
    free = count(FIRST_FREE)
    numbers: dict[object, int] = {}
    found = []
    codecs = [*codecs]
    for codec, shown in zip(codecs, readable(codecs), strict=True):
        parameters = dict(codec.parameters)
        if is_rtx(codec) and parameters.get("apt") in numbers:
            parameters["apt"] = numbers[parameters["apt"]]
        elif shown is codec:
            continue
        numbers[codec.payloadType] = next(free)
        number = numbers[codec.payloadType]
        found.append(replace(codec, payloadType=number, parameters=parameters))
    return found


class SingleNalEncoder(h264.H264Encoder):
    """aiortc's encoder, each of whose NAL units fits into one packet, and is sent in one."""

    def __init__(self, log: ObjectLogger) -> None:
        super().__init__()
        self.log = log

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """Encode a frame; its slices are as small as a packet."""
        assert isinstance(frame, av.VideoFrame)
        if not _is_made_for(self, frame):
            self.codec = _codec_for(self, frame)
        return super().encode(frame, force_keyframe)

    def _packetize(self, packages: Iterable[bytes]) -> list[bytes]:  # type: ignore[override]
        """Return the NAL units as they are; none of a frame that has a larger one."""
        units = list(packages)
        largest = max(map(len, units), default=0)
        if largest <= h264.PACKET_MAX:
            return units
        self.log.warning(
            "a frame isn't sent: the peer takes H.264 with packetization-mode=0 only, whose NAL "
            "units can't be split, and one has %d bytes; a packet has %d",
            largest,
            h264.PACKET_MAX,
        )
        return []


def _is_made_for(encoder: SingleNalEncoder, frame: av.VideoFrame) -> bool:
    """Return whether aiortc would go on with its codec for a frame, too."""
    codec = encoder.codec
    if codec is None or (frame.width, frame.height) != (codec.width, codec.height):
        return False
    assert codec.bit_rate
    return abs(encoder.target_bitrate - codec.bit_rate) / codec.bit_rate <= TOLERANCE


def _codec_for(encoder: SingleNalEncoder, frame: av.VideoFrame) -> Any:
    codec: Any = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = frame.width, frame.height, "yuv420p"
    codec.bit_rate = encoder.target_bitrate
    codec.framerate = Fraction(h264.MAX_FRAME_RATE, 1)
    codec.time_base = Fraction(1, h264.MAX_FRAME_RATE)
    size = str(h264.PACKET_MAX)
    codec.options = {"level": "31", "tune": "zerolatency", "slice-max-size": size}
    codec.profile = "Baseline"
    return codec
