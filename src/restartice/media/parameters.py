"""The parameters of a sender that an application reads and changes."""

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

# Every browser accepts this; RFC 8851 section 10 also has "-" and "_".
RID: Final = re.compile(r"[A-Za-z0-9]{1,16}")


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
        TypeError: The `rid` of an encoding is malformed.

    Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtptransceiverinit-sendencodings
    """
    given = list(encodings or ())
    for encoding in given:
        if encoding.rid is not None and not RID.fullmatch(encoding.rid):
            raise TypeError(f"rid must be 1 to 16 ASCII letters and digits, not {encoding.rid!r}")
    first = given[0] if given else RTCRtpEncodingParameters()
    return [replace(first, rid=None)]


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
    """Return the parameters that both senders and receivers have."""
    names = vars(RTCRtpParameters())
    return RTCRtpParameters(**{name: getattr(parameters, name) for name in names})
