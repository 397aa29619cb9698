"""The operations of offer and answer, each as it runs when its turn in the chain has come."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiortc
from aiortc import (
    InvalidAccessError,
    InvalidStateError,
    RTCIceParameters,
    RTCSessionDescription,
)
from aiortc.exceptions import OperationError
from aiortc.sdp import MediaDescription, SessionDescription

from . import description as sdp
from .connector import Connector
from .credentials import IceCredentials
from .dtlstransport import parked_stops
from .exceptions import InvalidModificationError
from .icegeneration import RemoteIce
from .icetransport import RTCIceTransport
from .internals import (
    kept_codecs,
    set_mline_index,
    stream_id,
    unoffered_assumed_inactive,
)
from .negotiation import NegotiationSnapshot, TransceiverSnapshot, is_negotiation_needed
from .operations import OperationsChain
from .rollback import Snapshot
from .settings import IceSettings
from .states import Side, SignalingState, next_signaling_state
from .transports import TransportOwner, dtls_transport, stop_transports

__all__ = ["Session"]

logger = logging.getLogger(__name__)


class Session(TransportOwner):
    """Offer, answer, rollback and candidates, and the flag that says if negotiation is needed."""

    def __init__(
        self, configuration: aiortc.RTCConfiguration | None, settings: IceSettings
    ) -> None:
        super().__init__(configuration, settings)
        self.operations = OperationsChain(on_empty=self._operations_emptied)
        self.connector = Connector(self)
        self.data_channel_created = False
        self.restart_ignored = False
        # What the spec calls [[LocalIceCredentialsToReplace]], [[NegotiationNeeded]] and
        # [[UpdateNegotiationNeededFlagOnEmptyChain]].
        self.local_ice_credentials_to_replace: set[IceCredentials] = set()
        self._negotiation_needed = False
        self._update_negotiation_needed_flag_on_empty_chain = False
        self._origin = sdp.Origin()
        self._last_created: dict[str, sdp.CreatedDescription[RTCIceTransport]] = {}
        self._we_offered = True
        self._applying = False
        self._last_stable: Snapshot | None = None
        self._made_by_remote: set[aiortc.RTCRtpTransceiver] = set()

    # Creating descriptions.

    async def create_offer(self, *, ice_restart: bool = False) -> RTCSessionDescription:
        """Create an offer.

        Spec: https://w3c.github.io/webrtc-pc/#dfn-create-an-offer
        """
        # If connection.[[SignalingState]] is neither "stable" nor "have-local-offer", reject.
        if next_signaling_state(self.signalingState, Side.LOCAL, "offer") is None:
            raise InvalidStateError(
                f'Cannot create offer in signaling state "{self.signalingState}"'
            )
        with kept_codecs(self.transceivers):
            created = await super().createOffer()
        # If the iceRestart member is true, or [[LocalIceCredentialsToReplace]] is not empty, the
        # credentials differ from the current ones, of which there are none before the first offer.
        described = (self.current_local or self.pending_local) is not None
        restart = bool(self.local_ice_credentials_to_replace) or (ice_restart and described)
        return self._remember(created, self.transports_by_use() if restart else [])

    async def create_answer(self) -> RTCSessionDescription:
        """Create an answer.

        Spec: https://w3c.github.io/webrtc-pc/#dfn-create-an-answer
        """
        created = await super().createAnswer()
        # An answer restarts ICE where the offer does. (RFC 9429 section 5.3.1)
        restarting = [t for t in self.transports_by_use() if t.remote and t.pending_remote]
        return self._remember(created, restarting)

    def _remember(
        self, created: RTCSessionDescription, restarting: list[RTCIceTransport]
    ) -> RTCSessionDescription:
        description = sdp.parse(created)
        credentials = dict.fromkeys(restarting, IceCredentials.generate())
        sdp.restart(description, self.transport_at, credentials)
        self._origin.stamp(description)
        description.ice_options = sdp.OUR_ICE_OPTIONS
        session = sdp.render(description)
        assert session is not None
        self._last_created[session.type] = sdp.CreatedDescription(session.sdp, credentials)
        return session

    # Setting descriptions.

    async def set_local_description(self, session: RTCSessionDescription | None) -> None:
        """Set the local description.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-setlocaldescription
        """
        if session is None:
            # An offer in "stable", "have-local-offer" and "have-remote-pranswer", else an answer.
            offer = next_signaling_state(self.signalingState, Side.LOCAL, "offer") is not None
            session = await (self.create_offer() if offer else self.create_answer())
        state = self._next_state(Side.LOCAL, session)
        if session.type == "rollback":
            await self._roll_back()
            return
        # If description.sdp is the empty string, the last created one is meant.
        if not session.sdp and (last := self._last_created.get(session.type)) is not None:
            session = RTCSessionDescription(last.sdp, session.type)
        description = sdp.parse(session)
        generations = self._generations_to_begin(description)
        async with self._transaction():
            await self._apply_local(session, generations)
            if state is SignalingState.STABLE:
                self.current_remote, self.pending_remote = self.pending_remote, None
                self._commit(we_offered=False)
        self._origin.applied(description)
        await self._enter(state)

    async def _apply_local(
        self, session: RTCSessionDescription, generations: dict[RTCIceTransport, IceCredentials]
    ) -> None:
        for transport, credentials in generations.items():
            transport.begin_generation(credentials)
        try:
            with unoffered_assumed_inactive(self.transceivers, session.type):
                await super().setLocalDescription(session)
            self._keep_local(session.type)
        except BaseException:
            for transport in generations:
                transport.discard_generation()
            raise

    def _keep_local(self, description_type: str) -> None:
        # In place of aiortc's, which lacks the ICE options.
        if description_type == "answer":
            assert self.current_local is not None
            self.current_local = sdp.Description.extend(self.current_local, sdp.OUR_ICE_OPTIONS)
        else:
            assert self.pending_local is not None
            self.pending_local = sdp.Description.extend(self.pending_local, sdp.OUR_ICE_OPTIONS)

    def _generations_to_begin(
        self, description: SessionDescription
    ) -> dict[RTCIceTransport, IceCredentials]:
        """Return the transports that the description restarts, and their new credentials.

        Raises:
            InvalidModificationError: It isn't the one that was created last. Departure: it may
                be edited, which aiortc's programs do, but not its sections and credentials.
        """
        kind = str(description.type)
        last = self._last_created.get(kind)
        begin: dict[RTCIceTransport, IceCredentials] = {}
        for index, media in enumerate(description.media):
            transport = self.transport_at(index)
            credentials = sdp.section_credentials(media)
            if transport is None:
                raise InvalidModificationError(f"No {kind} with a section {index} was created")
            if last is not None and credentials == last.credentials.get(transport):
                begin[transport] = credentials
            elif credentials != transport.credentials:
                raise InvalidModificationError(
                    f"The ICE credentials of section {index} aren't those of the {kind} that "
                    "was created last"
                )
        return begin

    async def set_remote_description(self, session: RTCSessionDescription) -> None:
        """Set the remote description.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-setremotedescription
        """
        glare = session.type == "offer" and self.signalingState == SignalingState.HAVE_LOCAL_OFFER
        state = (
            SignalingState.HAVE_REMOTE_OFFER if glare else self._next_state(Side.REMOTE, session)
        )
        if session.type == "rollback":
            await self._roll_back()
            return
        description = sdp.parse(session)
        self._validate_remote(description)
        if glare:
            # An offer of ours is rolled back in the same operation.
            await self._roll_back()
        async with self._transaction():
            await self._apply_remote(session, description)
            await self._receive_remote_ice(description)
            if state is SignalingState.STABLE:
                self.current_local, self.pending_local = self.pending_local, None
                self._commit(we_offered=True)
        await self._enter(state)

    def _validate_remote(self, description: SessionDescription) -> None:
        if any("" in (c.ufrag, c.password) for c in sdp.credentials_in(description)):
            raise ValueError("ICE username fragment or password is missing")
        current = self.current_remote
        if description.type == "offer" and current is not None:
            before = [(m.kind, m.rtp.muxId) for m in current.media]
            if [(m.kind, m.rtp.muxId) for m in description.media][: len(before)] != before:
                # "The number of m= sections never decreases." (RFC 9429 section 5.2.2)
                raise InvalidAccessError("Media sections in offer do not match those negotiated")

    async def _apply_remote(
        self, session: RTCSessionDescription, description: SessionDescription
    ) -> None:
        if description.type == "offer":
            self._forget_unused_sections()
        self.mark_shared_transports()
        before = {dtls_transport(user) for user in self.users()}
        transceivers = set(self.transceivers)
        self.applying_remote = description
        try:
            with parked_stops(before):
                # Candidates are given to the generation they belong to, by ourselves.
                stripped = RTCSessionDescription(sdp.without_candidates(session.sdp), session.type)
                await super().setRemoteDescription(stripped)
        finally:
            self.applying_remote = None
        used = {dtls_transport(user) for user in self.users()}
        self.unpark(before & used)
        self.parked |= before - used
        self._made_by_remote |= set(self.transceivers) - transceivers
        self._keep_remote(description)
        self.update_transport_states()

    def _keep_remote(self, description: SessionDescription) -> None:
        # In place of aiortc's, which lacks the candidates.
        if description.type == "answer":
            self.current_remote, self.pending_remote = description, None
        else:
            self.pending_remote = description

    def _forget_unused_sections(self) -> None:
        # A createOffer() that wasn't followed by setLocalDescription() has left indexes behind,
        # which the sections of the remote offer would share.
        for transceiver in self.transceivers:
            if transceiver.mid is None:
                set_mline_index(transceiver, None)
        if self.sctp_transport is not None and self.sctp_transport.mid is None:
            self.sctp_mline_index = None

    async def _receive_remote_ice(self, description: SessionDescription) -> None:
        """Give the description's credentials and candidates to the transports they are for."""
        sections: dict[RTCIceTransport, list[MediaDescription]] = {}
        group = sdp.bundled_mids(description)
        # In a BUNDLE group the first section's attributes count. (RFC 9143 section 9.1)
        for media in sorted(description.media, key=lambda m: m.rtp.muxId not in group[:1]):
            if (transport := self.transport_of(media.rtp.muxId)) is not None:
                sections.setdefault(transport, []).append(media)
        for transport, medias in sections.items():
            await transport.receive_remote(_remote_ice(medias))

    def _commit(self, *, we_offered: bool) -> None:
        """Conclude a negotiation: ICE is restarted where both sides do so."""
        self._we_offered = we_offered
        self.restart_ignored = False
        for transport in self.transports_by_use():
            asked = transport.restarting
            if not transport.commit():
                self._restart_failed(transport, asked=asked)

    async def _connect(self) -> None:
        parked, self.parked = self.parked, set()
        await stop_transports(parked)
        for transport in self.transports_by_use():
            await transport.start_checks()
        self.connector.connect_soon()

    def _restart_failed(self, transport: RTCIceTransport, *, asked: bool) -> None:
        # Departure: RFC 9429 calls this an error in the answer, which deployed peers make.
        if asked:
            logger.warning("The answer ignores the ICE restart; the previous pair stays in use")
            self.local_ice_credentials_to_replace.add(transport.credentials)
            self.restart_ignored = True
        else:
            logger.warning("The answer restarts ICE unasked; the previous pair stays in use")

    async def _roll_back(self) -> None:
        """Go back to the last stable state.

        Spec: https://w3c.github.io/webrtc-pc/#dfn-set-the-session-description (rollback)
        """
        if self._last_stable is not None:
            await self._restore(self._last_stable)
            for transport in self.transports_by_use():
                transport.discard_generation()
        await self._enter(SignalingState.STABLE)

    async def _restore(self, snapshot: Snapshot) -> None:
        removed, transports = snapshot.restore(
            made_by_remote=self._made_by_remote, keep_sctp=self.data_channel_created
        )
        for transceiver in removed:
            await transceiver.stop()
        self.parked -= self.dtls_transports
        await stop_transports(transports)
        self.update_transport_states()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[None]:
        """Let a description be applied as a whole or not at all."""
        snapshot = Snapshot(self)
        self._applying = True
        try:
            yield
        except BaseException:
            if self.closed_future is None:
                await self._restore(snapshot)
            raise
        finally:
            self._applying = False
        if self.signalingState == SignalingState.STABLE:
            self._last_stable = snapshot

    def _next_state(self, side: Side, session: RTCSessionDescription) -> SignalingState:
        if self.closed_future is not None:
            raise InvalidStateError("RTCPeerConnection is closed")
        if session.type == "pranswer":
            raise OperationError("Provisional answers are not supported")
        state = next_signaling_state(self.signalingState, side, session.type)
        if state is None:
            raise InvalidStateError(
                f'Cannot handle {session.type} in signaling state "{self.signalingState}"'
            )
        return state

    def enter_signaling_state(self, state: str) -> None:
        """Follow aiortc when it closes; else the state changes when the description is applied."""
        if state == SignalingState.CLOSED:
            self._change_signaling_state(state)

    async def _enter(self, state: SignalingState) -> None:
        """Make the description's effect known: the signaling state first, then the transports'."""
        if state is SignalingState.STABLE:
            self._become_stable()
        if state != self.signalingState:
            self._change_signaling_state(state)
        if state is SignalingState.STABLE:
            await self._connect()

    def _become_stable(self) -> None:
        self._last_created.clear()
        self._last_stable = None
        self._made_by_remote.clear()
        # If none of the ICE credentials in [[LocalIceCredentialsToReplace]] exist in the new
        # [[CurrentLocalDescription]], empty the set. A restart that the remote side ignored
        # has changed the description, but nothing else.
        current = sdp.credentials_in(self.current_local)
        if not self.restart_ignored and not self.local_ice_credentials_to_replace & current:
            self.local_ice_credentials_to_replace.clear()
        # Clear the negotiation-needed flag and update it.
        self._negotiation_needed = False
        self.update_negotiation_needed_flag()

    def _change_signaling_state(self, state: str) -> None:
        self.signaling_state = str(state)
        self.emit("signalingstatechange")

    # Candidates.

    async def add_ice_candidate(self, candidate: aiortc.RTCIceCandidate | None) -> None:
        """Add a remote candidate.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-addicecandidate
        """
        ufrag = getattr(candidate, "usernameFragment", None)
        newest = self.pending_remote or self.current_remote
        if newest is None:
            if ufrag is not None:
                raise InvalidStateError("There is no remote description")
            # Departure: the specification forbids this, but aiortc accepts it, with a warning.
            await super().addIceCandidate(candidate)
            return
        if candidate is None:
            for transport in self.transports_by_use():
                await transport.addRemoteCandidate(None)
            for media in newest.media:
                media.ice_candidates_complete = True
            return
        media = self._section_for(candidate, ufrag, newest)
        riding_on = self.transport_of(media.rtp.muxId)
        if riding_on is None:
            raise OperationError("The candidate's media section has no transport")
        try:
            await riding_on.addRemoteCandidate(candidate)
        except LookupError as error:
            raise OperationError(str(error)) from None
        media.ice_candidates.append(candidate)

    def _section_for(
        self, candidate: aiortc.RTCIceCandidate, ufrag: str | None, newest: SessionDescription
    ) -> MediaDescription:
        section = sdp.find_section(newest, candidate.sdpMid, candidate.sdpMLineIndex)
        if section is None:
            raise OperationError("The candidate belongs to no media section")
        for description in (newest, self.current_remote):
            section = sdp.find_section(description, candidate.sdpMid, candidate.sdpMLineIndex)
            if section and ufrag in {None, sdp.section_credentials(section).ufrag}:
                return section
        raise OperationError(f"No remote description has the username fragment {ufrag!r}")

    # Negotiation needed.

    def update_negotiation_needed_flag(self) -> None:
        """Find out in a later task if negotiation is needed.

        Spec: https://w3c.github.io/webrtc-pc/#dfn-update-the-negotiation-needed-flag
        """
        loop = _running_loop()
        # If the length of connection.[[Operations]] is not 0, ask again when it is. So also when
        # there is no event loop yet, which aiortc doesn't need for adding tracks.
        if not self.operations.empty or loop is None:
            self._update_negotiation_needed_flag_on_empty_chain = True
        else:
            loop.call_soon(self._update_negotiation_needed)

    def _update_negotiation_needed(self) -> None:
        # If connection.[[IsClosed]] is true, abort these steps.
        if self.closed_future is not None:
            return
        # If the length of connection.[[Operations]] is not 0, ask again when it is.
        if not self.operations.empty:
            self._update_negotiation_needed_flag_on_empty_chain = True
            return
        # If connection.[[SignalingState]] is not "stable", abort: it is asked again then.
        if self.signalingState != SignalingState.STABLE:
            return
        # If negotiation isn't needed, clear the flag; if the flag is set already, abort.
        needed = is_negotiation_needed(self._negotiation_snapshot())
        if needed and not self._negotiation_needed:
            self._negotiation_needed = True
            self.emit("negotiationneeded")
        self._negotiation_needed = needed

    def _operations_emptied(self) -> None:
        if self._update_negotiation_needed_flag_on_empty_chain:
            self._update_negotiation_needed_flag_on_empty_chain = False
            self.update_negotiation_needed_flag()

    def _negotiation_snapshot(self) -> NegotiationSnapshot:
        replace = bool(self.local_ice_credentials_to_replace)
        return NegotiationSnapshot(
            # Departure: a peer that ignores restarts would be offered one after the other, so
            # the request waits for the next offer that has another reason.
            restart_requested=replace and not self.restart_ignored,
            data_channel_created=self.data_channel_created,
            transceivers=tuple(
                TransceiverSnapshot(t.mid, t.direction, t.stopped, stream_id(t.sender))
                for t in self.transceivers
            ),
            local=sdp.sections(self.current_local),
            remote=sdp.sections(self.current_remote),
            we_offered=self._we_offered,
        )


def _remote_ice(sections: list[MediaDescription]) -> RemoteIce:
    """Return what the sections of one transport say; the first one's credentials count."""
    credentials = sdp.section_credentials(sections[0])
    alike = [section for section in sections if sdp.section_credentials(section) == credentials]
    return RemoteIce(
        sections[0].ice or RTCIceParameters(),
        [candidate for section in alike for candidate in section.ice_candidates],
        complete=any(section.ice_candidates_complete for section in alike),
    )


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
