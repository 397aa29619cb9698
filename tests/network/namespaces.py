"""Two network namespaces with links between them, which lose, delay and swallow as told.

    left ── link 0 ── middle ── link 0 ── right
         ── link 1 ──        ── link 1 ──
         ── management link    management link ──

The middle is a namespace of its own, in which wire.py forwards the frames of the links, and the
signaling server listens. The management links lead there, and are never cut.
"""

import itertools
import os
import subprocess
from collections.abc import Sequence
from typing import Self

from network.processes import Program

SIDES = ("left", "right")
PORT = 8765

_numbers = itertools.count()


class Network:
    """Namespaces, links and the wire. Made by open(); close() removes all of it."""

    def __init__(self, links: int, families: Sequence[int] = (4,)) -> None:
        # Other runs of these tests may be under way.
        self._prefix = f"{prefix()}{next(_numbers)}"
        self._links = links
        self._families = families
        self._made: list[str] = []
        self._wire: Program | None = None
        self._relay: Program | None = None

    @classmethod
    async def open(cls, links: int = 2, families: Sequence[int] = (4,)) -> Self:
        """Make everything, with addresses of IPv4, IPv6 or both on the links; start the wire."""
        network = cls(links, families)
        try:
            network._make()
            ends = [f"{side}{link}" for link in range(links) for side in SIDES]
            middle = network.namespace("middle")
            network._wire = await Program.start(middle, "wire.py", *ends)
            await network.start_signaling()
            await network._wire.wait_for("ready")
        except BaseException:
            await network.close()
            raise
        return network

    async def close(self) -> None:
        """Remove everything, also if that is cancelled."""
        try:
            for program in (self._relay, self._wire):
                if program is not None:
                    await program.close()
        finally:
            while self._made:
                run_ip("netns", "del", self._made.pop())

    async def start_signaling(self) -> None:
        """Start the signaling server."""
        self._relay = await Program.start(self.namespace("middle"), "relay.py", str(PORT))
        await self._relay.wait_for("ready")

    async def stop_signaling(self) -> None:
        """Kill the signaling server."""
        assert self._relay is not None
        await self._relay.kill()

    def namespace(self, side: str) -> str:
        """Return the name of the namespace of `"left"`, `"right"` or `"middle"`."""
        return f"{self._prefix}-{side}"

    def signaling_url(self, side: str) -> str:
        """Return the URL of the signaling server, as one side reaches it."""
        return f"ws://{management_address('middle', side)}:{PORT}"

    async def set_link(self, link: int, way: str = "both", **condition: float) -> None:
        """Say what a link does to what goes to `"left"`, `"right"` or `"both"`.

        Args:
            link: Its number.
            way: Where the frames go to.
            condition: The attributes of wire.py's Condition; without any, it is a good link.
        """
        assert self._wire is not None
        await self._wire.order(link=link, way=way, condition=condition)

    async def rebind(self, link: int, behind: str, shift: int, *, filters: bool = False) -> None:
        """Let a NAT in front of one side map all UDP ports anew.

        Args:
            link: The number of the link.
            behind: The side.
            shift: What is added to the ports, as the other side sees them.
            filters: Whether it lets in only what comes from where the side has sent to.
        """
        assert self._wire is not None
        await self._wire.order(link=link, behind=behind, shift=shift, filters=filters)

    def remove_interface(self, side: str, link: int) -> None:
        """Take an interface away from one side."""
        run_ip("-n", self.namespace(side), "link", "del", interface(link))

    def ip(self, side: str, *arguments: str) -> None:
        """Run `ip` in the namespace of a side."""
        run_ip("-n", self.namespace(side), *arguments)

    def _make(self) -> None:
        for side in (*SIDES, "middle"):
            run_ip("netns", "add", self.namespace(side))
            self._made.append(self.namespace(side))
            self.ip(side, "link", "set", "lo", "up")
        for side in SIDES:
            for link in range(self._links):
                self.add_interface(side, link)
            self._connect(side, "mgmt", f"mgmt-{side}")
            self.ip(side, "addr", "add", f"{management_address(side, side)}/24", "dev", "mgmt")
            middle = f"{management_address('middle', side)}/24"
            self.ip("middle", "addr", "add", middle, "dev", f"mgmt-{side}")

    def add_interface(self, side: str, link: int) -> None:
        """Give a side the interface of a link."""
        self._connect(side, interface(link), f"{side}{link}")
        refuse_strangers(self.namespace(side), interface(link))
        for family in self._families:
            place = (f"{address(side, link, family)}/{24 if family == 4 else 64}", "dev")
            # Duplicate addresses needn't be looked for, which takes a while.
            flags = () if family == 4 else ("nodad",)
            self.ip(side, "addr", "add", *place, interface(link), *flags)

    def _connect(self, side: str, near: str, far: str) -> None:
        middle = self.namespace("middle")
        peer = ("type", "veth", "peer", "name", far, "netns", middle)
        self.ip(side, "link", "add", near, *peer)
        self.ip(side, "link", "set", near, "up")
        self.ip("middle", "link", "set", far, "up")


def prefix() -> str:
    """Return what the names of all namespaces begin with that this run of the tests makes."""
    return f"ri{os.getpid()}-"


def left_behind() -> list[str]:
    """Return the namespaces of this run of the tests that are there."""
    listed = subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True)
    names = [line.split()[0] for line in listed.stdout.splitlines()]
    return [name for name in names if name.startswith(prefix())]


def interface(link: int) -> str:
    """Return the name that a link's interface has on both sides."""
    return f"link{link}"


def address(side: str, link: int, family: int = 4) -> str:
    """Return a side's address on a link."""
    number = 1 + SIDES.index(side)
    return f"10.77.{link}.{number}" if family == 4 else f"fd77:{1 + link}::{number}"


def management_address(of: str, side: str) -> str:
    """Return an address of the management link of a side."""
    return f"192.168.{77 + SIDES.index(side)}.{1 if of == 'middle' else 2}"


def refuse_strangers(namespace: str, name: str) -> None:
    """Let an interface take nothing that comes from an address of another link.

    Otherwise one link's address could be reached over the other link, and pairs might work that use
    one there and the other one back. Neighbors must be asked for in the name of an address of the
    link, then, or the question is refused as well.
    """
    for setting, value in (("rp_filter", 1), ("arp_announce", 2)):
        path = f"/proc/sys/net/ipv4/conf/{name}/{setting}"
        run_ip("netns", "exec", namespace, "sh", "-c", f"echo {value} > {path}")


def run_ip(*arguments: str) -> str:
    """Run `ip`, and return what it prints; what it complains about is the error."""
    result = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if result.returncode:
        raise OSError(f"ip {' '.join(arguments)}: {result.stderr.strip()}")
    return result.stdout
