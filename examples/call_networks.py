"""Two networks between two peers, made of network namespaces, and a signaling server that dies.

Linux and root are needed. Nothing has to be removed in the end: a network is there for as long as a
process is in it, and the ones that hold them end with this one, however it ends.

    Alice ── first  ── Bob
          ── second ──
"""

import asyncio
import contextlib
import os
import shutil
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Self

__all__ = ["LINKS", "NetworksError", "TwoNetworks", "what_is_missing"]

LINKS = ("first", "second")
PORT = 8765
# Nobody has this hardware address, so packets to it vanish without an error.
NOBODY = "02:00:00:00:00:99"
# Otherwise one link's address could be reached over the other link, too.
STRICT = "for each in rp_filter:1 arp_announce:2; do echo ${each#*:} > $0/${each%:*}; done"
HOLD = "echo ready; exec cat"
# A server doesn't read its standard input, so the kernel has to end it.
WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")
DEADLINE = 60.0


class NetworksError(Exception):
    """The networks can't be made, or changed."""


def what_is_missing() -> str | None:
    """Return what this machine lacks to make networks, or None."""
    if not sys.platform.startswith("linux"):
        return "Linux"
    if os.geteuid() != 0:
        return "root, to make networks"
    programs = ("ip", "unshare", "nsenter", "setpriv")
    return next((f"the program {name}" for name in programs if not shutil.which(name)), None)


class TwoNetworks:
    """The networks of the two peers, and the signaling server. Made by open()."""

    def __init__(self) -> None:
        self._holders: list[Process] = []
        self._server: Process | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[Self]:
        """Make the networks, and at the end stop all programs in them.

        Raises:
            NetworksError: A program that is needed for that has failed.
        """
        async with AsyncExitStack() as stack:
            networks = cls()
            for _ in range(2):
                holder = await start(("unshare", "--net", "sh", "-c", HOLD))
                stack.push_async_callback(end, holder)
                await first_line(holder)
                networks._holders.append(holder)
            for number in range(2):
                await networks._ip(number, "link", "set", "lo", "up")
            for link in LINKS:
                await networks._connect(link)
            stack.push_async_callback(networks.stop_signaling)
            yield networks

    def inside(self, turn: int) -> tuple[str, ...]:
        """Return the beginning of a command that runs in the namespace of a peer (0 or 1)."""
        return ("nsenter", f"--net=/proc/{self._holders[turn].pid}/ns/net")

    async def start_signaling(self) -> str:
        """Start a signaling server, which both can reach; return its URL."""
        options = (f"--host={address(0, LINKS[0])}", f"--port={PORT}", "--insecure")
        program = (sys.executable, "-m", "restartice_signaling", "--log-level=error", *options)
        self._server = await start((*WITH_PARENT, *self.inside(0), *program))
        await first_line(self._server)
        return f"ws://{address(0, LINKS[0])}:{PORT}"

    async def stop_signaling(self) -> None:
        """Kill the signaling server, as if its machine had died."""
        server, self._server = self._server, None
        if server is not None:
            await end(server)

    async def cut(self, link: str) -> None:
        """Lose all packets on a link, in both directions, from now on."""
        for turn in range(2):
            place = (address(1 - turn, link), "lladdr", NOBODY, "dev", link)
            await self._ip(turn, "neigh", "replace", *place, "nud", "permanent")

    async def mend(self, link: str) -> None:
        """Undo cut()."""
        for turn in range(2):
            await self._ip(turn, "neigh", "flush", "dev", link, "nud", "permanent")

    async def _connect(self, link: str) -> None:
        far = ("peer", "name", link, "netns", str(self._holders[1].pid))
        await self._ip(0, "link", "add", link, "type", "veth", *far)
        for turn in range(2):
            await self._ip(turn, "addr", "add", f"{address(turn, link)}/24", "dev", link)
            settings = f"/proc/sys/net/ipv4/conf/{link}"
            await run((*self.inside(turn), "sh", "-c", STRICT, settings))
            await self._ip(turn, "link", "set", link, "up")

    async def _ip(self, turn: int, *arguments: str) -> None:
        await run((*self.inside(turn), "ip", *arguments))


def address(turn: int, link: str) -> str:
    """Return a peer's address on a link."""
    return f"10.79.{LINKS.index(link)}.{1 + turn}"


def link_of(ip: str) -> str:
    """Return the link of an address."""
    return next(link for link in LINKS if ip in {address(turn, link) for turn in range(2)})


async def start(command: Sequence[str]) -> Process:
    """Start a program that ends when its standard input does, or is killed by end()."""
    return await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)


async def first_line(process: Process) -> str:
    """Return the first line of a program, which says that it is ready."""
    assert process.stdout is not None
    try:
        async with asyncio.timeout(DEADLINE):
            line = await process.stdout.readline()
    except TimeoutError:
        raise NetworksError(f"a program didn't start within {DEADLINE:g} seconds") from None
    if not line:
        raise NetworksError(f"a network can't be made (status {await process.wait()})")
    return line.decode()


async def end(process: Process) -> None:
    """Kill a program, and wait until it is gone."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    # Reads what is left, so that the pipes are closed.
    await process.communicate()


async def run(command: Sequence[str]) -> None:
    """Run a program; its error output is the error."""
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    _, complaint = await process.communicate()
    if process.returncode:
        raise NetworksError(f"{' '.join(command)}: {complaint.decode().strip()}")
