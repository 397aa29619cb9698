"""H.264 without fragments, packetization mode 0, which aiortc neither negotiates nor sends."""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from itertools import count
from typing import Any, Final

import av
from aiortc.codecs import h264, is_rtx
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from av.frame import Frame

from ..logs import ObjectLogger
from .names import require

__all__ = [
    "SingleNalEncoder",
    "is_single_nal",
    "say_single_nal",
    "single_nal_codecs",
    "with_fragments",
]


H264: Final = "h264"
# The payload types from here on are none that aiortc gives to a codec by itself.
FIRST_FREE: Final = 112
MODE: Final = "packetization-mode"
# By how much the rate may differ from the wanted one before aiortc makes its encoder anew.
TOLERANCE: Final = 0.1

for _name in ("_encode_frame", "_packetize"):
    require(h264.H264Encoder, _name)


def is_single_nal(codec: RTCRtpCodecParameters) -> bool:
    """Return whether this is H.264 in mode 0, which is the default. (RFC 6184 section 8.1)."""
    return codec.name.lower() == H264 and str(codec.parameters.get(MODE, "0")) == "0"


def with_fragments(codecs: Iterable[RTCRtpCodecParameters]) -> list[RTCRtpCodecParameters]:
    """Return codecs with H.264 of mode 0 shown as mode 1, which aiortc reads; it can receive both.

    Spec: RFC 6184 section 6.2: mode 0 has single NAL units only, which mode 1 has, too.
    """
    return [_in_mode(codec, "1") if is_single_nal(codec) else codec for codec in codecs]


def say_single_nal(codecs: Iterable[RTCRtpCodecParameters]) -> list[RTCRtpCodecParameters]:
    """Return codecs with all H.264 in mode 0, as negotiated with a peer that knows no other."""
    return [_in_mode(codec, "0") if codec.name.lower() == H264 else codec for codec in codecs]


def _in_mode(codec: RTCRtpCodecParameters, mode: str) -> RTCRtpCodecParameters:
    return replace(codec, parameters={**codec.parameters, MODE: mode})


def single_nal_codecs(codecs: Iterable[RTCRtpCodecParameters]) -> list[RTCRtpCodecParameters]:
    """Return those of a transceiver's codecs that are H.264 in mode 0, and what repeats them.

    They have numbers that aiortc doesn't use in an offer.
    """
    free = count(FIRST_FREE)
    numbers: dict[object, int] = {}
    found = []
    for codec in codecs:
        parameters = dict(codec.parameters)
        if is_rtx(codec) and parameters.get("apt") in numbers:
            parameters["apt"] = numbers[parameters["apt"]]
        elif not is_single_nal(codec):
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
