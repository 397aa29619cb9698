"""The parameters of a sender that an application reads and changes."""

import copy
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import aiortc
from aiortc import RTCRtpCodecCapability, RTCRtpParameters

from ..exceptions import CodecError, InvalidModificationError

__all__ = [
    "RTCRtcpParameters",
    "RTCRtpEncodingParameters",
    "RTCRtpSendParameters",
    "check_modification",
    "common_parameters",
    "supported",
    "usable_encodings",
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

    Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtpencodingparameters
    """

    active: bool = True
    rid: str | None = None


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
    encodings: Iterable[RTCRtpEncodingParameters] | None,
) -> list[RTCRtpEncodingParameters]:
    """Return the encodings that are sent: the first one, or one with the defaults.

    "Reduce the length of sendEncodings to the maximum number of total simultaneous encodings."
    A single encoding has no name.

    Raises:
        TypeError: The `rid` of an encoding is malformed, or this is none.

    Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtptransceiverinit-sendencodings
    """
    given = list(encodings or ())
    for encoding in given:
        if not isinstance(encoding, RTCRtpEncodingParameters):
            kind = type(encoding).__name__
            raise TypeError(f"expected encodings that are RTCRtpEncodingParameters, got {kind}")
        if encoding.rid is not None and not RID.fullmatch(encoding.rid):
            raise TypeError(f"rid must be 1 to 16 ASCII letters and digits, not {encoding.rid!r}")
    first = given[0] if given else RTCRtpEncodingParameters()
    return [replace(first, rid=None)]


def supported(
    codecs: Iterable[RTCRtpCodecCapability], capabilities: Sequence[RTCRtpCodecCapability]
) -> list[RTCRtpCodecCapability]:
    """Return the capabilities that codecs match, each once.

    Raises:
        CodecError: One matches none, or none of them carries media.

    Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtptransceiver-setcodecpreferences
    """
    chosen: list[RTCRtpCodecCapability] = []
    for codec in codecs:
        wanted = _matched(codec)
        found = next((c for c in capabilities if _matched(c) == wanted), None)
        if found is None:
            raise CodecError(f"expected codecs of getCapabilities(), got {codec!r}")
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
    names = vars(RTCRtpParameters())
    common = RTCRtpParameters(**{name: getattr(parameters, name) for name in names})
    common.rtcp = RTCRtcpParameters(**vars(parameters.rtcp))
    return copy.deepcopy(common)
