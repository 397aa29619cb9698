"""Ports for servers that are told theirs, or that come back on the one they had.

They are none of those that the kernel gives to whoever asks for any, as each connection and each
ICE candidate does, so that no other program has one before the server does, or while it is away.
"""

import secrets
import socket
from contextlib import ExitStack

__all__ = ["free_port", "free_ports"]

LOOPBACK = "127.0.0.1"
# The kernel's own begin at 32768, those of other systems higher.
LOWEST, HIGHEST = 12_000, 32_000
KINDS = (socket.SOCK_DGRAM, socket.SOCK_STREAM)


def free_port() -> int:
    """Return a port that is free for UDP and TCP."""
    return free_ports(1)[0]


def free_ports(count: int) -> tuple[int, int]:
    """Return the first and the last of a range of ports, all of them free for UDP and TCP."""
    while True:
        first = LOWEST + secrets.randbelow(HIGHEST - LOWEST)
        ports = range(first, first + count)
        try:
            with ExitStack() as opened:
                for port in ports:
                    for kind in KINDS:
                        opened.enter_context(socket.socket(type=kind)).bind((LOOPBACK, port))
        except OSError:
            continue
        return ports[0], ports[-1]
