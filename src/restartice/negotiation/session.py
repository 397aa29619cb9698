"""Setting a description as a whole or not at all, and taking it back."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

import aiortc
from aiortc import InvalidStateError, RTCSessionDescription

from ..ice.transport import RTCIceTransport
from ..media.remote_tracks import RemoteMedia, RemoteTracks
from ..media.transceiver import SENDING, RTCRtpTransceiver
from ..sdp import description as sdp
from ..sdp.text import described_streams
from ..seam import HookedPeerConnection
from ..settings import IceSettings
from ..transports.bundle import ice_transport, stop_transports
from ..transports.connector import Connector
from .needed import REVERSED
from .rejection import RejectionFollower
from .rollback import Snapshot
from .signaling_state import Side, SignalingState, next_signaling_state

__all__ = ["Session", "as_final", "check_type"]

logger = logging.getLogger(__name__)

# The states in which ICE may begin, since both sides have said with what.
CONNECTING: Final = frozenset(
    {
        SignalingState.STABLE,
        SignalingState.HAVE_LOCAL_PRANSWER,
        SignalingState.HAVE_REMOTE_PRANSWER,
    }
)


class Session(RejectionFollower):
    """What setting a local and setting a remote description have in common."""

    def __init__(self, pc: HookedPeerConnection, settings: IceSettings) -> None:
        super().__init__(pc, settings)
        self.connector = Connector(self)
        self.remote_tracks = RemoteTracks()
        self.made_by_remote: set[RTCRtpTransceiver] = set()
        self._last_stable: Snapshot | None = None

    # Checking, applying and taking back.

    def next_state(self, side: Side, kind: str) -> SignalingState:
        """Return the state that a description leads to.

        Raises:
            InvalidStateError: It isn't allowed in this one.
        """
        if self.is_closed:
            raise InvalidStateError("RTCPeerConnection is closed")
        state = next_signaling_state(self.signaling_state, side, kind)
        if state is None:
            raise InvalidStateError(
                f'Cannot handle {kind} in signaling state "{self.signaling_state}"'
            )
        return state

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Let a description be applied as a whole or not at all."""
        snapshot = Snapshot(self)
        try:
            yield
        except BaseException:
            self.abandoned.clear()
            if self.closed_future is None:
                _, transports = self._restore(snapshot)
                await self._stop(transports)
            raise
        if self.signaling_state == SignalingState.STABLE:
            self._last_stable = snapshot

    async def roll_back(self) -> None:
        """Go back to the last stable state.

        Spec: https://w3c.github.io/webrtc-pc/#set-description
        """
        transports: set[aiortc.RTCDtlsTransport] = set()
        if self._last_stable is not None:
            removed, transports = self._restore(self._last_stable)
            self.abandoned += removed
            # What was created describes what there isn't any more.
            self.last_created.clear()
            for transport in self.transports_by_use():
                transport.discard_generation()
        # Nothing is awaited before this, so that no rollback is cancelled halfway.
        await self.enter(SignalingState.STABLE)
        await self._stop(transports)

    def _restore(
        self, snapshot: Snapshot
    ) -> tuple[list[RTCRtpTransceiver], set[aiortc.RTCDtlsTransport]]:
        unneeded = snapshot.restore(
            made_by_remote=self.made_by_remote, keep_sctp=self.data_channel_created
        )
        self.parked -= self.dtls_transports
        self.update_transport_states()
        return unneeded

    async def _stop(self, transports: Iterable[aiortc.RTCDtlsTransport]) -> None:
        """Stop what isn't needed any more. A caller that is cancelled doesn't cancel that."""
        await asyncio.shield(self.in_background(stop_transports(transports, quietly=True)))

    # Concluding a negotiation.

    def conclude(self, *, we_offered: bool) -> None:
        """Conclude a negotiation: ICE is restarted where both sides do so."""
        self.we_offered = we_offered
        self.restart_ignored = False
        if self.current_local is not None and self.current_remote is not None:
            self.numbering.learn(self.current_local, self.current_remote)
        for transport in self._negotiated_transports():
            asked = transport.restarting
            if not transport.commit():
                self._restart_failed(transport, asked=asked)
        self.last_created.clear()
        self.join_bundle()
        # What was stopped before it had a section needs none.
        self.abandoned += [t for t in self.transceivers if t._core.stopping and t.mid is None]
        if not self.restart_ignored:
            self._note_section_credentials()
            self._note_replaced_credentials()

    def _negotiated_transports(self) -> list[RTCIceTransport]:
        """Return the ICE transports of the sections that neither side rejects."""
        rejected = sdp.rejected_mids(self.current_local) | sdp.rejected_mids(self.current_remote)
        users = [user for user in self.users() if user.mid is None or user.mid not in rejected]
        return list(dict.fromkeys(map(ice_transport, users)))

    def conclude_provisionally(self) -> None:
        """Let transports connect that a provisional answer says enough about.

        It decides neither that a restart is refused nor which transports aren't needed any more.
        (RFC 9429 section 4.1.10.1)
        """
        for transport in self.transports_by_use():
            if transport.remote is None or (transport.pending_remote and transport.restarting):
                transport.commit()

    def _note_section_credentials(self) -> None:
        self.section_credentials.clear()
        for _, media in sdp.live_sections(self.current_local):
            transport = self.transport_of(media.rtp.muxId)
            told = sdp.section_credentials(media)
            if transport is not None and told != transport.credentials:
                self.section_credentials[media.rtp.muxId] = told

    def _note_replaced_credentials(self) -> None:
        # If none of the ICE credentials in [[LocalIceCredentialsToReplace]] exist in the new
        # [[CurrentLocalDescription]], empty the set. A rollback doesn't, nor does a restart that
        # the remote side ignored, which has changed the description, but nothing else.
        current = sdp.credentials_in(self.current_local)
        if not self.local_ice_credentials_to_replace & current:
            self.local_ice_credentials_to_replace.clear()

    def _restart_failed(self, transport: RTCIceTransport, *, asked: bool) -> None:
        # Departure: RFC 9429 calls this an error in the answer, which deployed peers make.
        if asked:
            logger.warning("The answer ignores the ICE restart; the previous pair stays in use")
            self.local_ice_credentials_to_replace.add(transport.credentials)
            self.restart_ignored = True
        else:
            logger.warning("The answer restarts ICE unasked; the previous pair stays in use")

    # Making it known.

    def enter_signaling_state(self, state: str) -> None:
        """Follow aiortc when it closes; else the state changes when the description is applied."""
        if state == SignalingState.CLOSED != self.signaling_state:
            self._change_signaling_state(state)

    async def enter(self, state: SignalingState) -> None:
        """Make a description's effect known: the signaling state first, then all else."""
        self.failure_timer.start_again()
        stopped = self.stop_rejected(state)
        if state in CONNECTING:
            for transceiver in self.transceivers:
                transceiver._core.has_sent |= transceiver._core.negotiated_direction in SENDING
        changes = self.remote_tracks.process(self._remote_media(state, stopped))
        if state is SignalingState.STABLE:
            self._become_stable()
        # If connection.[[SignalingState]] changed above, fire an event named signalingstatechange.
        if state != self.signaling_state:
            self._change_signaling_state(state)
        changes.announce(lambda track: self.emit("track", track))
        if state in CONNECTING:
            await self._connect(state)

    def _become_stable(self) -> None:
        self._last_stable = None
        self.made_by_remote.clear()
        # Clear the negotiation-needed flag and update it.
        self.negotiation_needed = False
        self.update_negotiation_needed_flag()

    def _change_signaling_state(self, state: str) -> None:
        self.signaling_state = str(state)
        self.reminders.offering(is_open=state == SignalingState.HAVE_LOCAL_OFFER)
        if state == SignalingState.CLOSED:
            self.reminders.stop()
        self.emit("signalingstatechange")

    async def _connect(self, state: SignalingState) -> None:
        unneeded: set[aiortc.RTCDtlsTransport] = set()
        if state is SignalingState.STABLE:
            unneeded = self.parked | self.unused_transports()
            self.parked = set()
            self.update_transport_states()
        # First, so that the operation ends before ICE does; but even if it is cancelled meanwhile,
        # what was negotiated is begun.
        try:
            await self._stop(unneeded)
        finally:
            transports = self.transports_by_use()
            for transport in transports:
                await transport.start_checks(first=self.we_offered)
            # Not after the rollback of a first offer, when there is nothing to wait for.
            if any(transport.remote is not None for transport in transports):
                self.connector.connect_soon()

    # What is received.

    def _remote_media(
        self, state: SignalingState, stopped: Iterable[RTCRtpTransceiver]
    ) -> list[RemoteMedia]:
        remote = self.pending_remote or self.current_remote
        sections = {m.rtp.muxId: m for _, m in sdp.live_sections(remote)}
        described = [RemoteMedia(transceiver) for transceiver in stopped]
        for transceiver in self.transceivers:
            media = sections.get(transceiver.mid)
            if media is None or transceiver._core.stopped:
                described.append(RemoteMedia(transceiver))
                continue
            direction = transceiver._core.negotiated_direction or "inactive"
            if state is SignalingState.HAVE_REMOTE_OFFER:
                offered = media.direction or "sendrecv"
                direction = REVERSED.get(offered, offered)
            streams = described_streams(media.msid) or ()
            assert remote is not None
            described.append(
                RemoteMedia(transceiver, direction, streams, remote.webrtc_track_id(media))
            )
        return described


def check_type(session: RTCSessionDescription) -> None:
    """Raise TypeError if this is no session description, but the browser's form of it perhaps."""
    text, kind = getattr(session, "sdp", None), getattr(session, "type", None)
    if not (isinstance(kind, str) and (isinstance(text, str) or kind == "rollback")):
        name = type(session).__name__
        raise TypeError(f"a description must be an RTCSessionDescription of strings, not {name}")


def as_final(session: RTCSessionDescription) -> RTCSessionDescription:
    """Return a provisional answer as a final one, which is all that aiortc knows."""
    kind = "answer" if session.type == "pranswer" else session.type
    return RTCSessionDescription(session.sdp, kind)
