"""The settings of a server."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

from ..protocol.messages import Heartbeat, Limits
from ..protocol.setting import check_numbers
from .rooms.interface import BackendLimits
from .turn_credentials import TurnSettings

__all__ = ["ServerSettings"]


@dataclass(frozen=True)
class ServerSettings:
    """The settings of a server; the defaults suit most programs.

    Times are in seconds, and sizes in characters.

    Attributes:
        secret: The key that room tokens are signed with, at least 32 bytes. None lets anyone into
            any room.
        origins: The web sites that may connect, such as `https://example.org`; None among them
            stands for clients that aren't browsers. Without a list, any site may connect with a
            token, and only sites of this machine without one.
        turn: The STUN and TURN servers for the peers.
        limits: The limits that clients must keep to.
        rooms: The limits of all rooms together.
        heartbeat: How often a client must be heard from.
        hello_timeout: How long a client may take to say hello.
        max_connections: The most connections at a time.
        max_pending: The most connections that haven't said hello. Beyond it, the oldest one is
            closed.
        newcomers: The new connections that are admitted per second while many connections end
            within 10 s. The others wait, and addresses take turns. Clients that reconnect all at
            once, and stay, don't wait.
        max_meta: The size of a client's `meta`.
        stall_timeout: How long a message waits for a peer that doesn't read, before that peer is
            removed. Keep it at least as long as the resume window: a peer whose connection is
            dead doesn't read either, and may need several attempts of 10 s to reconnect.
        flood_patience: How long a client may send too fast without a pause before it is closed.
            Until then the server reads it more and more slowly.
        reconnect_in: The shortest and the longest time after which the clients of a server that
            ends connect again. Each of them takes a random time between these.
        drain_timeout: How long the server may take to end.
        node: The name of the server in its log and in Redis.
        insecure: Whether anyone may join if there is no secret. Otherwise a server that listens on
            loopback refuses requests that a proxy passes on.

    Raises:
        TypeError: Another setting has the wrong type.
        ValueError: A number is not positive, or not of its type.
    """

    secret: str | None = field(default=None, repr=False)
    origins: Sequence[str | None] | None = None
    turn: TurnSettings | None = None
    limits: Limits = field(default_factory=Limits)
    rooms: BackendLimits = field(default_factory=BackendLimits)
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    hello_timeout: Annotated[float, "s"] = 10.0
    max_connections: Annotated[int, "connections"] = 20_000
    max_pending: Annotated[int, "connections"] = 1_000
    newcomers: Annotated[float, "connections/s"] = 100.0
    max_meta: Annotated[int, "characters"] = 4096
    stall_timeout: Annotated[float, "s"] = 30.0
    flood_patience: Annotated[float, "s"] = 10.0
    reconnect_in: Annotated[tuple[float, float], "s"] = (0.0, 2.0)
    drain_timeout: Annotated[float, "s"] = 10.0
    node: str = field(default_factory=lambda: secrets.token_hex(4))
    insecure: bool = False

    def __post_init__(self) -> None:
        check_numbers(self)
        parts = {"limits": Limits, "rooms": BackendLimits, "heartbeat": Heartbeat}
        for name, kind in parts.items():
            if not isinstance(value := getattr(self, name), kind):
                raise TypeError(f"{name} must be {kind.__name__}, not {value!r}")
        # A string is a sequence of strings, too.
        if isinstance(self.origins, str):
            raise TypeError(f"origins must be a list, not the string {self.origins!r}")
