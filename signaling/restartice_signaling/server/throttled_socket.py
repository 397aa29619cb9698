"""Limits the frames of a client that aren't messages: pings, pongs, and fragments.

`websockets` handles these itself, so the limit on messages doesn't count them. Each one takes time
from other clients, and each ping adds a pong that stays in memory until the client reads it.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from websockets.frames import DATA_OPCODES, Frame, Opcode

from ..protocol.close_codes import CLOSE_TOO_SLOW
from ..protocol.rate_limit import Throttle
from ..sockets import ServerSocket

__all__ = ["ThrottledSocket"]

# The bytes that are processed before reading may be paused; asyncio reads 32 times as much.
SLICE: Final = 8192
# The same for a client that is too fast.
SMALL_SLICE: Final = 256
NOTHING: Final[frozenset[str]] = frozenset()


class ThrottledSocket(ServerSocket):
    """A connection that reads no faster than the limit, and pauses while its client reads no pongs.

    Args:
        make_throttle: Returns the throttle for the client.
    """

    def __init__(self, make_throttle: Callable[[], Throttle], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._make_throttle = make_throttle
        # Made on demand: most clients never need one.
        self._throttle: Throttle | None = None
        # The reasons for which reading is paused.
        self._holds: frozenset[str] = NOTHING
        # Data that is processed when reading is resumed.
        self._rest = b""
        self._timer: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the queue of messages pause and resume reading."""
        super().connection_made(transport)
        self.recv_messages.pause = self._hold
        self.recv_messages.resume = self._release

    def _hold(self, reason: str = "queue") -> None:
        if not self._holds:
            self.transport.pause_reading()
        self._holds |= {reason}

    def _release(self, reason: str = "queue") -> None:
        if reason not in self._holds:
            return
        self._holds -= {reason}
        if not self._holds and not self.transport.is_closing():
            self.transport.resume_reading()
            # Later, because the caller may be in the middle of something.
            self.loop.call_soon(self._look_at_rest)

    def data_received(self, data: bytes) -> None:
        """Process the data, in parts, until reading is paused."""
        self._rest += data
        self._look_at_rest()

    def _look_at_rest(self) -> None:
        while self._rest and not self._holds:
            is_late = self._throttle is not None and self._throttle.is_late
            size = SMALL_SLICE if is_late else SLICE
            part, self._rest = self._rest[:size], self._rest[size:]
            super().data_received(part)

    def eof_received(self) -> None:
        """Process the rest of the data, even if reading is paused."""
        rest, self._rest = self._rest, b""
        if rest:
            super().data_received(rest)
        return super().eof_received()

    def process_event(self, event: Any) -> None:
        """Count frames that aren't messages."""
        super().process_event(event)
        if not isinstance(event, Frame):
            return
        if event.opcode in DATA_OPCODES and event.fin and event.opcode is not Opcode.CONT:
            return
        if self.transport.get_write_buffer_size() and self.paused:
            # The client doesn't read the pongs that it asks for.
            self._hold("writing")
        self._keep_to_rate()

    def resume_writing(self) -> None:
        """Resume reading."""
        super().resume_writing()
        self._release("writing")

    def _keep_to_rate(self) -> None:
        if self._throttle is None:
            self._throttle = self._make_throttle()
        delay = self._throttle.take(self.loop.time())
        if not delay:
            return
        if self._throttle.is_exhausted and self._ending is None:
            self.count_as_flooding()
            self._ending = self.loop.create_task(self.close(CLOSE_TOO_SLOW, "too many frames"))
        self._hold("rate")
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(delay, self._release, "rate")

    def count_as_flooding(self) -> None:
        """Count a client that is closed because it was too fast for too long."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop the data that wasn't processed."""
        self._rest = b""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)
