"""Limits on the frames of a client that no message comes of: pings, pongs, and parts of messages.

They never reach whoever reads messages. A ping is answered with a pong, which stays in memory as
long as the client doesn't read; and they take time from all others.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from websockets.frames import DATA_OPCODES, Frame, Opcode

from .closing import CLOSE_TOO_SLOW
from .limits import RateLimit
from .sockets import ServerSocket

__all__ = ["ThrottledSocket"]

# So much is looked at before reading may be stopped; asyncio hands over 32 times as much.
SLICE: Final = 8192
NOTHING: Final[frozenset[str]] = frozenset()


class ThrottledSocket(ServerSocket):
    """A connection whose client is read no faster than agreed, nor while it doesn't read pongs.

    Args:
        make_rate: Returns what is let through.
        patience: For how many seconds the client may be too fast without a pause.
    """

    def __init__(
        self, make_rate: Callable[[], RateLimit], patience: float, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._make_rate = make_rate
        # Most clients never need it.
        self._frames: RateLimit | None = None
        self._patience = patience
        self._throttled_since: float | None = None
        # Why nothing is read.
        self._holds: frozenset[str] = NOTHING
        # What has come, and is looked at when reading goes on.
        self._rest = b""
        self._timer: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Read, as long as nothing holds that up."""
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
            # Whoever releases is in the middle of something.
            self.loop.call_soon(self._look_at_rest)

    def data_received(self, data: bytes) -> None:
        """Look at what has come."""
        self._rest += data
        self._look_at_rest()

    def _look_at_rest(self) -> None:
        while self._rest and not self._holds:
            part, self._rest = self._rest[:SLICE], self._rest[SLICE:]
            super().data_received(part)

    def eof_received(self) -> None:
        """Look at all that is left: nothing else comes."""
        rest, self._rest = self._rest, b""
        if rest:
            super().data_received(rest)
        return super().eof_received()

    def process_event(self, event: Any) -> None:
        """Count what is no message."""
        super().process_event(event)
        if not isinstance(event, Frame):
            return
        if event.opcode in DATA_OPCODES and event.fin and event.opcode is not Opcode.CONT:
            return
        if self.transport.get_write_buffer_size() and self.paused:
            # It doesn't read what its pings bring.
            self._hold("writing")
        self._keep_to_rate()

    def resume_writing(self) -> None:
        """Go on reading."""
        super().resume_writing()
        self._release("writing")

    def _keep_to_rate(self) -> None:
        now = self.loop.time()
        if self._frames is None:
            self._frames = self._make_rate()
        delay = self._frames.take(now)
        if self._frames.is_rested:
            self._throttled_since = None
        if not delay:
            return
        if self._throttled_since is None:
            self._throttled_since = now
        if now - self._throttled_since > self._patience and self._ending is None:
            self.count_as_flooding()
            self._ending = self.loop.create_task(self.close(CLOSE_TOO_SLOW, "too many frames"))
        self._hold("rate")
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(delay, self._release, "rate")

    def count_as_flooding(self) -> None:
        """Note that the client is ended because it was too fast for too long."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what wasn't looked at."""
        self._rest = b""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)
