"""Relays the signals of a client to their receivers."""

import asyncio
import time
from collections import deque
from typing import Final

from ..cancellation import end
from ..errors import BadMessage
from ..protocol.close_codes import CLOSE_PROTOCOL, CLOSE_REPLACED, CLOSE_TOO_SLOW, CLOSE_TRY_LATER
from ..protocol.encoding import relayed
from ..protocol.messages import Custom, Error, Signal
from .context import ServerContext, refusal
from .outgoing import Outgoing
from .rooms.interface import Backend, BackendDown, Lease, Outcome

__all__ = ["RETRY_AFTER", "Relay"]

RETRY_AFTER = 5.0
LOSSES: Final = {
    Outcome.LOST: (CLOSE_REPLACED, "replaced"),
    # The client reconnects, and gets a new session.
    Outcome.FORGOTTEN: (CLOSE_TRY_LATER, "session lost"),
}


class Relay:
    """Relays what a client sends, in order.

    Args:
        context: The state that all connections share.
        lease: The lease of the client.
        outgoing: Writes to the client.
    """

    def __init__(self, context: ServerContext, lease: Lease, outgoing: Outgoing) -> None:
        self._settings = context.settings
        self._backend: Backend = context.backend
        self._metrics = context.metrics
        self._lease = lease
        self._outgoing = outgoing
        # Signals that were read and aren't relayed yet.
        self._backlog: deque[Signal] = deque()
        self._relaying: asyncio.Task[None] | None = None

    async def take(self, signal: Signal) -> None:
        """Relay a signal, or queue it while its receiver or an earlier signal has to wait.

        Raises:
            Refusal: A signal before it is missing, or too many wait.
            BackendDown: The signal may or may not have been relayed.
        """
        now = time.monotonic()
        try:
            is_new = self._outgoing.inbox.take(signal.seq, now)
        except BadMessage as error:
            raise refusal("protocol", str(error), CLOSE_PROTOCOL) from None
        if not is_new:
            self._outgoing.acknowledge_if_due(now)
            return
        if self._relaying is None and await self._relay(signal, force=False):
            return
        # Keep reading: an acknowledgment must not wait behind a signal.
        self._backlog.append(signal)
        if len(self._backlog) > self._settings.limits.max_unacknowledged:
            raise refusal("rate-limited", "too much unacknowledged", CLOSE_TOO_SLOW, RETRY_AFTER)
        if self._relaying is None:
            self._relaying = asyncio.create_task(self._relay_backlog())

    async def take_bad(self, error: BadMessage) -> None:
        """Answer a malformed message with an error.

        Raises:
            BackendDown: The message may or may not have been noted.
        """
        self._metrics.refused["bad-message"] += 1
        if error.ref is not None and error.ref == self._outgoing.inbox.taken + 1:
            # Its number is used up, after those of the signals that wait.
            await self.settle()
            await self._backend.skip(self._lease, error.ref)
            self._outgoing.note(error.ref)
        self._outgoing.say(Error("bad-message", str(error), error.ref))

    async def settle(self) -> None:
        """Wait until all queued signals are relayed."""
        if self._relaying is not None:
            await asyncio.shield(self._relaying)

    async def stop(self) -> None:
        """Stop relaying."""
        if self._relaying is not None:
            await end([self._relaying])

    async def _relay_backlog(self) -> None:
        """Relay the queued signals in order. Remove receivers that don't read in time."""
        try:
            while self._backlog:
                signal = self._backlog.popleft()
                give_up_at = time.monotonic() + self._settings.stall_timeout
                while not await self._relay(signal, force=time.monotonic() >= give_up_at):
                    left = give_up_at - time.monotonic()
                    await self._backend.wait_for_room(max(0.0, min(left, 1.0)))
        except BackendDown:
            self._outgoing.dismiss(CLOSE_TRY_LATER, "try later")
        finally:
            self._relaying = None

    async def _relay(self, signal: Signal, *, force: bool) -> bool:
        """Relay a signal; return False if the outbox of a receiver is full."""
        lease = self._lease
        refused = None
        if ("custom" if isinstance(signal.data, Custom) else "signal") not in lease.rights:
            await self._backend.skip(lease, signal.seq)
            refused = Error("auth", "the token lacks the right for this message", signal.seq)
        else:
            text = relayed(signal.data, lease.peer, lease.instance)
            outcome = await self._backend.relay(
                lease, signal.seq, signal.to, signal.instance, text, force
            )
            if outcome is Outcome.FULL:
                return False
            if outcome in LOSSES:
                self._outgoing.dismiss(*LOSSES[outcome])
                return True
            if outcome is Outcome.NO_PEER:
                refused = Error(
                    "no-peer", "no peer, or more than one, could be the receiver", signal.seq
                )
        if refused is None:
            self._metrics.relayed += 1
        else:
            self._metrics.refused[refused.code] += 1
            self._outgoing.say(refused)
        self._outgoing.note(signal.seq)
        return True
