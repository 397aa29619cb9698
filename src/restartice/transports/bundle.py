"""The transports of a connection: which there are, whose they are, and the states they make up."""

import asyncio
import logging
import weakref
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import aiortc
from aiortc import RTCBundlePolicy
from aiortc.rtcrtptransceiver import RTCRtpTransceiver

from ..configuration import check_change, in_force, validated
from ..event_loop import LoopAffinity
from ..events import shield
from ..ice.gatherer import RTCIceGatherer
from ..ice.gathering.forgotten import OpenConnections
from ..ice.gathering.servers import RTCPeerConnectionIceErrorEvent
from ..ice.gathering.turn import Releases
from ..ice.transport import RTCIceTransport
from ..sdp.description import bundled_mids
from ..seam import ConnectionView, HookedPeerConnection, mark_bundled, mline_index
from ..settings import IceSettings
from .data_channel import adopt
from .dtls import RTCDtlsTransport
from .failure_timer import FailureTimer
from .resumption import resume
from .sctp import RTCSctpTransport
from .states import (
    aggregate_connection_state,
    aggregate_gathering_state,
    aggregate_ice_connection_state,
    has_failed,
)

if TYPE_CHECKING:
    from aiortc.sdp import SessionDescription

__all__ = ["TransportOwner", "stop_transports"]

logger = logging.getLogger(__name__)

User = aiortc.RTCRtpTransceiver | aiortc.RTCSctpTransport


class TransportOwner(ConnectionView):
    """What has the transports of a connection."""

    def __init__(self, pc: HookedPeerConnection, settings: IceSettings) -> None:
        if not isinstance(settings, IceSettings):
            raise TypeError(f"iceSettings must be IceSettings, not {type(settings).__name__}")
        super().__init__(pc)
        if certificates := validated(self.configuration).certificates:
            self.certificates = list(certificates)
        self.ice_settings = settings
        self.home = LoopAffinity()
        self.failure_timer = FailureTimer(settings.failed_timeout, self._end)
        # While aiortc applies a remote description its transports are incomplete.
        self.applying_remote: SessionDescription | None = None
        # The sections in use of a remote offer, from before they are associated.
        self.remote_offer: SessionDescription | None = None
        # aiortc's own mark comes when the operation under way has ended.
        self.is_closed = False
        # Transports that a BUNDLE group made superfluous, until the answer makes that final.
        self.parked: set[RTCDtlsTransport] = set()
        # All that there have been, of which some are being stopped in the background.
        self.made_transports: weakref.WeakSet[RTCDtlsTransport] = weakref.WeakSet()
        self._background: set[asyncio.Task[None]] = set()
        self.releases = Releases()
        self._open_connections = OpenConnections()
        self._open_connections.belong_to(pc)

    def configure(self, configuration: aiortc.RTCConfiguration | None, *, described: bool) -> None:
        """Put another configuration in force, from the next gathering."""
        new = validated(configuration)
        old = in_force(validated(self.configuration), self.certificates)
        check_change(old, new, described=described)
        self.configuration = new
        for transport in self.transports_by_use():
            transport.gatherer.configure(new.iceServers, new.iceTransportPolicy)

    def create_dtls_transport(self) -> RTCDtlsTransport:
        """Return the transport of the BUNDLE group if there is one, else make one.

        Once a group is negotiated, what is added later rides on its transport. (RFC 9143 section 7)
        """
        return self._bundle_transport() or self._make_dtls_transport()

    def _make_dtls_transport(self) -> RTCDtlsTransport:
        # All of a BUNDLE group have the same credentials, but not those of what has ended.
        dead = self._dead_transports()
        alive = (user for user in self.users() if dtls_transport(user) not in dead)
        credentials = next((ice_transport(user).credentials for user in alive), None)
        gatherer = RTCIceGatherer(
            iceServers=self.configuration.iceServers,
            iceTransportPolicy=self.configuration.iceTransportPolicy,
            local_username=None if credentials is None else credentials.ufrag,
            local_password=None if credentials is None else credentials.password,
            settings=self.ice_settings,
            releases=self.releases,
            open_connections=self._open_connections,
            pacer=next((other.gatherer.pacer for other in self.transports_by_use()), None),
        )
        gatherer.listeners_internal.append(self.update_ice_gathering_state)
        gatherer.on_news = self.announce_candidates
        gatherer.on_server_error = self.announce_server_error
        ice = RTCIceTransport(gatherer, self.ice_settings)
        ice.listeners_internal += [self.update_ice_connection_state, self.update_connection_state]
        ice.resumed = lambda lossy: resume(self, ice, lossy=lossy)
        dtls = RTCDtlsTransport(ice, self.certificates)
        dtls.on("statechange", self.update_connection_state)
        dtls.on_cancelled = self._end_with_program
        ice.traffic.total = dtls.traffic
        self.ice_transports.add(ice)
        self.dtls_transports.add(dtls)
        self.made_transports.add(dtls)
        self.update_transport_states()
        return dtls

    def create_sctp_transport(self) -> None:
        """Create the SCTP transport, whose channels can't end the connection by their listeners."""
        self.place_sctp(self._make_sctp_transport)

    def _make_sctp_transport(self, transport: aiortc.RTCDtlsTransport) -> RTCSctpTransport:
        sctp = RTCSctpTransport(transport)

        @sctp.on("datachannel")
        def announce(channel: aiortc.RTCDataChannel) -> None:
            self.take_channel(channel)
            self.emit("datachannel", channel)

        return sctp

    def take_channel(self, channel: aiortc.RTCDataChannel) -> None:
        """Let a data channel fail neither by its listeners nor by calls from other threads."""
        shield(channel)
        adopt(channel, self.home)

    @contextmanager
    def sctp_if_needed(self) -> Iterator[None]:
        """Forget an SCTP transport that is made here for a data channel, if that fails."""
        sctp, dtls, ice = self.sctp_transport, {*self.dtls_transports}, {*self.ice_transports}
        try:
            yield
        except Exception:
            self.sctp_transport = sctp
            self.dtls_transports.intersection_update(dtls)
            self.ice_transports.intersection_update(ice)
            self.update_transport_states()
            raise

    def in_background(self, job: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something whose failure concerns nobody, and end it when the connection closes."""
        task = asyncio.ensure_future(job)
        self._background.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.debug("In the background: %r", error)

    async def end_background(self) -> None:
        """Let what runs in the background come to its end."""
        await asyncio.gather(*self._background, return_exceptions=True)

    def transport_for(self, kind: str) -> tuple[RTCDtlsTransport, bool]:
        """Return the transport for a new transceiver, and whether it is shared from the start.

        Spec: https://w3c.github.io/webrtc-pc/#rtcbundlepolicy-enum
        """
        policy = self.configuration.bundlePolicy
        peers = [t for t in self.transceivers if t.kind == kind]
        if policy is RTCBundlePolicy.MAX_BUNDLE:
            peers = self.users()
        dead = self._dead_transports()
        peers = [user for user in peers if dtls_transport(user) not in dead]
        if peers and policy is not RTCBundlePolicy.MAX_COMPAT:
            return dtls_transport(peers[0]), True
        return self.create_dtls_transport(), False

    def announce_candidates(self) -> None:
        """Make known what was found for descriptions that have been set."""
        raise NotImplementedError

    def announce_server_error(self, error: RTCPeerConnectionIceErrorEvent) -> None:
        """Tell that a STUN or TURN server gave no candidate, or refuses to send."""
        raise NotImplementedError

    def users(self) -> list[User]:
        """Return all that rides on a transport."""
        sctp = [] if self.sctp_transport is None else [self.sctp_transport]
        return [*self.transceivers, *sctp]

    def transports_by_use(self) -> list[RTCIceTransport]:
        """Return the ICE transports, each once, in the order of what rides on them."""
        return list(dict.fromkeys(ice_transport(user) for user in self.users()))

    def transport_at(self, index: int) -> RTCIceTransport | None:
        """Return the ICE transport of a media section by its place, or None."""
        for transceiver in self.transceivers:
            if mline_index(transceiver) == index:
                return ice_transport(transceiver)
        sctp = self.sctp_transport
        return ice_transport(sctp) if sctp and self.sctp_mline_index == index else None

    def transport_of(self, mid: str) -> RTCIceTransport | None:
        """Return the ICE transport that carries a media section, or None."""
        return next((ice_transport(user) for user in self.users() if user.mid == mid), None)

    def unpark(self, transports: Iterable[RTCDtlsTransport]) -> None:
        """Take transports back which aiortc discarded although something uses them."""
        for transport in transports:
            self.dtls_transports.add(transport)
            self.ice_transports.add(transport.transport)

    def mark_bundled(self, description: "SessionDescription") -> None:
        """Note for aiortc who rides on the BUNDLE group's transport already, and who must move.

        aiortc takes those for bundled that share any transport, as all of a kind do from the start.
        """
        group = bundled_mids(description)
        shared = [dtls_transport(user) for user in self.users() if user.mid in group[:1]]
        for user in self.users():
            if user.mid in group:
                mark_bundled(user, bundled=dtls_transport(user) in shared)

    def join_bundle(self) -> None:
        """Let what was added in mid-negotiation, without a section yet, ride on the BUNDLE group.

        A group that was negotiated meanwhile has a transport to which both sides add what comes
        later; each has to take it for the same one. (RFC 9143 section 7)
        """
        bundle = self._bundle_transport()
        if bundle is None:
            return
        for user in self.users():
            if user.mid is None:
                move(user, bundle)

    def leave_dead_transports(self) -> None:
        """Let what has no media section yet ride on no transport whose sections are all stopped.

        Such a transport ends with them, and the remote side makes another one for a new section.
        """
        dead = self._dead_transports()
        for user in self.users():
            if user.mid is None and dtls_transport(user) in dead:
                move(user, self._make_dtls_transport())

    def _dead_transports(self) -> set[RTCDtlsTransport]:
        """Return those which were negotiated, for sections of which none is left."""
        # It is asked for each new transceiver, so that this goes through the users once only.
        users = [(user, dtls_transport(user)) for user in self.users()]
        alive = set(self._alive(user for user, _ in users))
        dead = {t for user, t in users if user.mid is not None or t.transport.remote is not None}
        return dead - {transport for user, transport in users if user in alive}

    def _alive(self, users: Iterable[User]) -> Iterator[User]:
        """Return those that have a section, by the remote offer, or by what is to be offered."""
        if self.remote_offer is None:
            return (u for u in users if u.mid is not None and not is_stopping(u))
        offered = {media.rtp.muxId for media in self.remote_offer.media}
        return (user for user in users if user.mid in offered)

    # The states.

    def update_transport_states(self) -> None:
        """Compute all states anew that depend on the transports."""
        self.update_ice_gathering_state()
        self.update_ice_connection_state()
        self.update_connection_state()

    def update_ice_gathering_state(self) -> None:
        """Compute iceGatheringState anew."""
        state = aggregate_gathering_state([t.iceGatherer.state for t in self.ice_transports])
        if state != self.ice_gathering_state and self.applying_remote is None:
            self.ice_gathering_state = state
            self.emit("icegatheringstatechange")

    def update_ice_connection_state(self) -> None:
        """Compute iceConnectionState anew."""
        state = aggregate_ice_connection_state([t.state for t in self.ice_transports])
        if self.is_closed:
            state = "closed"
        if state != self.ice_connection_state and self.applying_remote is None:
            logger.debug("iceConnectionState %s -> %s", self.ice_connection_state, state)
            self.ice_connection_state = state
            self.emit("iceconnectionstatechange")

    def update_connection_state(self) -> None:
        """Compute connectionState anew. The connection ends when the remote side ends all DTLS."""
        ice = [t.state for t in self.ice_transports]
        dtls = [t.state for t in self.dtls_transports]
        state = aggregate_connection_state(ice, dtls)
        if self.is_closed:
            state = "closed"
        if state != self.connection_state and self.applying_remote is None:
            logger.debug("connectionState %s -> %s", self.connection_state, state)
            self.connection_state = state
            self.emit("connectionstatechange")
        transports = [(t.transport.state, t.state) for t in self.dtls_transports]
        self.failure_timer.note(failed=not self.is_closed and has_failed(transports))
        if set(dtls) == {"closed"}:
            self._end()

    def _end(self) -> None:
        if not self.is_closed and self.close_task is None:
            self.close_task = asyncio.ensure_future(self.viewed.close())

    async def _end_with_program(self) -> None:
        """Close, and return when that has ended, however often the caller is cancelled meanwhile.

        asyncio.run() cancels all tasks and waits for them, but not for those that begin then.
        """
        self._end()
        while (task := self.close_task) is not None and not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])

    def _bundle_transport(self) -> RTCDtlsTransport | None:
        """Return the transport that a new section rides on, or None if it needs one of its own."""
        group = {*bundled_mids(self.current_local)} & {*bundled_mids(self.current_remote)}
        remote = self.remote_offer or self.applying_remote
        if remote is not None and {m.rtp.muxId for m in remote.media} - {*bundled_mids(remote)}:
            return None
        if not group:
            return None
        users = self._alive(user for user in self.users() if user.mid in group)
        return next(map(dtls_transport, users), None)


def dtls_transport(user: User) -> RTCDtlsTransport:
    """Return the DTLS transport that a transceiver or SCTP rides on."""
    carried = user.receiver if isinstance(user, RTCRtpTransceiver) else user
    transport = carried.transport
    assert isinstance(transport, RTCDtlsTransport)
    return transport


def ice_transport(user: User) -> RTCIceTransport:
    """Return the ICE transport below it."""
    return dtls_transport(user).transport


def is_stopping(user: User) -> bool:
    """Say if a user of a transport is one that was stopped."""
    return isinstance(user, RTCRtpTransceiver) and bool(user.stopped)


def move(user: User, transport: RTCDtlsTransport) -> None:
    """Let a transceiver or SCTP ride on another DTLS transport."""
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
        quietly: Whether the remote side isn't told. It drops what isn't needed by itself; to its
            aiortc the end of all DTLS means that the connection is closed.
    """
    for transport in list(transports):
        try:
            if quietly:
                await transport.transport.stop()
            await transport.stop()
        finally:
            await transport.transport.stop()
