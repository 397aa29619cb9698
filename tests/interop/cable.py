"""Two network namespaces and a cable between them. Nothing leads out of them."""

import itertools
import os

from network.namespaces import run_ip

SIDES = ("we", "they")

_numbers = itertools.count()


class Cable:
    """Two namespaces, made at once, and removed by close()."""

    def __init__(self) -> None:
        # Other runs of these tests may be under way.
        self._prefix = f"rix{os.getpid()}-{next(_numbers)}"
        self._made: list[str] = []
        try:
            self._make()
        except BaseException:
            self.close()
            raise

    def namespace(self, side: str) -> str:
        """Return the name of the namespace of `"we"` or `"they"`."""
        return f"{self._prefix}-{side}"

    def close(self) -> None:
        """Remove everything."""
        for name in self._made:
            run_ip("netns", "del", name)
        self._made.clear()

    def plug(self, *, in_: bool) -> None:
        """Pull our end of the cable, or plug it in again."""
        self._ip("we", "link", "set", "cable", "up" if in_ else "down")

    def _make(self) -> None:
        for side in SIDES:
            run_ip("netns", "add", self.namespace(side))
            self._made.append(self.namespace(side))
            self._ip(side, "link", "set", "lo", "up")
        peer = ("type", "veth", "peer", "name", "cable", "netns", self.namespace("they"))
        self._ip("we", "link", "add", "cable", *peer)
        for side in SIDES:
            self._ip(side, "addr", "add", f"{address(side)}/24", "dev", "cable")
            self._ip(side, "link", "set", "cable", "up")
            # Browsers look for the address of the default route. There is nobody behind it.
            self._ip(side, "route", "add", "default", "via", address(other(side)))

    def _ip(self, side: str, *arguments: str) -> None:
        run_ip("-n", self.namespace(side), *arguments)


def other(side: str) -> str:
    """Return the other side."""
    return SIDES[1 - SIDES.index(side)]


def address(side: str) -> str:
    """Return a side's address."""
    return f"10.78.0.{1 + SIDES.index(side)}"
