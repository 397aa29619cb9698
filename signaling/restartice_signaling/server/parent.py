"""The parent of the worker processes of a server: starts them, and restarts those that end.

It has one thread and no event loop, so that it may fork at any time.
"""

import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from .logs import event
from .workers import Board, Mesh, Workers

__all__ = ["Place", "reserve_port", "run_workers"]

logger = logging.getLogger(__name__)

# A worker that ends sooner than this is restarted after a pause, both in seconds.
SHORT_LIFE: Final = 5.0
PAUSE: Final = 1.0
# For how long workers may take to end, beside their `drain_timeout`, in seconds.
GRACE: Final = 2.0
DEADLINE: Final = 3600.0


@dataclass(frozen=True)
class Place:
    """The place of a worker.

    Attributes:
        port: The port that all of them listen on.
        workers: Its view of the others.
        parent: A descriptor that can be read from when the parent has ended.
    """

    port: int
    workers: Workers
    parent: int


@dataclass
class _Child:
    pid: int
    since: float


def reserve_port(host: str, port: int) -> list[socket.socket]:
    """Bind a port so that several processes may listen on it; return the sockets.

    They get no connections themselves.

    Args:
        host: The address or host name.
        port: The port; 0 for any free one.

    Raises:
        OSError: The address or port isn't free.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            where = (address[0], port, *address[2:])
            with socket.socket(family, kind, protocol) as probe:
                # Without SO_REUSEPORT, to find out whether another server has it.
                _bind(probe, where)
            reserved = socket.socket(family, kind, protocol)
            sockets.append(reserved)
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            _bind(reserved, where)
            port = reserved.getsockname()[1]
    except BaseException:
        for reserved in sockets:
            reserved.close()
        raise
    return sockets


def _bind(sock: socket.socket, address: tuple[object, ...]) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind(address)


class _Parent:
    """Runs workers until it is told to end.

    Args:
        count: The number of workers.
        port: Their port.
        work: What a worker does; returns its exit status.
        keep_rooms: Whether each room is kept by one worker.
    """

    def __init__(
        self, count: int, port: int, work: Callable[[Place], int], *, keep_rooms: bool
    ) -> None:
        self._port = port
        self._work = work
        self._board = Board(count)
        self._mesh = Mesh(count) if keep_rooms else None
        self._children: dict[int, _Child] = {}
        # The workers to restart, and when.
        self._ended: dict[int, float] = dict.fromkeys(range(count), 0.0)
        self._reading, self._writing = os.pipe()
        # Not at import, as Windows has some of them not.
        self._asking = {signal.SIGTERM, signal.SIGINT}
        self._signals = self._asking | {signal.SIGCHLD, signal.SIGUSR1}
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, self._signals)

    def start(self) -> None:
        """Start the workers whose time has come."""
        now = time.monotonic()
        for number in [number for number, due in self._ended.items() if due <= now]:
            del self._ended[number]
            self._board.set_ready(number, ready=False)
            sys.stdout.flush()
            pid = os.fork()
            if not pid:
                self._be_worker(number)
            self._children[number] = _Child(pid, now)

    def _be_worker(self, number: int) -> None:
        """Do the work of a worker in this process, and end it."""
        status = 1
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            os.close(self._writing)
            workers = Workers(number, self._board, self._mesh)
            status = self._work(Place(self._port, workers, self._reading))
        except BaseException:
            logger.exception("a worker failed")
        finally:
            logging.shutdown()
            sys.stdout.flush()
            os._exit(status)

    def wait_ready(self) -> int | None:
        """Wait until all listen; return None, or the status of the first one that ends before."""
        self.start()
        while not self._board.ready:
            number = signal.sigwaitinfo(self._signals).si_signo
            if number in self._asking:
                return 0
            for status in self._reap():
                return status or 1
        return None

    def watch(self) -> None:
        """Restart workers that end, until SIGTERM or SIGINT."""
        while True:
            due = min(self._ended.values(), default=time.monotonic() + DEADLINE)
            left = max(0.0, due - time.monotonic())
            found = signal.sigtimedwait(self._signals, left)
            # Of several, that the end was asked for comes first: then workers end, too.
            asked = signal.sigpending() & self._asking
            if asked or (found and found.si_signo in self._asking):
                return
            for status in self._reap():
                event(logger, logging.WARNING, "worker ended", status=status)
            self.start()

    def _reap(self) -> list[int]:
        """Return the statuses of the workers that have ended."""
        statuses, now = [], time.monotonic()
        for number, child in list(self._children.items()):
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                del self._children[number]
                statuses.append(os.waitstatus_to_exitcode(status))
                self._ended[number] = now + (PAUSE if now - child.since < SHORT_LIFE else 0.0)
        return statuses

    def end(self, within: float) -> int:
        """End all workers; return 0 if all ended as they should."""
        self._kill(signal.SIGTERM)
        give_up_at, failed = time.monotonic() + within, False
        while self._children:
            left = give_up_at - time.monotonic()
            if left <= 0:
                self._kill(signal.SIGKILL)
                left = DEADLINE
            signal.sigtimedwait({signal.SIGCHLD}, left)
            failed |= any(self._reap())
        return int(failed)

    def _kill(self, number: signal.Signals) -> None:
        for child in self._children.values():
            # It isn't reaped yet, so the pid is no other process's.
            os.kill(child.pid, number)


def run_workers(
    count: int,
    port: int,
    work: Callable[[Place], int],
    *,
    keep_rooms: bool,
    drain_timeout: float,
    on_ready: Callable[[], None],
) -> int:
    """Run workers until SIGTERM or SIGINT.

    Args:
        count: The number of workers.
        port: The port of all of them; see reserve_port().
        work: What a worker does; returns its exit status.
        keep_rooms: Whether each room is kept by one worker, as without Redis.
        drain_timeout: How many seconds a worker may take to end.
        on_ready: Called once all listen.

    Returns:
        The exit status.
    """
    parent = _Parent(count, port, work, keep_rooms=keep_rooms)
    status = parent.wait_ready()
    if status is None:
        on_ready()
        parent.watch()
    ended = parent.end(drain_timeout + GRACE)
    return ended if status is None else status
