"""The exceptions of the specification that aiortc doesn't have."""

from typing import Self

from aiortc import InvalidAccessError
from aiortc.exceptions import OperationError
from OpenSSL import SSL

__all__ = [
    "CandidateSyntaxError",
    "IceServerSyntaxError",
    "InvalidContentError",
    "InvalidModificationError",
    "RTCError",
    "SdpSyntaxError",
    "tls_reason",
]


class InvalidModificationError(Exception):
    """A description, or a configuration, was changed in a way that isn't allowed.

    The caller's mistake. Spec: https://webidl.spec.whatwg.org/#invalidmodificationerror
    """


class IceServerSyntaxError(ValueError):
    """The URL of an ICE server is malformed.

    The caller's mistake. Spec: https://webidl.spec.whatwg.org/#syntaxerror
    """


class CandidateSyntaxError(OperationError, ValueError):
    """An ICE candidate is malformed. A ValueError, as in aiortc.

    Caused by the sender of the description. Spec: https://webidl.spec.whatwg.org/#operationerror
    """


class RTCError(OperationError):
    """Data channels have failed, which is what they emit `error` with.

    Attributes:
        errorDetail: `"data-channel-failure"` if it is one of them, `"sctp-failure"` if it is all.
        sctpCauseCode: The number of the cause if an ABORT told one, or None.

    Mostly the mistake of the other side.

    Spec: https://w3c.github.io/webrtc-pc/#rtcerror-interface
    """

    def __init__(self, message: str, detail: str, cause: int | None = None) -> None:
        super().__init__(message)
        self.errorDetail = detail
        self.sctpCauseCode = cause

    def __reduce__(self) -> tuple[type[Self], tuple[str, str, int | None]]:
        return type(self), (str(self), self.errorDetail, self.sctpCauseCode)


class SdpSyntaxError(OperationError, ValueError):
    """A description isn't SDP; `sdpLineNumber` counts from 1. A ValueError, as in aiortc.

    Caused by the sender of the description. Spec: https://w3c.github.io/webrtc-pc/#rtcerror-interface
    """

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.errorDetail = "sdp-syntax-error"
        self.sdpLineNumber = line

    def __reduce__(self) -> tuple[type[Self], tuple[str, int]]:
        return type(self), (str(self), self.sdpLineNumber)


class InvalidContentError(InvalidAccessError, ValueError):
    """A description is SDP, but says what can't be. A ValueError, as in aiortc, with its texts.

    Attributes:
        sdpLineNumber: The first line of the media section that is meant, counted from 1, or None.
            A note of the exception tells it, too.

    Caused by the sender of the description. Spec: https://webidl.spec.whatwg.org/#invalidaccesserror
    """

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.sdpLineNumber = line
        if line is not None:
            self.add_note(f"in the media section that begins in line {line}")

    def __reduce__(self) -> tuple[type[Self], tuple[str, int | None]]:
        return type(self), (str(self), self.sdpLineNumber)


def tls_reason(error: SSL.Error) -> str:
    """Return what OpenSSL says of an error, in a sentence without keys."""
    if isinstance(error, SSL.ZeroReturnError):
        return "the peer has ended it"
    if isinstance(error, SSL.SysCallError) or not error.args or not error.args[0]:
        return "OpenSSL can't go on"
    said = ", ".join(dict.fromkeys(text for _, _, text in error.args[0]))
    if "alert" in said:
        return f"the peer has refused it ({said})"
    if "read timeout expired" in said:
        return "the peer hasn't answered"
    return f"OpenSSL says: {said}"
