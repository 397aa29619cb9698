"""Where sessions and rooms are kept: what a server asks of a backend.

A *session* is a peer's stay in a room; it outlives its connections. A *lease* is a session in the
hands of one connection. A backend keeps what a session is still to be told until that has been
acknowledged, so that any server which shares the backend can go on with it.
"""

import enum
import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from ...errors import SignalingError
from ...protocol.messages import JsonObject, PeerInfo

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

# What a peer may send.
ALL_RIGHTS: Final = frozenset({"signal", "custom"})


class BackendDown(SignalingError):  # noqa: N818  as the others
    """The backend can't be reached; what was asked may or may not have been done."""


class Overloaded(SignalingError):  # noqa: N818  as the others
    """A limit on all rooms or sessions is reached."""


class Claim(enum.Enum):
    """What somebody who wants an id may do to a session that has it."""

    NONE = "none"
    # Take its place if its connection is lost: it is the same program, started anew.
    IF_AWAY = "away"
    # Take its place: a token says whose id it is.
    ALWAYS = "always"


class Outcome(enum.Enum):
    """What became of a message."""

    DONE = "done"
    NO_PEER = "no-peer"
    # Nothing was done: somebody it is for has too much waiting.
    FULL = "full"
    # Nothing was done: somebody else has the peer's place, or another connection the session.
    LOST = "lost"
    # Nothing was done: what keeps the sessions has forgotten this one.
    FORGOTTEN = "forgotten"


@dataclass(frozen=True)
class BackendLimits:
    """How much a backend takes.

    Attributes:
        max_peers: Peers in a room.
        max_rooms: Rooms.
        max_sessions: Sessions of all rooms.
        max_unacknowledged: Messages that wait for one peer.
        max_buffered: Their size, in characters.
        max_total_buffered: The size of all that waits, in characters.
        resume_window: For how many seconds a session without a connection is kept.
    """

    max_peers: int = 8
    max_rooms: int = 10_000
    max_sessions: int = 20_000
    max_unacknowledged: int = 1024
    max_buffered: int = 1_048_576
    max_total_buffered: int = 268_435_456
    resume_window: float = 30.0


class Outlet(Protocol):
    """The connection of a lease, as a backend sees it."""

    def wake(self) -> None:
        """There may be something to send."""

    def tell(self, seq: int, text: str) -> None:
        """A message has just been added to what is to be sent; this is it."""

    def dismiss(self, code: int, reason: str) -> None:
        """The lease is gone: close."""


@dataclass(frozen=True)
class JoinRequest:
    """Who wants to join which room, under which id, if any."""

    room: str
    peer: str | None = None
    meta: JsonObject = field(default_factory=dict)
    claim: Claim = Claim.NONE
    rights: frozenset[str] = ALL_RIGHTS


@dataclass(eq=False)
class Lease:
    """A session in the hands of one connection.

    Attributes:
        key: What proves that a resume comes from the same client.
        epoch: Counts the connections of a session; an older one has no say any more.
        last: The client's last `seq` that was dealt with.
        resumed: Whether it is the session that the client had before.
        meta: What it wants others to know.
        claim: What it may do to a session that has its id.
        progress: Returns the numbers of the newest messages that the client was sent, and that it
            has sent.
        is_lost: Whether its connection was sent away because there is no such session any more.
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
        """Get ready."""

    async def close(self) -> None:
        """Let go of everything that isn't to be kept."""

    async def join(self, request: JoinRequest, outlet: Outlet) -> Lease:
        """Let a peer into a room, under the id it wants, or under another one if that is taken.

        Raises:
            ServerError: The room is full.
            Overloaded: There are too many rooms or sessions.
        """

    async def resume(
        self, session: str, key: str, last: int, outlet: Outlet, room: str | None = None
    ) -> Lease | None:
        """Go on with a session after the server's message `last`.

        Returns:
            None if there is no such session, the key is wrong, or messages would be missing.

        Raises:
            ServerError: It is in another room than the one named.
        """

    async def readmit(self, session: str, key: str, outlet: Outlet, room: str) -> Lease | None:
        """Begin a new session in the place of one that can't be resumed: the key still lets in.

        Returns:
            None if there was no such session lately, in that room and with that key.

        Raises:
            ServerError: The room is full, or the id is taken.
            Overloaded: There are too many rooms or sessions.
        """

    async def confirm(self, lease: Lease) -> None:
        """The client has shown that it has the new key, so the one before is void."""

    async def relay(  # noqa: PLR0917
        self, lease: Lease, seq: int, to: str | None, instance: str | None, text: str, force: bool
    ) -> Outcome:
        """Put a message into the outboxes of those it is for, and note `seq` as dealt with.

        Args:
            lease: Whose message it is.
            seq: Its number.
            to: A peer, EVERYONE, or None in a room of two.
            instance: Which instance of the peer it is for, or None for any.
            text: What they are told, without a number.
            force: Give up those who have too much waiting, rather than do nothing.
        """

    async def skip(self, lease: Lease, seq: int) -> None:
        """Note a message that was refused as dealt with."""

    async def wait_for_room(self, timeout: float) -> None:
        """Return when an outbox that was full may have room again."""

    async def waiting(self, lease: Lease, after: int, limit: int) -> Sequence[tuple[int, str]]:
        """Return the messages for a lease that are newer than a number, oldest first."""

    async def acknowledge(self, lease: Lease, seq: int) -> None:
        """Forget the messages up to a number.

        Raises:
            BadMessage: They were never sent.
        """

    async def detach(self, lease: Lease) -> None:
        """The connection is gone; keep the session for the resume window."""

    async def leave(self, lease: Lease, reason: str) -> None:
        """End a session."""

    async def use_once(self, token: str, expire: float) -> bool:
        """Say if a token that lets in only once has not been used before."""

    async def give_back(self, token: str) -> None:
        """Note that a token has let in nobody."""

    async def sweep(self) -> None:
        """Keep up the sessions with connections, and end those whose window is over."""


def new_secret() -> str:
    """Return 128 random bits."""
    return secrets.token_hex(16)


def key_digest(key: str) -> str:
    """Return what is kept of a key: enough to know it again, not enough to use it."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def is_key(key: str, digests: Sequence[str]) -> bool:
    """Say if a key is one of those with these digests, in constant time."""
    digest = key_digest(key)
    # All are compared, whatever comes out.
    return sum(hmac.compare_digest(digest, known) for known in digests) > 0
