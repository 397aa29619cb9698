"""Reads the datagrams that wait in a socket when asyncio has read one of them."""

import os
import socket
from typing import Any, Final, Protocol

__all__ = ["Backlog"]

# After how many datagrams the socket is first searched for more, and how many are read in a row at
# most, so that other sockets have their turn.
FEW: Final = 64
MOST: Final = 16
# After so many datagrams with none behind them, the socket is searched for more again.
PATIENCE: Final = 8
LARGEST: Final = 65536
NEVER: Final = -(1 << 62)


class Reader(Protocol):
    """Receives the datagrams that asyncio reads from a socket."""

    transport: Any

    def take_datagram(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Handle a datagram."""

    def error_received(self, exc: Exception) -> None:
        """Note an error of the socket."""


class Backlog:
    """Reads the datagrams that wait in a socket behind the one that asyncio has read.

    asyncio reads one datagram in each turn of its event loop, and a turn takes longer than reading
    another datagram. It doesn't let others read from its socket, so this opens a second descriptor
    of the same socket once enough datagrams have come in.
    """

    def __init__(self) -> None:
        # How many datagrams had none behind them since one last did.
        self._alone = -FEW
        self._socket: socket.socket | None = None
        self._transport: Any = None

    def drain(self, reader: Reader) -> None:
        """Read the datagrams that wait, if many have come in lately."""
        self._alone += 1
        if self._alone <= 0 or (self._alone > 1 and self._alone % PATIENCE):
            return
        if self._socket is None:
            self._open(reader.transport)
        for _ in range(MOST):
            if self._socket is None or self._transport.is_closing():
                return
            try:
                data, addr = self._socket.recvfrom(LARGEST)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                reader.error_received(error)
                return
            self._alone = 0
            reader.take_datagram(data, addr)

    def close(self) -> None:
        """Close the descriptor for good."""
        self._alone = NEVER
        if self._socket is not None:
            self._socket.close()
            self._socket = self._transport = None

    def _open(self, transport: Any) -> None:
        # Windows reads in another way.
        shown = transport.get_extra_info("socket") if os.name == "posix" else None
        if shown is None:
            self._alone = NEVER
            return
        try:
            self._socket = socket.fromfd(shown.fileno(), shown.family, shown.type)
        except OSError:
            # There is no descriptor left.
            self._alone = NEVER
            return
        self._socket.setblocking(False)
        self._transport = transport
