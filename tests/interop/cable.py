"""Two network namespaces and two cables between them. Nothing leads out of them."""

import itertools
import json
import os

from network.namespaces import refuse_strangers, run_ip

SIDES = ("we", "they")
CABLE, SPARE = "cable", "spare"
NOBODY = "02:00:00:00:00:99"
MULTICAST = "224.0.0.0/4"

_numbers = itertools.count()


class Cable:
    """Two namespaces, made at once, and removed by close()."""

    def __init__(self) -> None:
        # Other runs of these tests may be under way.
        self._prefix = f"rix{os.getpid()}-{next(_numbers)}"
        self._made: list[str] = []
        self._laid: set[str] = set()
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

    def cut(self, cable: str = CABLE) -> None:
        """Lose all that goes over a cable, either way. No interface takes notice of that."""
        for side in SIDES:
            place = (address(other(side), cable), "lladdr", NOBODY, "dev", cable)
            self._ip(side, "neigh", "replace", *place, "nud", "permanent")

    def mend(self, cable: str = CABLE) -> None:
        """Undo cut()."""
        for side in SIDES:
            self._ip(side, "neigh", "flush", "dev", cable, "nud", "permanent")

    def lose(self, percent: int) -> None:
        """Lose so many of a hundred datagrams, either way; 0 ends that."""
        for side in SIDES:
            # The first time there is none to delete.
            rules = "add table inet loss\ndelete table inet loss\n"
            if percent:
                rules += "add table inet loss\n"
                rules += "add chain inet loss in { type filter hook input priority 0 ; }\n"
                dropped = f"numgen random mod 100 < {percent} drop"
                rules += f"add rule inet loss in meta l4proto udp {dropped}\n"
            run_ip("netns", "exec", self.namespace(side), "nft", rules)

    def take_address(self, side: str, cable: str) -> None:
        """Let a side have no address on a cable, and its default route lead over the other one."""
        self._ip(side, "addr", "del", f"{address(side, cable)}/24", "dev", cable)
        self._route(side, CABLE if cable == SPARE else SPARE)

    def give_address(self, side: str, cable: str) -> None:
        """Undo take_address()."""
        self._ip(side, "addr", "add", f"{address(side, cable)}/24", "dev", cable)
        self._route(side, cable)

    def lay_spare(self) -> None:
        """Lay another cable, and let the default route lead over it."""
        self._lay(SPARE)

    def separate(self) -> None:
        """Let no address of one cable be reached over the other one."""
        for side in SIDES:
            for cable in (CABLE, SPARE):
                refuse_strangers(self.namespace(side), cable)

    def packets_sent(self, side: str, cable: str) -> int:
        """Return how many packets one side has sent over a cable."""
        told = run_ip("-n", self.namespace(side), "-j", "-s", "link", "show", cable)
        return int(json.loads(told)[0]["stats64"]["tx"]["packets"])

    def remove_spare(self) -> None:
        """Undo lay_spare()."""
        for side in SIDES:
            self._route(side, CABLE)
        if SPARE in self._laid:
            self._ip("we", "link", "del", SPARE)
            self._laid.discard(SPARE)

    def hear_multicast(self, *, hear: bool) -> None:
        """Let our multicasts go out, and hear those of the other side, or don't."""
        if hear:
            self._ip("we", "route", "del", MULTICAST, "dev", "lo")
        else:
            self._ip("we", "route", "add", MULTICAST, "dev", "lo")

    def _make(self) -> None:
        for side in SIDES:
            run_ip("netns", "add", self.namespace(side))
            self._made.append(self.namespace(side))
            self._ip(side, "link", "set", "lo", "up")
        self._lay(CABLE)

    def _lay(self, cable: str) -> None:
        peer = ("type", "veth", "peer", "name", cable, "netns", self.namespace("they"))
        self._ip("we", "link", "add", cable, *peer)
        self._laid.add(cable)
        for side in SIDES:
            self._ip(side, "addr", "add", f"{address(side, cable)}/24", "dev", cable)
        for side in SIDES:
            self._ip(side, "link", "set", cable, "up")
            self._route(side, cable)

    def _route(self, side: str, cable: str) -> None:
        # Browsers look for the address of the default route. There is nobody behind it.
        gateway = ("via", address(other(side), cable), "dev", cable)
        self._ip(side, "route", "replace", "default", *gateway)

    def _ip(self, side: str, *arguments: str) -> None:
        run_ip("-n", self.namespace(side), *arguments)


def other(side: str) -> str:
    """Return the other side."""
    return SIDES[1 - SIDES.index(side)]


def address(side: str, cable: str = CABLE) -> str:
    """Return a side's address on a cable."""
    return f"10.{78 if cable == CABLE else 79}.0.{1 + SIDES.index(side)}"
