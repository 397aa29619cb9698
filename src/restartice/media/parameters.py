"""The parameters of a sender that an application reads and changes."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Final

import aiortc
from aiortc import RTCRtpCodecCapability, RTCRtpParameters

from ..exceptions import CodecError, InvalidModificationError, RangeError

__all__ = [
    "RTCRtcpParameters",
    "RTCRtpEncodingParameters",
    "RTCRtpSendParameters",
    "check_modification",
    "common_parameters",
    "supported",
    "usable_encodings",
    "with_limits",
]

# Every browser accepts this; RFC 8851 section 10 also has "-" and "_".
RID: Final = re.compile(r"[A-Za-z0-9]{1,16}")


@dataclass
class RTCRtcpParameters(aiortc.RTCRtcpParameters):
    """How RTCP is used.

    Attributes:
        reducedSize: Whether reduced-size RTCP (RFC 5506) is negotiated. aiortc doesn't offer it.

    Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtcpparameters
    """

    reducedSize: bool = False


@dataclass
class RTCRtpEncodingParameters:
    """The encoding of a track.

    Attributes:
        active: Whether it is encoded and sent.
        rid: Its name among several encodings. Only one encoding is ever sent.
        maxBitrate: The most bits of video in a second, or None for no limit. aiortc's encoders go
            down to 250,000 (VP8) or 500,000 (H.264). None for audio, whose rate is fixed.
        maxFramerate: The most frames of video in a second, 0 for none at all, None for no limit.
        scaleResolutionDownBy: The factor by which width and height of a video are divided, at
            least 1. None for no change.

    Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtpencodingparameters
    """

    active: bool = True
    rid: str | None = None
    maxBitrate: int | None = None
    maxFramerate: float | None = None
    scaleResolutionDownBy: float | None = None


@dataclass
class RTCRtpSendParameters(RTCRtpParameters):
    """The parameters of a sender: change `encodings`; the other fields are negotiated.

    Attributes:
        transactionId: The id of the call of getParameters() that returned them.
        encodings: How the track is encoded.

    Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtpsendparameters
    """

    transactionId: str = ""
    encodings: list[RTCRtpEncodingParameters] = field(default_factory=list)


def usable_encodings(
    kind: str, encodings: Iterable[RTCRtpEncodingParameters] | None = None
) -> list[RTCRtpEncodingParameters]:
    """Return the encodings that are sent: the first one, or one with the defaults.

    "Reduce the length of sendEncodings to the maximum number of total simultaneous encodings."
    A single encoding has no name.

    Args:
        kind: `"audio"` or `"video"`.
        encodings: The wanted ones.

    Raises:
        RangeError: A limit of an encoding is out of its range.
        TypeError: The `rid` of an encoding is malformed, missing or there twice, or this is none.

    Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtptransceiverinit-sendencodings
    """
    given = list(encodings or ())
    for encoding in given:
        if not isinstance(encoding, RTCRtpEncodingParameters):
            kind = type(encoding).__name__
            raise TypeError(f"expected encodings that are RTCRtpEncodingParameters, got {kind}")
        if encoding.rid is not None and not RID.fullmatch(encoding.rid):
            raise TypeError(f"rid must be 1 to 16 ASCII letters and digits, not {encoding.rid!r}")
    rids = [encoding.rid for encoding in given]
    if len(rids) > 1 and (None in rids or len(set(rids)) < len(rids)):
        raise TypeError(f"several encodings must have a rid each, and different ones, not {rids}")
    effective = [with_limits(kind, encoding) for encoding in given]
    return [replace(effective[0] if effective else with_limits(kind), rid=None)]


def with_limits(
    kind: str, encoding: RTCRtpEncodingParameters | None = None
) -> RTCRtpEncodingParameters:
    """Return a copy of an encoding with the limits that a kind of media has.

    Raises:
        RangeError: A limit is out of its range.
        TypeError: A limit isn't a number.

    Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtpencodingparameters
    """
    given = encoding or RTCRtpEncodingParameters()
    if kind == "audio":
        return replace(given, maxBitrate=None, maxFramerate=None, scaleResolutionDownBy=None)
    scale = given.scaleResolutionDownBy
    found = replace(given, scaleResolutionDownBy=1.0 if scale is None else scale)
    for name, least in (("maxBitrate", 0), ("maxFramerate", 0), ("scaleResolutionDownBy", 1)):
        limit = getattr(found, name)
        if limit is None:
            continue
        if isinstance(limit, bool) or not isinstance(limit, int | float) or not isfinite(limit):
            raise TypeError(f"{name} must be a number, not {limit!r}")
        if limit < least:
            raise RangeError(f"{name} must be at least {least}, not {limit!r}")
    return found


def supported(
    codecs: Iterable[RTCRtpCodecCapability], capabilities: Sequence[RTCRtpCodecCapability]
) -> list[RTCRtpCodecCapability]:
    """Return the capabilities that codecs match, each once.

    Raises:
        CodecError: One matches none, or none of them carries media.
        TypeError: One isn't a codec.

    Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtptransceiver-setcodecpreferences
    """
    chosen: list[RTCRtpCodecCapability] = []
    for codec in codecs:
        if not isinstance(codec, RTCRtpCodecCapability | aiortc.RTCRtpCodecParameters):
            raise TypeError(f"expected codecs that are RTCRtpCodecCapability, got {codec!r}")
        wanted = _matched(codec)
        found = next((c for c in capabilities if _matched(c) == wanted), None)
        if found is None:
            raise CodecError("Codec is not in capabilities")
        if found not in chosen:
            chosen.append(found)
    if chosen and all(codec.name.lower() == "rtx" for codec in chosen):
        raise CodecError("expected a codec that carries media, got only repeated packets (RTX)")
    return chosen


def _matched(codec: RTCRtpCodecCapability) -> tuple[object, ...]:
    return codec.mimeType.lower(), codec.clockRate, codec.channels, codec.parameters


def check_modification(before: RTCRtpSendParameters, after: RTCRtpSendParameters) -> None:
    """Raise InvalidModificationError if another field than attributes of encodings differs.

    Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtpsender-setparameters
    """
    fixed = replace(after, encodings=before.encodings)
    changed = [name for name, value in vars(fixed).items() if value != getattr(before, name)]
    if [encoding.rid for encoding in after.encodings] != [e.rid for e in before.encodings]:
        changed.append("the rids of encodings")
    if changed:
        raise InvalidModificationError(
            f"expected changes of attributes of encodings only, got others: {', '.join(changed)}"
        )


def common_parameters(parameters: RTCRtpParameters) -> RTCRtpParameters:
    """Return a copy of the parameters that both senders and receivers have."""
    # copy.deepcopy() takes a sixth of all function calls of a set-up with media.
    return RTCRtpParameters(
        codecs=[_copy_of(codec) for codec in parameters.codecs],
        headerExtensions=[replace(extension) for extension in parameters.headerExtensions],
        muxId=parameters.muxId,
        rtcp=RTCRtcpParameters(**vars(parameters.rtcp)),
    )


def _copy_of(codec: aiortc.RTCRtpCodecParameters) -> aiortc.RTCRtpCodecParameters:
    return replace(
        codec,
        rtcpFeedback=[replace(feedback) for feedback in codec.rtcpFeedback],
        parameters={**codec.parameters},
    )
