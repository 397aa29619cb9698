"""Setting a description as a whole or not at all, and taking it back."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiortc
from aiortc import (
    InvalidStateError,
    RTCSessionDescription,
)

from . import description as sdp
from .connector import Connector
from .icetransport import RTCIceTransport
from .remotecandidates import CandidateReceiver
from .rollback import Snapshot
from .settings import IceSettings
from .states import Side, SignalingState, next_signaling_state
from .transports import stop_transports

__all__ = ["Session", "as_final"]

logger = logging.getLogger(__name__)


# The states in which ICE may begin, since both sides have said with what.
CONNECTING: Final = frozenset(
    {
        SignalingState.STABLE,
        SignalingState.HAVE_LOCAL_PRANSWER,
        SignalingState.HAVE_REMOTE_PRANSWER,
    }
)


class Session(CandidateReceiver):
    """What setting a local and setting a remote description have in common."""

    def __init__(
        self, configuration: aiortc.RTCConfiguration | None, settings: IceSettings
    ) -> None:
        super().__init__(configuration, settings)
        self.connector = Connector(self)
        self._applying = False
        self._last_stable: Snapshot | None = None
        self._made_by_remote: set[aiortc.RTCRtpTransceiver] = set()

    def _commit(self, *, we_offered: bool) -> None:
        """Conclude a negotiation: ICE is restarted where both sides do so."""
        self.we_offered = we_offered
        self.restart_ignored = False
        for transport in self.transports_by_use():
            asked = transport.restarting
            if not transport.commit():
                self._restart_failed(transport, asked=asked)

    def _commit_provisionally(self) -> None:
        """Let transports connect that a provisional answer says enough about.

        It decides neither that a restart is refused nor which transports aren't needed any more.
        (RFC 9429 section 4.1.10.1)
        """
        for transport in self.transports_by_use():
            if transport.remote is None or (transport.pending_remote and transport.restarting):
                transport.commit()

    async def _connect(self, state: SignalingState) -> None:
        if state is SignalingState.STABLE:
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
        if state in CONNECTING:
            await self._connect(state)

    def _become_stable(self) -> None:
        self.last_created.clear()
        self._last_stable = None
        self._made_by_remote.clear()
        # If none of the ICE credentials in [[LocalIceCredentialsToReplace]] exist in the new
        # [[CurrentLocalDescription]], empty the set. A restart that the remote side ignored
        # has changed the description, but nothing else.
        current = sdp.credentials_in(self.current_local)
        if not self.restart_ignored and not self.local_ice_credentials_to_replace & current:
            self.local_ice_credentials_to_replace.clear()
        # Clear the negotiation-needed flag and update it.
        self.negotiation_needed = False
        self.update_negotiation_needed_flag()

    def _change_signaling_state(self, state: str) -> None:
        self.signaling_state = str(state)
        self.emit("signalingstatechange")


def as_final(session: RTCSessionDescription) -> RTCSessionDescription:
    """Return a provisional answer as a final one, which is all that aiortc knows."""
    kind = "answer" if session.type == "pranswer" else session.type
    return RTCSessionDescription(session.sdp, kind)
