"""A NAT in front of one of two peers of this machine, which forgets its mapping when it is told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from udpforwarder import LOOPBACK, Side

__all__ = ["Nat", "at_port", "nat", "port_of"]

Address = tuple[str, int]


class Nat:
    """Forwards between a peer behind it and one in front of it.

    Attributes:
        front: Where the peer in front receives.
        forwarded: What was forwarded there from the port in use.
    """

    def __init__(self) -> None:
        self.front: Address | None = None
        self.forwarded: list[bytes] = []
        self._behind: Address | None = None
        self._inner = Side(self._leave)
        self._outer: list[Side] = []

    @property
    def inner_port(self) -> int:
        """Where the peer behind sends to."""
        return self._inner.port

    @property
    def outer_port(self) -> int:
        """Where its packets seem to come from."""
        return self._outer[-1].port

    async def start(self) -> None:
        await self._inner.open()
        await self.rebind()

    async def rebind(self) -> None:
        """Send from another port from now on, and take in nothing at the old one."""
        side = Side(lambda data, addr: self._enter(side, data, addr))
        await side.open()
        self._outer.append(side)
        self.forwarded = []

    def close(self) -> None:
        for side in (self._inner, *self._outer):
            side.close()

    def _leave(self, data: bytes, addr: Address) -> None:
        self._behind = addr
        if self.front is not None:
            self.forwarded.append(data)
            self._outer[-1].send(data, self.front)

    def _enter(self, side: Side, data: bytes, addr: Address) -> None:
        if side is self._outer[-1] and addr == self.front and self._behind is not None:
            self._inner.send(data, self._behind)


@asynccontextmanager
async def nat() -> AsyncIterator[Nat]:
    made = Nat()
    await made.start()
    try:
        yield made
    finally:
        made.close()


def at_port(sdp: str, port: int) -> str:
    """Return a description with the port of its candidates replaced."""
    lines = sdp.splitlines(keepends=True)
    for place, line in enumerate(lines):
        if line.startswith("a=candidate:"):
            words = line.split(" ")
            assert words[4] == LOOPBACK
            words[5] = str(port)
            lines[place] = " ".join(words)
    return "".join(lines)


def port_of(sdp: str) -> int:
    """Return the port of a description's first candidate."""
    line = next(line for line in sdp.splitlines() if line.startswith("a=candidate:"))
    return int(line.split(" ")[5])
