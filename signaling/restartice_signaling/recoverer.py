"""Restarting the ICE of a connection when its path is lost or the network changes."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

from restartice import NetworkMonitor, RTCIceTransport, RTCPeerConnection

from .recovery import Observation, Recovery, RecoverySettings, RestartEvent, RestartStarted

__all__ = ["Recoverer"]

LONG_TIME: Final = 3600.0
# After how many seconds a restart is asked for again while an offer waits for its answer, so that
# a connection that has failed isn't taken for one that nobody restarts, and doesn't close itself.
REMINDER: Final = 60.0
EVENTS: Final = ("iceconnectionstatechange", "signalingstatechange")


class Recoverer:
    """Watches a connection and the host's network, and calls restartIce() when that may help.

    Args:
        pc: The connection, which somebody else negotiates for.
        settings: Timings.
        is_polite: Says if the other peer is to be given precedence.
        on_event: Called with what happens.
        is_alone: Says if there is nobody who could answer, so that a restart is of no use. Then
            none is asked for, and a connection that has failed can end itself.
    """

    def __init__(
        self,
        pc: RTCPeerConnection,
        settings: RecoverySettings,
        is_polite: Callable[[], bool],
        on_event: Callable[[RestartEvent], None],
        is_alone: Callable[[], bool] = lambda: False,
    ) -> None:
        self._pc = pc
        self._recovery = Recovery(settings)
        self._is_polite = is_polite
        self._on_event = on_event
        self._is_alone = is_alone
        self._wake = asyncio.Event()
        self._reminded_at: float | None = None

    def look(self) -> None:
        """Look at once what there is to do, as somebody has come or gone."""
        self._wake.set()

    async def run(self) -> None:
        """Watch until cancelled, or until the connection is closed."""
        loop = asyncio.get_running_loop()
        for event in EVENTS:
            self._pc.on(event, self._wake.set)
        try:
            async with NetworkMonitor() as monitor:
                monitor.on("change", lambda _change: self._wake.set())
                while self._pc.connectionState != "closed":
                    self._wake.clear()
                    wake_at = self._advance(loop.time(), monitor)
                    with suppress(TimeoutError):
                        async with asyncio.timeout_at(wake_at):
                            await self._wake.wait()
        finally:
            for event in EVENTS:
                # The program may have removed all listeners.
                with suppress(KeyError):
                    self._pc.remove_listener(event, self._wake.set)

    def _advance(self, now: float, monitor: NetworkMonitor) -> float:
        """Do what there is to do; return when to look again, at the latest."""
        if self._is_alone():
            self._reminded_at = None
            return now + LONG_TIME
        for event in self._recovery.advance(now, self._observe(monitor)):
            self._on_event(event)
            if isinstance(event, RestartStarted) and event.reason != "requested":
                self._pc.restartIce()
        self._remind(now)
        pause = LONG_TIME if self._reminded_at is None else REMINDER
        return min(self._recovery.wake_at, now + pause)

    def _remind(self, now: float) -> None:
        waiting = self._pc.iceConnectionState == "failed" and self._pc.signalingState != "stable"
        if not waiting:
            self._reminded_at = None
        elif self._reminded_at is None:
            self._reminded_at = now
        elif now - self._reminded_at >= REMINDER:
            self._reminded_at = now
            self._pc.restartIce()

    def _observe(self, monitor: NetworkMonitor) -> Observation:
        transports = list(ice_transports(self._pc))
        pairs = [transport.getSelectedCandidatePair() for transport in transports]
        newest = [str(t.getLocalParameters().usernameFragment) for t in transports]
        sending = [None if p is None else p.local.usernameFragment for p in pairs]
        return Observation(
            ice_state=self._pc.iceConnectionState,
            negotiating=self._pc.signalingState != "stable",
            generation=tuple(dict.fromkeys(newest)),
            on_newest=sending == newest,
            selected=frozenset(pair.local.ip for pair in pairs if pair is not None),
            addresses=monitor.addresses,
            polite=self._is_polite(),
        )


def ice_transports(pc: RTCPeerConnection) -> Iterator[RTCIceTransport]:
    """Yield the ICE transports of a connection, each once."""
    users: list[Any] = [transceiver.receiver for transceiver in pc.getTransceivers()]
    if pc.sctp is not None:
        users.append(pc.sctp)
    yield from dict.fromkeys(user.transport.transport for user in users)
