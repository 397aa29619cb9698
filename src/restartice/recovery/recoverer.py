"""Restarting the ICE of a connection when its path is lost or the network changes."""

import asyncio
import logging
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

from ..ice.network import NetworkMonitor
from ..ice.transport import RTCIceTransport
from ..peerconnection import RTCPeerConnection
from .policy import Observation, Recovery, RecoverySettings, RestartEvent, RestartStarted

__all__ = ["AutomaticRestart"]

logger = logging.getLogger(__name__)

# After how many seconds a restart is asked for again while an offer waits for its answer, so that
# a connection that has failed isn't taken for one that nobody restarts, and doesn't close itself.
REMINDER: Final = 60.0
EVENTS: Final = ("iceconnectionstatechange", "signalingstatechange")


class AutomaticRestart:
    """Watches a connection and the network of this machine, and calls `restartIce()` when it helps.

    It restarts ICE when ICE has failed, when it stays `disconnected`, when the address in use is
    gone, and when this machine gets a new address. A restart that fails is tried again. The offers
    are made by the connection's listener to `negotiationneeded`, which the program provides; a
    `Negotiator` brings both.

        async with AutomaticRestart(pc, on_restart=print):
            ...

    A program without such a block calls start(). It ends by itself when the connection is closed.
    Until then it goes on trying, and keeps the connection from closing itself as one that has
    failed and that nobody restarts: pass `has_peer` where the program can tell that the other side
    is gone.

    Args:
        pc: The connection.
        settings: Times; None for the defaults.
        polite: Whether the other side restarts first, if it runs this, too. One of the two should
            be polite. May be a function without arguments.
        on_restart: Called when a restart starts, succeeds or fails. An error that it raises is
            logged. Without it these events are logged at INFO.
        has_peer: Called to ask whether the other side could answer an offer. While it returns
            False, nothing is restarted. None if it always could.

    Raises:
        TypeError: pc is not a `restartice.RTCPeerConnection`, or settings are not a
            `RecoverySettings`.
    """

    def __init__(
        self,
        pc: RTCPeerConnection,
        settings: RecoverySettings | None = None,
        *,
        polite: bool | Callable[[], bool] = False,
        on_restart: Callable[[RestartEvent], None] | None = None,
        has_peer: Callable[[], bool] | None = None,
    ) -> None:
        if not isinstance(pc, RTCPeerConnection):
            raise TypeError(f"pc must be a restartice.RTCPeerConnection, not {pc!r}")
        if not isinstance(settings, RecoverySettings | None):
            raise TypeError(f"settings must be a RecoverySettings or None, not {settings!r}")
        self._pc = pc
        self._recovery = Recovery(settings or RecoverySettings())
        self._polite = polite
        self._on_restart = on_restart or _log_restart
        self._has_peer = has_peer
        self._wake = asyncio.Event()
        self._reminded_at: float | None = None
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def start(self) -> None:
        """Begin to watch, in the running event loop. Has no effect while it watches.

        Raises:
            RuntimeError: No event loop is running.
        """
        loop = asyncio.get_running_loop()
        if self._watching is None:
            self._watching = loop.create_task(self._watch())

    async def close(self) -> None:
        """Stop watching. The connection stays as it is. May be called twice."""
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            await asyncio.wait([watching])

    def look(self) -> None:
        """Decide again at once, because what `has_peer` or `polite` return has changed."""
        self._wake.set()

    async def _watch(self) -> None:
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

    def _advance(self, now: float, monitor: NetworkMonitor) -> float | None:
        """Restart if it is time to; return when to decide again, or None for at the next event."""
        if self._has_peer is not None and not self._has_peer():
            self._reminded_at = None
            return None
        for event in self._recovery.advance(now, self._observe(monitor)):
            self._tell(event)
            if isinstance(event, RestartStarted) and event.reason != "requested":
                self._pc.restartIce()
        self._remind(now)
        wake_at = self._recovery.wake_at
        if self._reminded_at is not None:
            wake_at = min(wake_at, now + REMINDER)
        return wake_at if wake_at < math.inf else None

    def _tell(self, event: RestartEvent) -> None:
        try:
            self._on_restart(event)
        except Exception:
            logger.exception("on_restart raised an exception")

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
            polite=self._polite() if callable(self._polite) else self._polite,
        )


def ice_transports(pc: RTCPeerConnection) -> Iterator[RTCIceTransport]:
    """Yield the ICE transports of a connection, each once."""
    users: list[Any] = [transceiver.receiver for transceiver in pc.getTransceivers()]
    if pc.sctp is not None:
        users.append(pc.sctp)
    yield from dict.fromkeys(user.transport.transport for user in users)


def _log_restart(event: RestartEvent) -> None:
    logger.info("ICE restart: %s", event)
