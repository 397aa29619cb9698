"""The worker processes of a server on one port, as one of them sees the others.

The kernel gives each connection to any worker. Without Redis a room is kept by one worker, which
its name decides, so a worker that gets a hello for another one's room hands the connection over:
its socket, and all that came on it, which the other worker processes as if it had come there.
"""

import asyncio
import json
import mmap
import os
import signal
import socket
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ..protocol.close_codes import CLOSE_TOO_LARGE, CLOSE_TRY_LATER
from .connection_limiter import MAX_RECORD, CountedSocket
from .context import refusal
from .metrics import Metrics

__all__ = ["Board", "Mesh", "Workers"]

# The most connections that are taken over before others have their turn.
AT_ONCE: Final = 16
# For how many seconds a connection waits until a worker that was just killed is there again.
PATIENCE: Final = 10.0
# What a worker may tell of its counters, in bytes.
SLOT: Final = 16_384
HEAD: Final = struct.Struct("QQ")
TRIES: Final = 100


class Board:
    """Memory that the workers share: the counters of each, and whether it listens.

    Their parent makes it.

    Args:
        count: The number of workers.

    Attributes:
        count: The number of workers.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._parent = os.getpid()
        self._memory = mmap.mmap(-1, count * (SLOT + 1))

    def set_ready(self, number: int, *, ready: bool) -> None:
        """Note whether a worker listens, and wake the parent if it does."""
        self._memory[self.count * SLOT + number] = ready
        # Otherwise it has ended, and its process id may be another's.
        if ready and os.getppid() == self._parent:
            os.kill(self._parent, signal.SIGUSR1)

    @property
    def ready(self) -> bool:
        """Whether all workers listen."""
        return all(self._memory[self.count * SLOT :])

    def write(self, number: int, counters: Mapping[str, Any]) -> None:
        """Tell the counters of a worker."""
        text, start = json.dumps(counters).encode(), number * SLOT
        if len(text) > SLOT - HEAD.size:
            return
        version, _ = HEAD.unpack_from(self._memory, start)
        # Odd while it is written, so that nobody takes a half of it.
        HEAD.pack_into(self._memory, start, version | 1, len(text))
        self._memory[start + HEAD.size : start + HEAD.size + len(text)] = text
        HEAD.pack_into(self._memory, start, (version | 1) + 1, len(text))

    def read(self, number: int) -> dict[str, Any]:
        """Return what a worker, or its predecessor, has told last."""
        start = number * SLOT
        for _ in range(TRIES):
            version, size = HEAD.unpack_from(self._memory, start)
            text = self._memory[start + HEAD.size : start + HEAD.size + size]
            if not version % 2 and HEAD.unpack_from(self._memory, start)[0] == version:
                break
        else:
            # Its writer was killed in the middle.
            return {}
        return dict(json.loads(text)) if text else {}


class Mesh:
    """A queue of connections for each worker. They live as long as the parent of the workers.

    Args:
        count: The number of workers.
    """

    def __init__(self, count: int) -> None:
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(count)]
        self.inboxes = [inbox for inbox, _ in pairs]
        self.outboxes = [outbox for _, outbox in pairs]
        for end in (*self.inboxes, *self.outboxes):
            end.setblocking(False)


class Workers:
    """A worker's view of all of them.

    Args:
        own: The number of this worker, from 0 on.
        board: What they share.
        mesh: The queues of connections, or None if any worker keeps any room, as with Redis.
    """

    def __init__(self, own: int, board: Board, mesh: Mesh | None) -> None:
        self._own = own
        self._board = board
        self._count = board.count
        self._inbox = None if mesh is None else mesh.inboxes[own]
        self._outboxes: Sequence[socket.socket] = () if mesh is None else mesh.outboxes
        self._turns = [asyncio.Lock() for _ in self._outboxes]

    @property
    def keeps_rooms(self) -> bool:
        """Whether each room is kept by one worker only."""
        return self._inbox is not None

    # Counters.

    def begin(self, metrics: Metrics) -> None:
        """Let the counters go on where those of a worker that has ended stood."""
        metrics.add(self._board.read(self._own), gauges=False)

    def tell(self, metrics: Metrics) -> None:
        """Tell the other workers the counters."""
        self._board.write(self._own, metrics.state())

    def total(self) -> Metrics:
        """Return the counters of all workers."""
        total = Metrics()
        for number in range(self._count):
            total.add(self._board.read(number))
        return total

    def set_ready(self) -> None:
        """Tell the parent that this worker listens."""
        self._board.set_ready(self._own, ready=True)

    # Connections.

    def listen(self, adopt: Callable[[socket.socket, bytes], None]) -> None:
        """Take over the connections that other workers hand over."""
        if self._inbox is not None:
            asyncio.get_running_loop().add_reader(self._inbox, self._take, self._inbox, adopt)

    def close(self) -> None:
        """Take over none any more; they wait for the next worker with this number."""
        if self._inbox is not None:
            asyncio.get_running_loop().remove_reader(self._inbox)

    def _take(self, inbox: socket.socket, adopt: Callable[[socket.socket, bytes], None]) -> None:
        for _ in range(AT_ONCE):
            try:
                record, descriptors, _, _ = socket.recv_fds(inbox, MAX_RECORD, 1)
            except BlockingIOError:
                return
            for descriptor in descriptors:
                adopt(socket.socket(fileno=descriptor), record)

    async def keep(self, room: str, client: CountedSocket) -> bool:
        """Return whether this worker keeps a room; otherwise hand the client over.

        Raises:
            Refusal: The client has sent too much, or the other worker isn't there.
        """
        number = zlib.crc32(room.encode(errors="surrogatepass")) % self._count
        if self._inbox is None or number == self._own:
            client.end_record()
            return True
        try:
            async with asyncio.timeout(PATIENCE), self._turns[number]:
                await self._hand_over(self._outboxes[number], client)
        except (OSError, TimeoutError):
            raise refusal("rate-limited", "try later", CLOSE_TRY_LATER, 1.0) from None
        await client.wait_closed()
        return False

    async def _hand_over(self, outbox: socket.socket, client: CountedSocket) -> None:
        while not client.transport.is_closing():
            record = client.record
            if record is None:
                raise refusal("too-large", "too much was sent with the hello", CLOSE_TOO_LARGE)
            descriptor = client.transport.get_extra_info("socket").fileno()
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", descriptor))
            try:
                outbox.sendmsg([record], [rights])
            except BlockingIOError:
                await _writable(outbox)
            else:
                client.hand_over()


async def _writable(outbox: socket.socket) -> None:
    """Wait until a socket takes more."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_writer(outbox, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(outbox)
