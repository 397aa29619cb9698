"""What a server is told when it starts."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..protocol.messages import Heartbeat, Limits
from .rooms.interface import BackendLimits
from .turn_credentials import TurnSettings

__all__ = ["ServerSettings"]


@dataclass(frozen=True)
class ServerSettings:
    """Limits, times in seconds, and what the server knows. The defaults need no thought.

    Attributes:
        secret: What room tokens are signed with, at least 32 bytes; None lets anyone into any room.
        origins: Which web sites may connect: `https://example.org`, or None for what is no
            browser. Without it, any site may with a token, and only those of this machine without.
        turn: Which TURN servers peers are told of.
        limits: What clients must keep to. They are told half of what is enforced, so that what the
            network has held up can be caught up with.
        rooms: How many rooms, peers and waiting messages there may be, and for how long a lost
            connection's place is kept.
        heartbeat: How often something must be heard from a client.
        hello_timeout: Within how many seconds a client must have said hello.
        max_connections: How many connections there may be.
        max_pending: How many of them may not have said hello; the oldest ones give way.
        newcomers: How many connections are begun in a second while many end within 10 s of their
            begin; others wait for their turn, each address after all others. Clients that come
            back all at once, and stay, don't wait.
        max_meta: The size of a client's `meta`, in characters.
        stall_timeout: For how many seconds a message waits for a peer that doesn't read, before
            that one is given up. As long as a lost connection's place is kept, since a peer whose
            connection is dead doesn't read either, and may need more than one attempt of 10 s to
            come back.
        flood_patience: For how many seconds a client may send too fast without a pause; it is read
            more and more slowly.
        reconnect_in: When clients are asked to come back after the end of this server.
        drain_timeout: Within how many seconds the server ends, whatever hangs, once it is told to.
        node: A name of the server, in logs and in what servers share.
        insecure: Whether it is meant that anyone may join where there is no secret. Otherwise a
            server that listens on loopback refuses what a proxy hands on from elsewhere.
    """

    secret: str | None = field(default=None, repr=False)
    origins: Sequence[str | None] | None = None
    turn: TurnSettings | None = None
    limits: Limits = field(default_factory=Limits)
    rooms: BackendLimits = field(default_factory=BackendLimits)
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    hello_timeout: float = 10.0
    max_connections: int = 20_000
    max_pending: int = 1_000
    newcomers: float = 100.0
    max_meta: int = 4096
    stall_timeout: float = 30.0
    flood_patience: float = 10.0
    reconnect_in: tuple[float, float] = (0.0, 2.0)
    drain_timeout: float = 10.0
    node: str = field(default_factory=lambda: secrets.token_hex(4))
    insecure: bool = False
