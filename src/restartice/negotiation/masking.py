"""What aiortc is shown of a connection: the media sections in use, as if there were no others."""

from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self

from aiortc.rtcrtptransceiver import RTCRtpTransceiver
from aiortc.sdp import SessionDescription

from ..sdp import description as sdp
from ..seam import ConnectionView, mline_index, set_mline_index

__all__ = ["Descriptions", "Shown", "User", "set_places", "users_by_place"]

# A transceiver or the SCTP transport.
User = Any


class Descriptions(NamedTuple):
    """The four descriptions of a connection."""

    current_local: SessionDescription | None
    pending_local: SessionDescription | None
    current_remote: SessionDescription | None
    pending_remote: SessionDescription | None

    @classmethod
    def of(cls, connection: ConnectionView) -> Self:
        """Return those of a connection."""
        return cls(
            connection.current_local,
            connection.pending_local,
            connection.current_remote,
            connection.pending_remote,
        )

    def restore(self, connection: ConnectionView) -> None:
        """Give them to a connection."""
        connection.current_local, connection.pending_local = self[:2]
        connection.current_remote, connection.pending_remote = self[2:]

    def only(self, places: Collection[int]) -> "Descriptions":
        """Return them with the sections at some places only."""
        return Descriptions(*(sdp.only(description, places) for description in self))


class Shown:
    """A time in which aiortc sees only the sections at some places, renumbered.

    It knows neither rejected sections nor stopped transceivers. What else asks for transceivers or
    descriptions meanwhile has to look here; what is added meanwhile is kept.

    Args:
        connection: The connection.
        places: The places of the sections that are shown.
        described_only: Whether what has none of these sections must not be seen either.
    """

    def __init__(
        self, connection: ConnectionView, places: Collection[int], *, described_only: bool
    ) -> None:
        self._connection = connection
        self._places = sorted(places)
        self._described_only = described_only
        self._left = False
        self._transceivers = connection.transceivers
        self._shown: list[Any] = []
        self._users = users_by_place(connection)
        self.descriptions = Descriptions.of(connection)

    @property
    def left(self) -> bool:
        """Whether that time is over."""
        return self._left

    @property
    def transceivers(self) -> list[Any]:
        """All transceivers of the connection."""
        added = [t for t in self._connection.transceivers if t not in self._shown]
        return [*self._transceivers, *added]

    def __enter__(self) -> Self:
        connection = self._connection
        positions = {place: position for position, place in enumerate(self._places)}
        if self._described_only:
            seen = [t for t in self._transceivers if mline_index(t) in positions]
        else:
            seen = [t for t in self._transceivers if not t._core.stopping]
        set_places(connection, {positions[n]: u for n, u in self._users.items() if n in positions})
        self._shown = list(seen)
        connection.transceivers = seen
        self.descriptions.only(positions).restore(connection)
        for transceiver in seen:
            transceiver._core.shown = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.leave()

    def leave(self) -> None:
        """Let aiortc see everything again; once."""
        if self._left:
            return
        for transceiver in self._shown:
            transceiver._core.shown = False
        self._connection.transceivers = self.transceivers
        self._left = True
        self.descriptions.restore(self._connection)
        set_places(self._connection, self._users)


def users_by_place(connection: ConnectionView) -> dict[int, User]:
    """Return what the media sections stand for, by their places."""
    places: dict[int | None, User] = {mline_index(t): t for t in connection.transceivers}
    if connection.sctp_transport is not None:
        places[connection.sctp_mline_index] = connection.sctp_transport
    return {place: user for place, user in places.items() if place is not None}


def set_places(connection: ConnectionView, users: Mapping[int, User]) -> None:
    """Say what each media section stands for; what isn't named has none."""
    for transceiver in connection.transceivers:
        set_mline_index(transceiver, None)
    connection.sctp_mline_index = None
    for place, user in users.items():
        if isinstance(user, RTCRtpTransceiver):
            set_mline_index(user, place)
        elif user is connection.sctp_transport:
            connection.sctp_mline_index = place
