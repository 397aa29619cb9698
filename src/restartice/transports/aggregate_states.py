"""The states of a connection, computed from those of its transports; and its end."""

import asyncio
from contextlib import suppress
from dataclasses import InitVar, dataclass, field

from ..logs import ObjectLogger
from ..seam import ConnectionView
from .bundle import Bundle
from .failure_timer import FailureTimer
from .states import (
    aggregate_connection_state,
    aggregate_gathering_state,
    aggregate_ice_connection_state,
    has_failed,
)

__all__ = ["AggregateStates"]


@dataclass(eq=False, repr=False)
class AggregateStates:
    """Computes the states when those of transports change, and fires their events."""

    view: ConnectionView
    # While its transports are incomplete, no state changes.
    bundle: Bundle
    failed_timeout: InitVar[float | None]
    log: ObjectLogger
    _is_closed: bool = field(default=False, init=False)
    # The gathering state of the last event, and whether events of it wait.
    _told: str = field(default="new", init=False)
    _holds: bool = field(default=False, init=False)

    def __post_init__(self, failed_timeout: float | None) -> None:
        self.failure_timer = FailureTimer(failed_timeout, self.end, self.log.object_name)

    def close(self) -> None:
        """Make all states `closed` from the next computation on."""
        self._is_closed = True

    def update(self) -> None:
        """Update all states."""
        self.update_ice_gathering_state()
        self.update_ice_connection_state()
        self.update_connection_state()

    def ice_changed(self) -> None:
        """Update the states that depend on ICE transports."""
        self.update_ice_connection_state()
        self.update_connection_state()

    def update_ice_gathering_state(self) -> None:
        """Update iceGatheringState; at the end of gathering, fire `icecandidate` with None.

        Nothing is fired once the connection is closed.

        Spec: https://w3c.github.io/webrtc-pc/#rtcicegatheringstate-enum
        """
        self.note_ice_gathering_state()
        view = self.view
        if self._is_closed or self._holds or view.ice_gathering_state == self._told:
            return
        self._told = view.ice_gathering_state
        view.emit("icegatheringstatechange")
        if view.ice_gathering_state == "complete":
            view.emit("icecandidate", None)

    def note_ice_gathering_state(self) -> None:
        """Update iceGatheringState, and leave its event to the next update."""
        if not self.bundle.is_incomplete:
            gatherers = [transport.iceGatherer for transport in self.view.ice_transports]
            self.view.ice_gathering_state = aggregate_gathering_state([g.state for g in gatherers])

    def hold_gathering(self, *, held: bool) -> None:
        """Hold `icegatheringstatechange` back, or fire it if the state has changed meanwhile."""
        self._holds = held
        self.update_ice_gathering_state()

    def update_ice_connection_state(self) -> None:
        """Update iceConnectionState.

        Spec: https://w3c.github.io/webrtc-pc/#rtciceconnectionstate-enum
        """
        view = self.view
        state = aggregate_ice_connection_state([t.state for t in view.ice_transports])
        if self._is_closed:
            state = "closed"
        if state != view.ice_connection_state and not self.bundle.is_incomplete:
            self.log.debug("iceConnectionState %s -> %s", view.ice_connection_state, state)
            view.ice_connection_state = state
            view.emit("iceconnectionstatechange")

    def update_connection_state(self) -> None:
        """Update connectionState. Close the connection if the peer has closed all DTLS transports.

        Spec: https://w3c.github.io/webrtc-pc/#rtcpeerconnectionstate-enum
        """
        view = self.view
        transports = [(t.transport.state, t.state) for t in view.dtls_transports]
        ice, dtls = [t.state for t in view.ice_transports], [state for _, state in transports]
        state = aggregate_connection_state(ice, dtls)
        if self._is_closed:
            state = "closed"
        if state != view.connection_state and not self.bundle.is_incomplete:
            self.log.debug("connectionState %s -> %s", view.connection_state, state)
            view.connection_state = state
            view.emit("connectionstatechange")
        self.failure_timer.note(failed=not self._is_closed and has_failed(transports))
        if set(dtls) == {"closed"}:
            self.end()

    def end(self) -> None:
        """Close the connection, unless it is being closed already."""
        if not self._is_closed and self.view.close_task is None:
            self.view.close_task = asyncio.ensure_future(self.view.viewed.close())

    async def end_with_program(self) -> None:
        """Close, and return when that has ended, even if the caller is cancelled meanwhile.

        asyncio.run() cancels all tasks and waits for them, but not for tasks that begin then.
        """
        self.end()
        while (task := self.view.close_task) is not None and not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
