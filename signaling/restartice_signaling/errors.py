"""The errors of the signaling.

SignalingError
├── BadMessage          the other side sent a malformed message
├── SignalingClosed     the connection to the server is closed, or was never opened
├── NoPeer              no peer, or more than one, could be the receiver
└── ServerError         the server refused something; see its `code`
"""

__all__ = ["BadMessage", "NoPeer", "ServerError", "SignalingClosed", "SignalingError"]


class SignalingError(Exception):
    """The root of all errors of this package."""


class BadMessage(SignalingError):
    """A message is malformed. Its sender made the mistake.

    Attributes:
        ref: The `seq` of the message, or None if it is unknown.
    """

    def __init__(self, message: str, ref: int | None = None) -> None:
        super().__init__(message)
        self.ref = ref


class SignalingClosed(SignalingError):
    """The connection to the server is closed, or was never opened."""


class NoPeer(SignalingError):
    """No peer of the room, or more than one, could be the receiver."""


class ServerError(SignalingError):
    """The server refused something.

    Attributes:
        code: `"auth"`, `"bad-message"`, `"no-peer"`, `"protocol"`, `"rate-limited"`,
            `"resume-expired"`, `"room-full"` or `"too-large"`; over HTTP the
            status, such as `"404"`.
        reason: A sentence.
        ref: The `seq` of the refused message, or None.
        retry_after: The time until the client may try again, in seconds, or None.
    """

    def __init__(
        self,
        code: str,
        message: str,
        ref: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.reason = message
        self.ref = ref
        self.retry_after = retry_after
