"""What can go wrong in signaling.

SignalingError
├── BadMessage          the other side sent something malformed
├── SignalingClosed     the connection to the server is closed, or was never opened
├── NoPeer              there is no such peer in the room, or not exactly one to send to
└── ServerError         the server refused something; `code` says what
"""

__all__ = ["BadMessage", "NoPeer", "ServerError", "SignalingClosed", "SignalingError"]


class SignalingError(Exception):
    """The root of all errors of this package."""


class BadMessage(SignalingError):
    """A message is malformed: its sender's mistake.

    Attributes:
        ref: The `seq` of the message, or None if it isn't known.
    """

    def __init__(self, message: str, ref: int | None = None) -> None:
        super().__init__(message)
        self.ref = ref


class SignalingClosed(SignalingError):
    """The connection to the server is closed, or was never opened."""


class NoPeer(SignalingError):
    """There is no such peer in the room, or not exactly one that could be meant."""


class ServerError(SignalingError):
    """The server refused something.

    Attributes:
        code: One of `messages.ERROR_CODES`.
        reason: Why, as a sentence.
        ref: The `seq` of the message that was refused, or None.
        retry_after: After how many seconds it may be tried again, or None.
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
