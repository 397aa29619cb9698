"""Lets the window of an SCTP transport follow listeners that are coroutines.

A message counts as read when the coroutines that were given it are done, so that the other side
stops sending to a program that reads slowly. (RFC 9260 section 6.2)
"""

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import Any, Final

from aiortc import rtcsctptransport
from aiortc.rtcsctptransport import DataChunk
from pyee.asyncio import AsyncIOEventEmitter

from .names import require
from .outbound import MODULO

__all__ = ["Listening", "Reading", "follow_listeners"]

# Where pyee keeps the coroutines that aren't done.
RUNNING: Final = "_waiting"
# The memory of a message that waits, beside its content, in bytes: a task, its coroutine and frame.
OVERHEAD: Final = 1024
# How many bytes of memory fragments may take that wait for the rest of their messages, beside the
# window.
REASSEMBLY: Final = 1 << 24
# Whoever was told a window below the first is told again when it is above the second.
LOW: Final = 1 << 18
WIDE: Final = 1 << 19

for _name in ("_advertised_rwnd", "_last_received_tsn", "_receive_data_chunk", "_send_sack"):
    require(rtcsctptransport.RTCSctpTransport, _name)


class Reading:
    """What the program hasn't read yet.

    Attributes:
        delivering: The bytes that the message takes which listeners are being given, or 0.
        unread: How many bytes the listeners have that aren't done.
        window_is_low: Whether the last acknowledgement told that little can come in.
        held: How many bytes of memory the fragments of interleaved messages take; of others, what
            they take beside their contents, which are in the window.
        kept: The next chunk, which came when there was no room, and isn't acknowledged.
    """

    viewed: Any  # the transport, which a subclass declares
    delivering = 0
    unread = 0
    window_is_low = False
    held = 0
    kept: DataChunk | None = None
    update: asyncio.Task[None] | None = None

    def note_window(self) -> None:
        """Note which window the other side is told."""
        self.window_is_low = self.viewed._advertised_rwnd < LOW

    def hold(self, size: int) -> None:
        """Count the memory of fragments that have come in, or less of it.

        The first of it takes no room in the window, as each channel of the other side may have
        begun a message, and none may be complete until more comes.
        """
        before = self.held
        self.held = after = before + size
        if before > REASSEMBLY or after > REASSEMBLY:
            more = max(after, REASSEMBLY) - max(before, REASSEMBLY)
            self.viewed._advertised_rwnd -= more

    def begin_reading(self, listener: "asyncio.Future[Any]") -> None:
        """Let a message take room until a listener is done with it."""
        size = self.delivering
        self.unread += size
        self.viewed._advertised_rwnd -= size
        listener.add_done_callback(partial(self.end_reading, size))

    def end_reading(self, size: int, _: object) -> None:
        """Make room again, and tell that to the other side if it waits for it."""
        sctp = self.viewed
        self.unread -= size
        sctp._advertised_rwnd += size
        if self.window_is_low and sctp._advertised_rwnd > WIDE and sctp.state == "connected":
            self.window_is_low = False
            self.update = asyncio.ensure_future(self.go_on())

    async def go_on(self) -> None:
        """Take the chunk with which the other side asked, and tell it that there is room.

        Otherwise it may wait for up to a minute, until it repeats that chunk.
        """
        sctp, chunk = self.viewed, self.kept
        self.kept = None
        if chunk is not None and (chunk.tsn - sctp._last_received_tsn) % MODULO == 1:
            await sctp._receive_data_chunk(chunk)
        await sctp._send_sack()


class Listening(set["asyncio.Future[Any]"]):
    """The listeners of a channel that aren't done, in place of the set of its emitter."""

    def __init__(self, reading: Reading, listeners: Iterable["asyncio.Future[Any]"]) -> None:
        super().__init__(listeners)
        self.reading = reading

    def add(self, listener: "asyncio.Future[Any]") -> None:
        """Add a listener; if it was given a message, that isn't read yet."""
        super().add(listener)
        if self.reading.delivering:
            self.reading.begin_reading(listener)


def follow_listeners(channel: AsyncIOEventEmitter, reading: Reading) -> None:
    """Let the window follow what the listeners of a channel read.

    It doesn't with a version of pyee that keeps them otherwise.
    """
    running = vars(channel).get(RUNNING)
    if type(running) is set:
        vars(channel)[RUNNING] = Listening(reading, running)
