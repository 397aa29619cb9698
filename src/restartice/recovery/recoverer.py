"""Restarts the ICE of a connection when its path is lost or the network changes."""

import asyncio
import logging
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final, Self

from ..ice.network import NetworkChange, SharedMonitor
from ..ice.transport import RTCIceTransport
from ..logs import ObjectLogger
from ..peerconnection import RTCPeerConnection
from ..settings import or_default
from .policy import (
    Observation,
    PathSwitched,
    Recovery,
    RecoverySettings,
    RestartEvent,
    RestartStarted,
)

__all__ = ["AutomaticRestart"]

logger = logging.getLogger(__name__)

# The seconds after which a restart is requested again while an offer waits for its answer, so that
# a failed connection doesn't close itself.
REMINDER: Final = 60.0
EVENTS: Final = ("iceconnectionstatechange", "signalingstatechange")


class AutomaticRestart:
    """Watches a connection and the network of this machine, and calls `restartIce()` when needed.

    It restarts ICE when ICE has failed, when it stays `disconnected`, when the address in use is
    lost, and when this machine gets a new address; but not if the connection switches to another
    pair by itself, which it only reports. It tries a failed restart again. Add a listener
    for `negotiationneeded` that makes the offers; a `Negotiator` does both.

        async with AutomaticRestart(pc, on_restart=print):
            ...

    Without such a block, call start(). It ends when the connection is closed. Until then it keeps
    trying, which keeps a failed connection from closing itself: give `has_peer` if the program
    knows when the other side has left.

    Args:
        pc: The connection.
        settings: The times; None for the defaults.
        polite: Whether the other side restarts first, if both sides run this. One of the two should
            be polite. May be a function without arguments.
        on_restart: Called when a restart starts, succeeds or fails, and when the connection has
            switched to another path without a restart. Its errors are logged. By default these
            events are logged at INFO.
        has_peer: Returns whether the other side can answer an offer. While it returns False,
            nothing is restarted. None if it always can.

    Raises:
        TypeError: An argument has the wrong type, such as a connection of aiortc's.
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
        for name, function in {"on_restart": on_restart, "has_peer": has_peer}.items():
            if function is not None and not callable(function):
                raise TypeError(f"{name} must be a function or None, not {function!r}")
        self._pc = pc
        self._log = ObjectLogger(logger, repr(pc))
        self._recovery = Recovery(or_default(settings, RecoverySettings))
        self._polite = polite
        self._on_restart = on_restart or self._log_restart
        self._has_peer = has_peer
        self._wake = asyncio.Event()
        self._reminded_at: float | None = None
        self._addresses: frozenset[str] = frozenset()
        self._listening: set[RTCIceTransport] = set()
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def start(self) -> None:
        """Begin to watch, in the running event loop. A second call has no effect.

        Raises:
            RuntimeError: No event loop is running.
        """
        loop = asyncio.get_running_loop()
        if self._watching is None:
            self._watching = loop.create_task(self._watch())

    async def close(self) -> None:
        """Stop watching. The connection stays open. It may be called twice."""
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            await asyncio.wait([watching])

    def look(self) -> None:
        """Decide again at once, because the result of `has_peer` or `polite` has changed."""
        self._wake.set()

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        # The monitor that the connection uses, so that both learn of a change at the same time.
        self._addresses, leave = SharedMonitor.follow(self._follow)
        for event in EVENTS:
            self._pc.on(event, self._wake.set)
        try:
            while self._pc.connectionState != "closed":
                self._wake.clear()
                self._listen()
                wake_at = self._advance(loop.time())
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(wake_at):
                        await self._wake.wait()
        finally:
            leave()
            self._listen_no_more()
            for event in EVENTS:
                # The program may have removed all listeners.
                with suppress(KeyError):
                    self._pc.remove_listener(event, self._wake.set)

    def _follow(self, change: NetworkChange) -> None:
        self._addresses = change.addresses
        self._wake.set()

    def _listen(self) -> None:
        for transport in ice_transports(self._pc):
            if transport not in self._listening:
                self._listening.add(transport)
                transport._core.switch_listeners.append(self._switched)

    def _listen_no_more(self) -> None:
        for transport in self._listening:
            transport._core.switch_listeners.remove(self._switched)
        self._listening.clear()

    def _switched(self, event: PathSwitched) -> None:
        self._tell(event)
        self._wake.set()

    def _advance(self, now: float) -> float | None:
        """Restart if needed; return when to decide again, or None to wait for the next event."""
        if self._has_peer is not None and not self._has_peer():
            self._reminded_at = None
            return None
        for event in self._recovery.advance(now, self._observe()):
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
        except Exception:  # noqa: BLE001  the program may raise any
            self._log.exception("on_restart raised an exception")

    def _log_restart(self, event: RestartEvent) -> None:
        self._log.info("ICE restart: %s", event)

    def _remind(self, now: float) -> None:
        waiting = self._pc.iceConnectionState == "failed" and self._pc.signalingState != "stable"
        if not waiting:
            self._reminded_at = None
        elif self._reminded_at is None:
            self._reminded_at = now
        elif now - self._reminded_at >= REMINDER:
            self._reminded_at = now
            self._pc.restartIce()

    def _observe(self) -> Observation:
        transports = list(ice_transports(self._pc))
        spares = [transport._core.spare_addresses for transport in transports]
        pairs = [transport.getSelectedCandidatePair() for transport in transports]
        newest = [str(t.getLocalParameters().usernameFragment) for t in transports]
        sending = [None if p is None else p.local.usernameFragment for p in pairs]
        return Observation(
            ice_state=self._pc.iceConnectionState,
            negotiating=self._pc.signalingState != "stable",
            generation=tuple(dict.fromkeys(newest)),
            on_newest=sending == newest,
            selected=frozenset(pair.local.ip for pair in pairs if pair is not None),
            addresses=self._addresses,
            polite=self._polite() if callable(self._polite) else self._polite,
            spares=frozenset.intersection(*spares) if spares else frozenset(),
            prefers=all(transport._core.prefers for transport in transports),
        )


def ice_transports(pc: RTCPeerConnection) -> Iterator[RTCIceTransport]:
    """Yield the ICE transports of a connection, each once."""
    users: list[Any] = [transceiver.receiver for transceiver in pc.getTransceivers()]
    if pc.sctp is not None:
        users.append(pc.sctp)
    yield from dict.fromkeys(user.transport.transport for user in users)
