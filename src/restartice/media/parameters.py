"""What is asked of a sender, as the application sees it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from aiortc import RTCRtpParameters

from ..exceptions import InvalidModificationError

__all__ = [
    "RTCRtpEncodingParameters",
    "RTCRtpSendParameters",
    "check_modification",
    "common_parameters",
    "usable_encodings",
]

# What every browser accepts; RFC 8851 section 10 also has "-" and "_".
RID: Final = re.compile(r"[A-Za-z0-9]{1,16}")


@dataclass
class RTCRtpEncodingParameters:
    """How a track is encoded.

    Attributes:
        active: Whether it is sent. Nothing is encoded while it isn't.
        rid: What this one is called if there are several. Only one is ever sent.

    Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtpencodingparameters
    """

    active: bool = True
    rid: str | None = None


@dataclass
class RTCRtpSendParameters(RTCRtpParameters):
    """What a sender sends: `encodings` can be changed, and the rest is what is negotiated.

    Attributes:
        transactionId: Tells which call of getParameters() returned them.
        encodings: How the track is encoded.

    Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtpsendparameters
    """

    transactionId: str = ""
    encodings: list[RTCRtpEncodingParameters] = field(default_factory=list)


def usable_encodings(
    encodings: Iterable[RTCRtpEncodingParameters] | None,
) -> list[RTCRtpEncodingParameters]:
    """Return those that are sent: the first one, or one with the defaults.

    "Reduce the length of sendEncodings to the maximum number of total simultaneous encodings."
    One that is alone has no name.

    Raises:
        TypeError: The `rid` of one is malformed.

    Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtptransceiverinit-sendencodings
    """
    given = list(encodings or ())
    for encoding in given:
        if encoding.rid is not None and not RID.fullmatch(encoding.rid):
            raise TypeError(f"invalid rid: {encoding.rid!r}")
    first = given[0] if given else RTCRtpEncodingParameters()
    return [replace(first, rid=None)]


def check_modification(before: RTCRtpSendParameters, after: RTCRtpSendParameters) -> None:
    """Raise InvalidModificationError if something has changed that may not.

    Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtpsender-setparameters
    """
    fixed = replace(after, encodings=before.encodings)
    rids = [encoding.rid for encoding in after.encodings]
    if fixed != before or rids != [encoding.rid for encoding in before.encodings]:
        raise InvalidModificationError("only the attributes of encodings can be changed")


def common_parameters(parameters: RTCRtpParameters) -> RTCRtpParameters:
    """Return what parameters say that isn't about sending or receiving only."""
    names = vars(RTCRtpParameters())
    return RTCRtpParameters(**{name: getattr(parameters, name) for name in names})
