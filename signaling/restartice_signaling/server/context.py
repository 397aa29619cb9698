"""The state that all connections of a server share, and the exception that refuses a client."""

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..protocol.messages import Error
from .metrics import Metrics
from .rooms.interface import Backend
from .settings import ServerSettings

if TYPE_CHECKING:
    from .workers import Workers

__all__ = ["Refusal", "ServerContext", "refusal"]


@dataclass
class ServerContext:
    """The state that all connections of a server share.

    Attributes:
        workers: The worker processes of the server, or None if there is only one.
        stopping: Set when the server ignores further messages, which the clients send again to the
            next server.
    """

    settings: ServerSettings
    backend: Backend
    workers: "Workers | None" = None
    metrics: Metrics = field(default_factory=Metrics)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


class Refusal(Exception):  # noqa: N818  not an error of ours
    """Refuses a client: the error is sent, and the connection is closed."""

    def __init__(self, error: Error, close_code: int) -> None:
        super().__init__(error.message)
        self.error = error
        self.close_code = close_code


def refusal(code: str, message: str, close_code: int, retry_after: float | None = None) -> Refusal:
    """Return a refusal with a fatal error."""
    return Refusal(Error(code, message, fatal=True, retry_after=retry_after), close_code)
