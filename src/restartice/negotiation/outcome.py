"""Carries out the effects of a description: restarts, stops, connections and events."""

import asyncio
import functools
from collections.abc import Awaitable, Collection, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import aiortc

from ..ice.handover import IceTransportCore
from ..logs import ObjectLogger
from ..media.remote_tracks import RemoteMedia, RemoteTracks
from ..media.transceiver import RTCRtpTransceiver
from ..sdp import description as sdp
from ..sdp.text import remote_streams, remote_track_id
from ..seam import dissociate
from ..transports.aggregate_states import AggregateStates
from ..transports.background import BackgroundTasks
from ..transports.bundle import Bundle, ice_transport, stop_transports
from ..transports.connector import Connector
from ..transports.data_channels import DataChannels
from ..transports.dtls import RTCDtlsTransport
from .needed import REVERSED
from .needed_flag import NeededFlag
from .restart import RestartRequest
from .signaling_state import SignalingState
from .state import State

__all__ = ["Outcome"]

# The states in which ICE may begin, because both sides' parameters are known.
CONNECTING: Final = frozenset(
    {
        SignalingState.STABLE,
        SignalingState.HAVE_LOCAL_PRANSWER,
        SignalingState.HAVE_REMOTE_PRANSWER,
    }
)


@dataclass(eq=False, repr=False)
class Outcome:
    """The effects of an applied description. They can't be rolled back."""

    state: State
    bundle: Bundle
    states: AggregateStates
    needed_flag: NeededFlag
    restart: RestartRequest
    data_channels: DataChannels
    connector: Connector
    background: BackgroundTasks
    log: ObjectLogger
    _remote_tracks: RemoteTracks = field(default_factory=RemoteTracks, init=False)
    # Transceivers that a description removes, until it is applied.
    _abandoned: list[RTCRtpTransceiver] = field(default_factory=list, init=False)

    # The end of a negotiation.

    def conclude(self) -> None:
        """Conclude a negotiation: restart ICE on the transports where both sides agree."""
        self.restart.conclude(self._negotiated_transports())
        self.bundle.join()
        # A transceiver that was stopped before it had a section needs none.
        stopped = [t for t in self.state.transceivers if t._core.stopping and t.mid is None]
        self._abandoned += stopped

    def _negotiated_transports(self) -> list[IceTransportCore]:
        """Return the ICE transports of the live sections."""
        state = self.state
        rejected = sdp.rejected_mids(state.current_local) | sdp.rejected_mids(state.current_remote)
        users = [u for u in self.bundle.users() if u.mid is None or u.mid not in rejected]
        return list(dict.fromkeys(map(ice_transport, users)))

    def abandon(self, transceivers: Iterable[RTCRtpTransceiver]) -> None:
        """Remove transceivers from the connection's set; enter() will stop them."""
        for transceiver in transceivers:
            if transceiver in self.state.transceivers:
                self.state.transceivers.remove(transceiver)
            self._abandoned.append(transceiver)

    def keep_abandoned(self) -> None:
        """Don't stop the abandoned transceivers: their description failed."""
        self._abandoned.clear()

    # States and events.

    def enter_signaling_state(self, state: str) -> None:
        """Follow aiortc's change to closed; enter() makes the other changes."""
        if state == SignalingState.CLOSED != self.state.signaling_state:
            self._change_signaling_state(state)

    async def enter(self, state: SignalingState) -> None:
        """Carry out a description's effects, and fire its events, signalingstatechange first."""
        self.states.failure_timer.start_again()
        stopped = self._stop_rejected(state)
        if state in CONNECTING:
            for transceiver in self.state.transceivers:
                transceiver._core.note_negotiated(self.state.local_rtp(transceiver))
        changes = self._remote_tracks.process(self._remote_media(state, stopped))
        if state is SignalingState.STABLE:
            self.needed_flag.clear_and_update()
        # If connection.[[SignalingState]] changed above, fire an event named signalingstatechange.
        if state != self.state.signaling_state:
            self._change_signaling_state(state)
        changes.announce(lambda track: self.state.emit("track", track))
        if state in CONNECTING:
            await self._connect(state)

    def _change_signaling_state(self, state: str) -> None:
        self.log.debug("signalingState %s -> %s", self.state.signaling_state, state)
        self.state.signaling_state = str(state)
        self.needed_flag.reminders.offering(is_open=state == SignalingState.HAVE_LOCAL_OFFER)
        if state == SignalingState.CLOSED:
            self.needed_flag.reminders.stop()
        self.state.emit("signalingstatechange")

    async def _connect(self, state: SignalingState) -> None:
        if state is SignalingState.STABLE:
            unneeded = self.bundle.take_unneeded()
            self.states.update()
            self.stop_unneeded(unneeded)
        transports, first = self.bundle.transports_by_use(), self.state.we_offered
        self.needed_flag.operations.afterwards(
            functools.partial(_begin_checks, transports, first=first)
        )
        for transport in transports:
            await transport.prepare_checks()
        local, remote = self.state.local, self.state.remote
        self.data_channels.number()
        self.data_channels.agree(sdp.sctp_init(local), sdp.sctp_init(remote))
        # Not after the rollback of a first offer, which leaves nothing to connect.
        if any(transport.remote is not None for transport in transports):
            self.connector.connect_soon()

    def stop_unneeded(self, transports: Collection[aiortc.RTCDtlsTransport]) -> None:
        """Stop transports: DTLS at once, and ICE when the running operation has settled."""
        for transport in transports:
            assert isinstance(transport, RTCDtlsTransport)
            transport._core.close()
        if transports:
            self._afterwards(stop_transports(transports, quietly=True))

    def _afterwards(self, job: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a job in the background when the running operation has settled."""
        return self.background.run(_after(self.needed_flag.operations.settled, job))

    # Rejected sections.

    def _stop_rejected(self, state: SignalingState) -> list[RTCRtpTransceiver]:
        """Stop the transceivers that a description rejects, for good; return them."""
        stopped, self._abandoned = self._abandoned, []
        counting = [self.state.remote]
        if state is SignalingState.STABLE:
            counting = [self.state.current_remote, self.state.current_local]
        rejected = set[str]().union(*map(sdp.rejected_mids, counting))
        for transceiver in self.state.transceivers:
            is_rejected = transceiver.mid is not None and transceiver.mid in rejected
            if is_rejected or transceiver._core.stopped:
                stopped.append(transceiver)
        for transceiver in stopped:
            transceiver._core.stop_for_good(self._afterwards)
        # One that a remote offer rejects stays until the answer, and one whose rejection was rolled
        # back until our next offer has rejected it.
        here, ends = self.state.transceivers, state is SignalingState.STABLE
        gone = [t for t in stopped if t not in here or (ends and t.mid in {None, *rejected})]
        for transceiver in gone:
            self._dissociate(transceiver)
        here[:] = [t for t in here if t not in gone]
        self.data_channels.stop_rejected(rejected)
        return stopped

    def _dissociate(self, transceiver: RTCRtpTransceiver) -> None:
        dissociate(transceiver)
        self.state.remote_dtls.pop(transceiver, None)
        self.state.remote_ice.pop(transceiver, None)

    # Remote tracks.

    def _remote_media(
        self, state: SignalingState, stopped: Iterable[RTCRtpTransceiver]
    ) -> list[RemoteMedia]:
        remote = self.state.remote
        sections = {m.rtp.muxId: m for _, m in sdp.live_sections(remote)}
        described = [RemoteMedia(transceiver) for transceiver in stopped]
        for transceiver in self.state.transceivers:
            media = sections.get(transceiver.mid)
            if media is None or transceiver._core.stopped:
                described.append(RemoteMedia(transceiver))
                continue
            direction = transceiver._core.negotiated_direction or "inactive"
            if state is SignalingState.HAVE_REMOTE_OFFER:
                offered = media.direction or "sendrecv"
                direction = REVERSED.get(offered, offered)
            streams = remote_streams(media)
            if streams is None:
                # Tracks without an announced stream share a default one.
                streams = (self._remote_tracks.default_stream,)
            assert remote is not None
            described.append(
                RemoteMedia(transceiver, direction, streams, remote_track_id(remote, media))
            )
        return described


async def _after(event: asyncio.Event, job: Awaitable[None]) -> None:
    try:
        await event.wait()
    finally:
        await job


def _begin_checks(transports: Iterable[IceTransportCore], *, first: bool) -> None:
    for transport in transports:
        transport.begin_checks(first=first)
