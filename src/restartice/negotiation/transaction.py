"""Applies a description as a whole or not at all, and rolls it back."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import aiortc
from aiortc import InvalidStateError, RTCSessionDescription

from ..logs import ObjectLogger
from ..media.transceiver import RTCRtpTransceiver
from ..sdp import description as sdp
from ..transports.aggregate_states import AggregateStates
from ..transports.bundle import Bundle
from ..transports.data_channels import DataChannels
from .offers import Offers
from .outcome import Outcome
from .rollback import Snapshot
from .signaling_state import Side, SignalingState, next_signaling_state
from .state import State

__all__ = ["Transaction", "as_final", "check_type"]

PROVISIONAL: Final = frozenset(
    {SignalingState.HAVE_LOCAL_PRANSWER, SignalingState.HAVE_REMOTE_PRANSWER}
)
# The states in which the offer is the peer's.
OFFERED: Final = frozenset({SignalingState.HAVE_REMOTE_OFFER, SignalingState.HAVE_LOCAL_PRANSWER})


@dataclass(eq=False, repr=False)
class Transaction:
    """The common part of setLocalDescription() and setRemoteDescription()."""

    state: State
    bundle: Bundle
    states: AggregateStates
    data_channels: DataChannels
    offers: Offers
    outcome: Outcome
    log: ObjectLogger
    _last_stable: Snapshot | None = field(default=None, init=False)
    # The transceivers that remote offers have made since then.
    made_by_remote: set[RTCRtpTransceiver] = field(default_factory=set, init=False)

    def next_state(self, side: Side, kind: str) -> SignalingState:
        """Return the signaling state after a description.

        Raises:
            InvalidStateError: The description isn't allowed in the current state.
        """
        if self.state.is_closed:
            raise InvalidStateError("RTCPeerConnection is closed")
        state = next_signaling_state(self.state.signaling_state, side, kind)
        if state is None:
            raise InvalidStateError(
                f'Cannot handle {kind} in signaling state "{self.state.signaling_state}"'
            )
        return state

    @asynccontextmanager
    async def leading_to(self, state: SignalingState) -> AsyncIterator[None]:
        """Apply a description as a whole or not at all, and then fire its events.

        Args:
            state: The state after the description, from next_state().
        """
        snapshot = Snapshot(self.state)
        try:
            yield
            if state is SignalingState.STABLE:
                self._conclude()
            elif state in PROVISIONAL:
                self._conclude_provisionally()
        except BaseException:
            self.outcome.keep_abandoned()
            if self.state.closed_future is None:
                _, transports = self._restore(snapshot)
                self.outcome.stop_unneeded(transports)
            raise
        if self.state.signaling_state == SignalingState.STABLE:
            self._last_stable = snapshot
        await self._enter(state)

    def keep_local(self, description: sdp.Description) -> None:
        """Keep an applied local description."""
        if description.type == "answer":
            self.state.current_local, self.state.pending_local = description, None
        else:
            self.state.pending_local = description

    def keep_remote(self, description: sdp.Description) -> None:
        """Keep an applied remote description.

        It replaces aiortc's, which lacks the candidates and the unused sections.
        """
        self.state.seen_mids.update(media.rtp.muxId for media in description.media)
        if description.type == "answer":
            self.state.current_remote, self.state.pending_remote = description, None
        else:
            self.state.pending_remote = description

    def _conclude(self) -> None:
        state = self.state
        # The answered offer becomes the current description, too.
        if state.pending_local is not None:
            state.current_local, state.pending_local = state.pending_local, None
        else:
            state.current_remote, state.pending_remote = state.pending_remote, None
        self.outcome.conclude()
        self.offers.conclude()

    def _conclude_provisionally(self) -> None:
        """Connect the transports whose parameters a provisional answer contains.

        A provisional answer neither refuses a restart nor drops transports. (RFC 9429 section
        4.1.10.1)
        """
        for transport in self.bundle.transports_by_use():
            if transport.remote is None or (transport.pending_remote and transport.restarting):
                transport.commit()

    async def roll_back(self) -> None:
        """Go back to the last stable state.

        Spec: https://w3c.github.io/webrtc-pc/#set-description
        """
        self.log.debug("rolls back from %s", self.state.signaling_state)
        theirs = self.state.signaling_state in OFFERED
        transports: set[aiortc.RTCDtlsTransport] = set()
        if self._last_stable is not None:
            removed, transports = self._restore(self._last_stable)
            self.outcome.abandon(removed)
            # The created descriptions are out of date, but for an offer that wasn't set.
            self.offers.forget("answer" if theirs else None)
            for transport in self.bundle.transports_by_use():
                transport.take_back()
        # No await before this, so that a rollback can't be cancelled halfway.
        await self._enter(SignalingState.STABLE)
        self.outcome.stop_unneeded(transports)

    async def _enter(self, state: SignalingState) -> None:
        if state is SignalingState.STABLE:
            self._last_stable = None
            self.made_by_remote.clear()
        await self.outcome.enter(state)

    def _restore(
        self, snapshot: Snapshot
    ) -> tuple[list[RTCRtpTransceiver], set[aiortc.RTCDtlsTransport]]:
        unneeded = snapshot.restore(
            made_by_remote=self.made_by_remote, keep_sctp=self.data_channels.created
        )
        self.bundle.take_back()
        self.states.update()
        return unneeded


def check_type(session: RTCSessionDescription) -> None:
    """Raise TypeError unless this has the attributes of an RTCSessionDescription."""
    text, kind = getattr(session, "sdp", None), getattr(session, "type", None)
    if not (isinstance(kind, str) and (isinstance(text, str) or kind == "rollback")):
        raise TypeError(
            f"expected an RTCSessionDescription of strings, not {type(session).__name__}"
        )


def as_final(session: RTCSessionDescription) -> RTCSessionDescription:
    """Return a provisional answer as a final one, because aiortc knows only these."""
    kind = "answer" if session.type == "pranswer" else session.type
    return RTCSessionDescription(session.sdp, kind)
