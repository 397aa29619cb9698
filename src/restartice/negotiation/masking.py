"""Hides unused media sections from aiortc while it works on a description."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

from aiortc.rtcrtptransceiver import RTCRtpTransceiver
from aiortc.sdp import SessionDescription

from ..sdp import description as sdp
from ..seam import mline_index, set_mline_index
from ..transports.bundle import User
from .state import State

__all__ = ["Descriptions", "SectionMask", "users_by_place"]


class Descriptions(NamedTuple):
    """The four descriptions of a connection."""

    current_local: SessionDescription | None
    pending_local: SessionDescription | None
    current_remote: SessionDescription | None
    pending_remote: SessionDescription | None

    @classmethod
    def of(cls, state: State) -> Self:
        """Return the descriptions of a connection."""
        return cls(
            state.current_local,
            state.pending_local,
            state.current_remote,
            state.pending_remote,
        )

    def only(self, places: Collection[int]) -> "Descriptions":
        """Return the descriptions with the sections at these indices only."""
        return Descriptions(*(sdp.only(description, places) for description in self))


class _Whole(NamedTuple):
    """The state before sections were hidden."""

    transceivers: list[Any]
    shown: list[Any]
    descriptions: Descriptions
    users: Mapping[int, User]


class SectionMask:
    """Hides media sections from aiortc, which can't handle rejected or stopped ones.

    While sections are hidden, other code must read transceivers and descriptions here. Transceivers
    that are added meanwhile are kept.

    Args:
        state: The slots of the connection.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self._whole: _Whole | None = None

    @property
    def transceivers(self) -> list[Any]:
        """All transceivers of the connection, including hidden ones."""
        if self._whole is None:
            return self.state.transceivers
        added = [t for t in self.state.transceivers if t not in self._whole.shown]
        return [*self._whole.transceivers, *added]

    @property
    def descriptions(self) -> Descriptions:
        """The descriptions, with hidden sections."""
        return Descriptions.of(self.state) if self._whole is None else self._whole.descriptions

    @contextmanager
    def masked(self, places: Collection[int], *, described_only: bool = False) -> Iterator[None]:
        """Hide all sections from aiortc except those at these indices, and renumber them.

        Args:
            places: The indices of the sections to show.
            described_only: Whether to hide transceivers without one of these sections, too.
        """
        whole = self._hide(sorted(places), described_only=described_only)
        try:
            yield
        finally:
            if self._whole is whole:
                self.unmask()

    def _hide(self, places: Iterable[int], *, described_only: bool) -> _Whole:
        state = self.state
        positions = {place: position for position, place in enumerate(places)}
        if described_only:
            shown = [t for t in state.transceivers if mline_index(t) in positions]
        else:
            shown = [
                t for t in state.transceivers if not t._core.stopping or mline_index(t) in positions
            ]
        users, descriptions = users_by_place(state), Descriptions.of(state)
        self._whole = _Whole(state.transceivers, list(shown), descriptions, users)
        self.set_places({positions[n]: u for n, u in users.items() if n in positions})
        state.transceivers = shown
        self._assign(descriptions.only(positions))
        for transceiver in shown:
            transceiver._core.show(shown=True)
        return self._whole

    def unmask(self) -> None:
        """Show all sections again."""
        if (whole := self._whole) is None:
            return
        for transceiver in whole.shown:
            transceiver._core.show(shown=False)
        self.state.transceivers = self.transceivers
        self._whole = None
        self._assign(whole.descriptions)
        self.set_places(whole.users)

    def set_places(self, users: Mapping[int, User]) -> None:
        """Associate media sections, by index, with transceivers or SCTP; dissociate all others."""
        state = self.state
        for transceiver in state.transceivers:
            set_mline_index(transceiver, None)
        state.sctp_mline_index = None
        for place, user in users.items():
            if isinstance(user, RTCRtpTransceiver):
                set_mline_index(user, place)
            elif user is state.sctp_transport:
                state.sctp_mline_index = place

    def _assign(self, descriptions: Descriptions) -> None:
        state = self.state
        state.current_local, state.pending_local = descriptions[:2]
        state.current_remote, state.pending_remote = descriptions[2:]


def users_by_place(state: State) -> dict[int, User]:
    """Return the transceiver or SCTP transport of each media section, by index."""
    places: dict[int | None, User] = {mline_index(t): t for t in state.transceivers}
    if state.sctp_transport is not None:
        places[state.sctp_mline_index] = state.sctp_transport
    return {place: user for place, user in places.items() if place is not None}
