"""Assigns media sections to transports."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import aiortc
from aiortc.rtcrtptransceiver import RTCRtpTransceiver

from ..ice.handover import IceTransportCore
from ..sdp.description import bundled_mids
from ..seam import ConnectionView, mark_bundled, mline_index
from .dtls import RTCDtlsTransport, parked_stops

if TYPE_CHECKING:
    from aiortc.sdp import SessionDescription

__all__ = [
    "Bundle",
    "User",
    "dtls_transport",
    "ice_transport",
    "is_stopped",
    "is_stopping",
    "move",
    "stop_transports",
]

User = aiortc.RTCRtpTransceiver | aiortc.RTCSctpTransport


class Bundle:
    """Keeps track of transports and their users, which a BUNDLE group shares.

    Args:
        view: The slots of the connection.
    """

    def __init__(self, view: ConnectionView) -> None:
        self._view = view
        # The live sections of a remote offer, before they are associated.
        self._offered: SessionDescription | None = None
        # The live sections of the remote description that aiortc is applying.
        self._applied: SessionDescription | None = None
        # Transports that a BUNDLE group no longer needs; the answer makes that final.
        self._parked: set[aiortc.RTCDtlsTransport] = set()

    # The users of transports.

    def users(self) -> list[User]:
        """Return the transceivers and the SCTP transport."""
        sctp = [] if self._view.sctp_transport is None else [self._view.sctp_transport]
        return [*self._view.transceivers, *sctp]

    def active_users(self) -> list[User]:
        """Return the users that can have a live media section in our next offer."""
        return [user for user in self.users() if not is_stopping(user)]

    def user_of(self, mid: str) -> User | None:
        """Return the transceiver or SCTP transport of a live media section, or None."""
        return next((u for u in self.users() if u.mid == mid and not is_stopped(u)), None)

    # Their transports.

    def transports_by_use(self) -> list[IceTransportCore]:
        """Return the ICE transports, each once, in the order of their users."""
        return list(dict.fromkeys(ice_transport(user) for user in self.users()))

    def transport_at(self, index: int) -> IceTransportCore | None:
        """Return the ICE transport of a media section, by index, or None."""
        for transceiver in self._view.transceivers:
            if mline_index(transceiver) == index:
                return ice_transport(transceiver)
        sctp = self._view.sctp_transport
        return ice_transport(sctp) if sctp and self._view.sctp_mline_index == index else None

    def transport_of(self, mid: str) -> IceTransportCore | None:
        """Return the ICE transport of a media section, by mid, or None."""
        return next((ice_transport(user) for user in self.users() if user.mid == mid), None)

    def common_transport(self) -> RTCDtlsTransport | None:
        """Return the transport for a new section, or None if it needs its own."""
        view = self._view
        group = {*bundled_mids(view.current_local)} & {*bundled_mids(view.current_remote)}
        remote = self._offered or self._applied
        if remote is not None and {m.rtp.muxId for m in remote.media} - {*bundled_mids(remote)}:
            return None
        # That of the first offer is accepted, too.
        group = group or {*bundled_mids(remote)}
        users = self._alive(user for user in self.users() if user.mid in group)
        return next(map(dtls_transport, users), None)

    def dead_transports(self) -> set[RTCDtlsTransport]:
        """Return the negotiated transports whose sections are all stopped."""
        # Called for each new transceiver, so it iterates over the users only once.
        users = [(user, dtls_transport(user)) for user in self.users()]
        alive = set(self._alive(user for user, _ in users))
        dead = {
            t for user, t in users if user.mid is not None or t.transport._core.remote is not None
        }
        return dead - {transport for user, transport in users if user in alive}

    def _alive(self, users: Iterable[User]) -> Iterator[User]:
        """Return the users with a section in the remote offer, or in our next offer."""
        if self._offered is None:
            return (u for u in users if u.mid is not None and not is_stopping(u))
        offered = {media.rtp.muxId for media in self._offered.media}
        return (user for user in users if user.mid in offered)

    def join(self) -> None:
        """Move users without a section to the transport of the BUNDLE group.

        They were added during the negotiation of the group. Both sides must use the group's
        transport for later sections. (RFC 9143 section 7)
        """
        common = self.common_transport()
        if common is None:
            return
        for user in self.users():
            if user.mid is None:
                move(user, common)

    # Applying a remote description.

    @contextmanager
    def offered(self, description: "SessionDescription") -> Iterator[None]:
        """Choose transports by a remote offer, given its live sections, during a with statement."""
        self._offered = description
        try:
            yield
        finally:
            self._offered = None

    @contextmanager
    def applied(self, description: "SessionDescription") -> Iterator[None]:
        """Let aiortc apply the live sections of a remote description.

        Transports that aiortc stops or discards are kept, as a rollback may need them.
        """
        before = self._used()
        self._applied = description
        try:
            with parked_stops(before):
                yield
        finally:
            self._applied = None
        used = self._used()
        # aiortc also discards transports that are in use.
        for transport in before & used:
            self._view.dtls_transports.add(transport)
            self._view.ice_transports.add(transport.transport)
        self._parked |= before - used

    @property
    def is_incomplete(self) -> bool:
        """Whether aiortc is applying a remote description, so that transports may be missing."""
        return self._applied is not None

    def mark_bundled(self, description: "SessionDescription") -> None:
        """Tell aiortc which sections use the BUNDLE group's transport, and which must move to it.

        aiortc itself counts all sections that share a transport as bundled, but all sections of a
        kind share one from the start.
        """
        group = bundled_mids(description)
        shared = [dtls_transport(user) for user in self.users() if user.mid in group[:1]]
        for user in self.users():
            if user.mid in group:
                mark_bundled(user, bundled=dtls_transport(user) in shared)

    # Unneeded transports.

    def take_back(self) -> None:
        """Note that a rollback has put transports back in use."""
        self._parked -= self._view.dtls_transports

    def take_unneeded(self) -> set[aiortc.RTCDtlsTransport]:
        """Remove and return the transports without users."""
        unused = self._view.dtls_transports - self._used()
        for transport in unused:
            self._view.dtls_transports.discard(transport)
            self._view.ice_transports.discard(transport.transport)
        unneeded, self._parked = self._parked | unused, set()
        return unneeded

    def _used(self) -> set[RTCDtlsTransport]:
        return {dtls_transport(user) for user in self.users()}


def dtls_transport(user: User) -> RTCDtlsTransport:
    """Return the DTLS transport of a transceiver or SCTP."""
    carried = user.receiver if isinstance(user, RTCRtpTransceiver) else user
    transport = carried.transport
    assert isinstance(transport, RTCDtlsTransport)
    return transport


def ice_transport(user: User) -> IceTransportCore:
    """Return the core of the ICE transport of a transceiver or SCTP."""
    return dtls_transport(user).transport._core


def is_stopping(user: User) -> bool:
    """Return whether our next offer rejects its section: it is a transceiver with [[Stopping]]."""
    return isinstance(user, RTCRtpTransceiver) and bool(user.stopped)


def is_stopped(user: User) -> bool:
    """Return whether an answer rejects its section, too: it is one with [[Stopped]]."""
    return isinstance(user, RTCRtpTransceiver) and user.currentDirection == "stopped"


def move(user: User, transport: RTCDtlsTransport) -> None:
    """Move a transceiver or SCTP to another DTLS transport."""
    if isinstance(user, RTCRtpTransceiver):
        user.sender.setTransport(transport)
        user.receiver.setTransport(transport)
    else:
        user.setTransport(transport)


async def stop_transports(
    transports: Iterable[aiortc.RTCDtlsTransport], *, quietly: bool = False
) -> None:
    """Stop DTLS transports and the ICE transports below them.

    Args:
        transports: The DTLS transports.
        quietly: Whether to stop without telling the peer. The peer drops unneeded transports by
            itself, and plain aiortc closes the connection when all DTLS transports end.
    """
    for transport in list(transports):
        try:
            if quietly:
                await transport.transport.stop()
            await transport.stop()
        finally:
            await transport.transport.stop()
