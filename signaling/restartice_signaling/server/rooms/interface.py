"""The interface of a backend, which keeps sessions and rooms for one or more servers.

A *session* is a peer's stay in a room; it outlives its connections. A *lease* gives a session to
one connection. A backend keeps the messages for a session until they are acknowledged, so any
server that shares the backend can resume it.
"""

import enum
import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final, Protocol

from ...errors import SignalingError
from ...protocol.messages import JsonObject, PeerInfo
from ...protocol.setting import check_numbers

__all__ = [
    "ALL_RIGHTS",
    "Backend",
    "BackendDown",
    "BackendLimits",
    "Claim",
    "JoinRequest",
    "Lease",
    "Outcome",
    "Outlet",
    "Overloaded",
    "is_key",
    "key_digest",
    "new_secret",
]

# The kinds of messages that a peer may send.
ALL_RIGHTS: Final = frozenset({"signal", "custom"})


class BackendDown(SignalingError):  # noqa: N818  as the others
    """The backend can't be reached; the operation may or may not have happened."""


class Overloaded(SignalingError):  # noqa: N818  as the others
    """A limit of all rooms together is reached."""


class Claim(enum.Enum):
    """When a client that asks for an id may replace the session that has it."""

    NONE = "none"
    # If the session has no connection: the same program, restarted.
    IF_AWAY = "away"
    # Always: the token is for this id.
    ALWAYS = "always"


class Outcome(enum.Enum):
    """The result of relaying a message. Only DONE and NO_PEER use up its number."""

    DONE = "done"
    NO_PEER = "no-peer"
    # The outbox of a receiver is full.
    FULL = "full"
    # Another session has the peer's id, or another connection has the session.
    LOST = "lost"
    # The backend has lost the session.
    FORGOTTEN = "forgotten"


@dataclass(frozen=True)
class BackendLimits:
    """The limits of all rooms together. Times are in seconds, and sizes in characters.

    Attributes:
        max_peers: The most peers in a room.
        max_rooms: The most rooms.
        max_sessions: The most sessions in all rooms. A session outlives its connections.
        max_total_buffered: The size of the messages that wait for all peers. Beyond it, the peers
            with the most waiting messages are removed.
        resume_window: How long a session without a connection is kept.
        redis_connections: The most connections to Redis at a time, if rooms are shared.

    Raises:
        ValueError: A value isn't a positive number of its type.
    """

    max_peers: Annotated[int, "peers"] = 8
    max_rooms: Annotated[int, "rooms"] = 10_000
    max_sessions: Annotated[int, "sessions"] = 20_000
    max_total_buffered: Annotated[int, "characters"] = 268_435_456
    resume_window: Annotated[float, "s"] = 30.0
    redis_connections: Annotated[int, "connections"] = 16

    def __post_init__(self) -> None:
        check_numbers(self)


class Outlet(Protocol):
    """The connection of a lease, as a backend sees it."""

    def wake(self) -> None:
        """Note that messages may wait."""

    def tell(self, seq: int, text: str) -> None:
        """Note that this message was added to the outbox."""

    def dismiss(self, code: int, reason: str) -> None:
        """Close the connection: it has lost the lease."""


@dataclass(frozen=True)
class JoinRequest:
    """The request of a client to join a room, with a peer id or None for any."""

    room: str
    peer: str | None = None
    meta: JsonObject = field(default_factory=dict)
    claim: Claim = Claim.NONE
    rights: frozenset[str] = ALL_RIGHTS


@dataclass(eq=False)
class Lease:
    """A session, given to one connection.

    Attributes:
        key: Proves that a resume comes from the same client.
        epoch: Counts the connections of the session. Only the newest one may use it.
        last: The last `seq` of the client that was processed.
        resumed: Whether the client resumed the session.
        meta: The `meta` of the client.
        claim: When it may replace a session that has its id.
        progress: Returns the numbers of the newest message to the client, and of the newest from
            it.
        is_lost: Whether its connection was closed because the session has ended.
    """

    session: str
    key: str = field(repr=False)
    epoch: int
    room: str
    peer: str
    instance: str
    rights: frozenset[str]
    outlet: Outlet
    last: int = 0
    resumed: bool = False
    others: tuple[PeerInfo, ...] = ()
    meta: JsonObject = field(default_factory=dict)
    claim: Claim = Claim.NONE
    progress: Callable[[], tuple[int, int]] = field(default=lambda: (0, 0), repr=False)
    is_lost: bool = False


class Backend(Protocol):
    """Keeps sessions and rooms. All methods may raise BackendDown."""

    async def start(self) -> None:
        """Start the backend."""

    async def close(self) -> None:
        """Release all resources."""

    async def join(self, request: JoinRequest, outlet: Outlet) -> Lease:
        """Add a peer to a room, with the requested id, or another one if that is taken.

        Raises:
            ServerError: The room is full.
            Overloaded: There are too many rooms or sessions.
        """

    async def resume(  # noqa: PLR0917
        self,
        session: str,
        key: str,
        last: int,
        outlet: Outlet,
        room: str | None = None,
        acknowledged: int = 0,
    ) -> Lease | None:
        """Resume a session after the server's message `last`.

        Returns:
            None if the session has ended, the key is wrong, or messages would be missing, also of
            those that the client was told to be `acknowledged`.

        Raises:
            ServerError: The session is in another room.
        """

    async def readmit(self, session: str, key: str, outlet: Outlet, room: str) -> Lease | None:
        """Begin a new session in place of one that can't be resumed; its key replaces a token.

        Returns:
            None unless a session with that key has ended lately in that room.

        Raises:
            ServerError: The room is full, or the id is taken.
            Overloaded: There are too many rooms or sessions.
        """

    async def confirm(self, lease: Lease) -> None:
        """Invalidate the key before: the client has shown that it has the new one."""

    async def relay(  # noqa: PLR0917
        self, lease: Lease, seq: int, to: str | None, instance: str | None, text: str, force: bool
    ) -> Outcome:
        """Append a message to the outboxes of its receivers, and note `seq` as processed.

        Args:
            lease: The lease of the sender.
            seq: The number of the message.
            to: A peer id, EVERYONE, or None in a room of two.
            instance: The instance of the receiver, or None for any.
            text: The message for the receivers, without a number.
            force: Whether to remove receivers whose outbox is full. Otherwise nothing is relayed.
        """

    async def skip(self, lease: Lease, seq: int) -> None:
        """Note a refused message as processed."""

    async def wait_for_room(self, timeout: float) -> None:
        """Wait until a full outbox may have room again."""

    async def waiting(self, lease: Lease, after: int, limit: int) -> Sequence[tuple[int, str]]:
        """Return the messages for a lease after a number, oldest first."""

    async def acknowledge(self, lease: Lease, seq: int) -> None:
        """Drop the messages up to a number.

        Raises:
            BadMessage: That number was never sent.
        """

    async def detach(self, lease: Lease) -> None:
        """Keep a session without a connection for the resume window."""

    async def leave(self, lease: Lease, reason: str) -> None:
        """End a session."""

    async def use_once(self, token: str, expire: float) -> bool:
        """Use a token that admits a client only once; return whether it was unused."""

    async def give_back(self, token: str) -> None:
        """Note that a token is unused after all."""

    async def sweep(self) -> None:
        """Keep the sessions that have connections, and end those whose window is over."""


def new_secret() -> str:
    """Return 128 random bits."""
    return secrets.token_hex(16)


def key_digest(key: str) -> str:
    """Return the hash of a key, which is kept in its place."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def is_key(key: str, digests: Sequence[str]) -> bool:
    """Return whether the hash of a key is one of these, in constant time."""
    digest = key_digest(key)
    # Compares all, so that the time says nothing.
    return sum(hmac.compare_digest(digest, known) for known in digests) > 0
