"""The exceptions of the specification that aiortc doesn't have."""

from typing import Self

from aiortc import InvalidAccessError
from aiortc.exceptions import OperationError
from OpenSSL import SSL

__all__ = [
    "CandidateSyntaxError",
    "CodecError",
    "DataChannelIdError",
    "IceServerSyntaxError",
    "InvalidContentError",
    "InvalidModificationError",
    "NotSupportedError",
    "RTCError",
    "RangeError",
    "SdpSyntaxError",
    "tls_reason",
]


class InvalidModificationError(Exception):
    """The caller changed a part of a description or configuration that can't be changed.

    Spec: https://webidl.spec.whatwg.org/#invalidmodificationerror
    """


class CodecError(InvalidModificationError, ValueError):
    """The caller gave a codec that isn't supported. A ValueError, as in aiortc.

    Spec: https://webidl.spec.whatwg.org/#invalidmodificationerror
    """


class RangeError(ValueError):
    """The caller gave a number outside of its range.

    Spec: https://webidl.spec.whatwg.org/#js-rangeerror
    """


class NotSupportedError(Exception):
    """The caller asked for something that isn't supported.

    Spec: https://webidl.spec.whatwg.org/#notsupportederror
    """


class IceServerSyntaxError(ValueError):
    """The caller gave a malformed URL of an ICE server.

    Spec: https://webidl.spec.whatwg.org/#syntaxerror
    """


class CandidateSyntaxError(OperationError, ValueError):
    """An ICE candidate is malformed. A ValueError, as in aiortc.

    Caused by the sender of the description. Spec: https://webidl.spec.whatwg.org/#operationerror
    """


class DataChannelIdError(OperationError, ValueError):
    """The id of a new data channel is in use. A ValueError, as in aiortc.

    Spec: https://webidl.spec.whatwg.org/#operationerror
    """


class RTCError(OperationError):
    """A data channel has failed, usually by a mistake of the other side: its event `error`.

    Attributes:
        errorDetail: `"data-channel-failure"` if one channel has failed, `"sctp-failure"` if all
            have.
        sctpCauseCode: The number of the cause in the ABORT, or None.

    Spec: https://w3c.github.io/webrtc-pc/#rtcerror-interface
    """

    def __init__(self, message: str, detail: str, cause: int | None = None) -> None:
        super().__init__(message)
        self.errorDetail = detail
        self.sctpCauseCode = cause

    def __reduce__(self) -> tuple[type[Self], tuple[str, str, int | None]]:
        return type(self), (str(self), self.errorDetail, self.sctpCauseCode)


class SdpSyntaxError(OperationError, ValueError):
    """A line of a description isn't SDP. A ValueError, as in aiortc; `sdpLineNumber` begins at 1.

    Caused by the sender of the description. Spec: https://w3c.github.io/webrtc-pc/#rtcerror-interface
    """

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.errorDetail = "sdp-syntax-error"
        self.sdpLineNumber = line

    def __reduce__(self) -> tuple[type[Self], tuple[str, int]]:
        return type(self), (str(self), self.sdpLineNumber)


class InvalidContentError(InvalidAccessError, ValueError):
    """A description is SDP, but can't be applied. A ValueError, as in aiortc, with aiortc's texts.

    Attributes:
        sdpLineNumber: The line at fault, counted from 1; usually the first line of a media section.
            A note on the exception has it, too. None if no line is at fault.

    Caused by the sender of the description. Spec: https://webidl.spec.whatwg.org/#invalidaccesserror
    """

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.sdpLineNumber = line
        if line is not None:
            self.add_note(f"in line {line}, or the media section that begins there")

    def __reduce__(self) -> tuple[type[Self], tuple[str, int | None]]:
        return type(self), (str(self), self.sdpLineNumber)


def tls_reason(error: SSL.Error) -> str:
    """Return the reason of an error of OpenSSL, as a sentence without keys."""
    if isinstance(error, SSL.ZeroReturnError):
        return "the peer has ended it"
    if isinstance(error, SSL.SysCallError) or not error.args or not error.args[0]:
        return "OpenSSL can't continue"
    said = ", ".join(dict.fromkeys(text for _, _, text in error.args[0]))
    if "alert" in said:
        return f"the peer has refused it ({said})"
    if "read timeout expired" in said:
        return "the peer hasn't answered"
    return f"OpenSSL says: {said}"
