"""Writes to a client: reliable messages, acknowledgments, and answers."""

import asyncio
import contextlib
import time
from collections import deque
from typing import Final

import websockets.asyncio.server as ws
from websockets.exceptions import ConnectionClosed

from ..protocol.close_codes import CLOSE_TOO_SLOW, CLOSE_TRY_LATER
from ..protocol.encoding import encode, numbered
from ..protocol.messages import Ack, Message, Welcome
from ..protocol.reliable import Inbox
from .context import ServerContext
from .rooms.interface import BackendDown, Lease

__all__ = ["Outgoing"]

BATCH: Final = 64
# The most unnumbered messages that wait for a client; beyond it, the client is closed.
MAX_ASIDES: Final = 64
# The most bytes that wait in the transport before writing waits for the client.
WRITE_LIMIT: Final = 32_768


class Outgoing:
    """Writes to a client's socket, in order. Reliable messages wait in the backend.

    Attributes:
        inbox: Counts the messages of the client, to acknowledge them.
        sent: The number of the newest message that was sent to the client.
    """

    def __init__(self, context: ServerContext, socket: ws.ServerConnection) -> None:
        self._backend = context.backend
        self._metrics = context.metrics
        self._socket = socket
        self.inbox = Inbox()
        self.sent = 0
        self._asides: deque[str] = deque()
        self._wakeup = asyncio.Event()
        self._begun = False
        self._closing: asyncio.Task[None] | None = None

    def progress(self) -> tuple[int, int]:
        """Return the numbers of the newest message to the client, and of the newest from it."""
        return self.sent, self.inbox.last

    def begin(self, welcome: Welcome, seen: int) -> None:
        """Send the welcome; the client has seen the messages up to `seen`."""
        self.inbox, self.sent = Inbox(welcome.last), seen
        self.say(welcome)
        self._begun = True

    def wake(self) -> None:
        """Send the messages that wait in the backend."""
        self._wakeup.set()

    def tell(self, seq: int, text: str) -> None:
        """Send a message that was just added to the outbox, at once if it is the next one."""
        is_next = self._begun and seq == self.sent + 1 and not self._asides
        if is_next and self._closing is None and self._has_room():
            self._send(self._number(seq, text))
        else:
            self._wakeup.set()

    def dismiss(self, code: int, reason: str) -> None:
        """Close the connection, and send nothing more."""
        if self._closing is None:
            self._metrics.closed[code] += 1
            self._closing = asyncio.create_task(self._socket.close(code, reason))

    def say(self, message: Message) -> None:
        """Send a message without a number."""
        if len(self._asides) >= MAX_ASIDES:
            self.dismiss(CLOSE_TOO_SLOW, "too slow")
            return
        self._asides.append(encode(message))
        self._wakeup.set()

    async def say_last(self, message: Message) -> None:
        """Send a message before all that wait."""
        with contextlib.suppress(ConnectionClosed):
            await self._socket.send(encode(message))

    async def wait_closed(self) -> None:
        """Wait until the connection is closed, if dismiss() was called."""
        if self._closing is not None:
            await self._closing

    def note(self, seq: int) -> None:
        """Note that a message of the client has been processed."""
        now = time.monotonic()
        self.inbox.note(seq, now)
        self.acknowledge_if_due(now)

    def acknowledge_if_due(self, now: float) -> None:
        """Acknowledge the messages of the client, if it is time."""
        if self.inbox.ack_due(now):
            self._wakeup.set()

    async def run(self, lease: Lease) -> None:
        """Write until the connection is closed."""
        try:
            while True:
                await self._wakeup.wait()
                self._wakeup.clear()
                while self._asides:
                    await self._send_in_time(self._asides.popleft())
                await self._send_waiting(lease)
                if self.inbox.ack_due(time.monotonic()):
                    seq = self.inbox.take_ack() or self.inbox.last
                    await self._send_in_time(encode(Ack(seq)))
        except ConnectionClosed:
            return
        except BackendDown:
            self.dismiss(CLOSE_TRY_LATER, "try later")

    async def _send_waiting(self, lease: Lease) -> None:
        """Send the messages that wait in the backend; later ones come through tell()."""
        while messages := await self._backend.waiting(lease, self.sent, BATCH):
            for seq, text in messages:
                # tell() may have sent some meanwhile.
                if seq > self.sent:
                    await self._send_in_time(self._number(seq, text))
            if len(messages) < BATCH:
                return

    async def _send_in_time(self, text: str) -> None:
        """Send, and wait while too much is unread."""
        if self._closing is not None:
            # No message may follow one that was dropped.
            await asyncio.shield(self._closing)
        if self._has_room():
            self._send(text)
        else:
            await self._socket.send(text)

    def _has_room(self) -> bool:
        return self._socket.transport.get_write_buffer_size() < WRITE_LIMIT

    def _number(self, seq: int, text: str) -> str:
        # Before it is sent: the acknowledgment may come before the next turn of the loop.
        self.sent = seq
        self._metrics.sent += 1
        return numbered(text, seq, self.inbox.take_ack())

    def _send(self, text: str) -> None:
        # Like send(), but without a coroutine, which would double the cost.
        ws.broadcast([self._socket], text)
