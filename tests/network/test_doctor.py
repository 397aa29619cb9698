"""`python -m restartice check` in networks that are broken in different ways.

machine ── router, a NAT ── servers
"""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from network.namespaces import prefix, run_ip
from requiring import require
from turnserver import turn_server

pytestmark = pytest.mark.network

DEADLINE = 60.0
PORT = 3478
FIRST, SECOND, NOBODY = "10.78.1.2", "10.78.1.3", "10.78.1.4"
BOTH = (f"--server=stun:{FIRST}:{PORT}", f"--server=stun:{SECOND}:{PORT}")
ALICE = ("--username=alice", "--credential=wonderland")
NAT = """
table ip nat {{
    chain out {{
        type nat hook postrouting priority 100;
        oifname "outside" masquerade {}
    }}
}}
"""
DROP = """
table ip filter {{
    chain dropping {{
        type filter hook {} priority 0;
        {} drop
    }}
}}
"""


class Site:
    """The three namespaces."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def name(self, place: str) -> str:
        return f"{prefix()}doctor-{place}"

    def ip(self, place: str, *arguments: str) -> None:
        run_ip("-n", self.name(place), *arguments)

    def make(self) -> None:
        for place in ("machine", "router", "servers"):
            run_ip("netns", "add", self.name(place))
            self.made.append(self.name(place))
            self.ip(place, "link", "set", "lo", "up")
        self._link("machine", "lan", "10.78.0.2", router_side="inside")
        self._link("servers", "net", FIRST, router_side="outside")
        self.ip("servers", "addr", "add", f"{SECOND}/24", "dev", "net")
        self.ip("machine", "route", "add", "default", "via", "10.78.0.1")
        self.ip("servers", "route", "add", "default", "via", "10.78.1.1")
        forwarding = "echo 1 > /proc/sys/net/ipv4/ip_forward"
        run_ip("netns", "exec", self.name("router"), "sh", "-c", forwarding)

    def _link(self, place: str, device: str, address: str, *, router_side: str) -> None:
        peer = ("type", "veth", "peer", "name", router_side, "netns", self.name("router"))
        self.ip(place, "link", "add", device, *peer)
        gateway = f"{address.rpartition('.')[0]}.1"
        for end, name, at in ((place, device, address), ("router", router_side, gateway)):
            self.ip(end, "addr", "add", f"{at}/24", "dev", name)
            self.ip(end, "link", "set", "dev", name, "up")

    def filter(self, place: str, rules: str) -> None:
        """Add rules of nftables."""
        run_ip("netns", "exec", self.name(place), "nft", rules)

    async def wait_for_server(self) -> None:
        """Return when the servers accept a TCP connection."""
        program = (
            "import socket, sys, time\n"
            "while True:\n"
            "    try: socket.create_connection((sys.argv[1], int(sys.argv[2]))).close(); break\n"
            "    except ConnectionRefusedError: time.sleep(0.02)\n"
        )
        command = ("ip", "netns", "exec", self.name("servers"), sys.executable, "-c", program)
        for address in (FIRST, SECOND):
            process = await asyncio.create_subprocess_exec(*command, address, str(PORT))
            async with asyncio.timeout(DEADLINE):
                assert await process.wait() == 0

    async def check(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Run the check in the machine; return its exit status and what it prints as JSON."""
        inside = ("ip", "netns", "exec", self.name("machine"))
        process = await asyncio.create_subprocess_exec(
            *(*inside, sys.executable, "-m", "restartice", "check", "--json", *arguments),
            stdout=subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(DEADLINE):
                out, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode is not None
        return process.returncode, json.loads(out)

    async def problems(self, *arguments: str) -> list[str]:
        """Return the names of the problems that the check finds."""
        status, found = await self.check(*arguments)
        assert status == (1 if found["problems"] else 0)
        return [problem["name"] for problem in found["problems"]]


@pytest.fixture
def bare_site(namespaces: None) -> Iterator[Site]:  # noqa: ARG001
    require(shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin"), "nft (Debian package nftables)")
    made = Site()
    try:
        made.make()
        yield made
    finally:
        for name in made.made:
            run_ip("netns", "del", name)


@pytest.fixture
async def site(bare_site: Site, tmp_path: Path) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            turn_server(
                tmp_path / "turn",
                address=FIRST,
                namespace=bare_site.name("servers"),
                port=PORT,
                options=[f"listening-ip={SECOND}"],
            )
        )
        await bare_site.wait_for_server()
        yield bare_site


async def test_a_network_that_works(site: Site) -> None:
    site.filter("router", NAT.format(""))
    turn = f"--server=turn:{FIRST}:{PORT}"
    status, found = await site.check(*BOTH, turn, f"{turn}?transport=tcp", *ALICE)
    assert (status, found["problems"]) == (0, [])
    assert found["addresses"] == [["10.78.0.2", "lan"]]
    assert [server["way"] for server in found["servers"]] == ["udp", "udp", "udp", "tcp"]
    assert [server["address"] for server in found["servers"]] == ["10.78.1.1"] * 2 + [FIRST] * 2
    assert all(server["seconds"] < DEADLINE for server in found["servers"])
    ((base, mapped),) = found["mappings"]
    assert (base, [address for address, _ in mapped]) == ("10.78.0.2", ["10.78.1.1"])
    assert found["restarted"] > 0


async def test_no_route(site: Site) -> None:
    site.ip("machine", "route", "del", "default")
    site.ip("machine", "route", "add", "224.0.0.0/4", "dev", "lan")
    assert await site.problems(*BOTH) == ["no-route"]


async def test_no_address(bare_site: Site) -> None:
    bare_site.ip("machine", "link", "del", "lan")
    assert await bare_site.problems() == ["no-address"]


async def test_a_server_that_is_dead(site: Site) -> None:
    site.filter("router", NAT.format(""))
    dead = f"--server=stun:{NOBODY}:{PORT}"
    assert await site.problems(BOTH[0], dead, "--timeout=2") == ["server-silent"]


async def test_a_wrong_password(site: Site) -> None:
    turn = f"--server=turn:{FIRST}:{PORT}"
    wrong = ("--username=alice", "--credential=lookingglass")
    status, found = await site.check(turn, f"{turn}?transport=tcp", *wrong)
    assert status == 1
    assert [problem["name"] for problem in found["problems"]] == ["wrong-credentials"] * 2
    assert "lookingglass" not in json.dumps(found)


@pytest.mark.parametrize("relay", [False, True])
async def test_udp_is_blocked(site: Site, relay: bool) -> None:
    site.filter("router", DROP.format("forward", "ip protocol udp"))
    more = (f"--server=turn:{FIRST}:{PORT}?transport=tcp", *ALICE) if relay else ()
    _, found = await site.check(*BOTH, *more, "--timeout=3")
    assert [problem["name"] for problem in found["problems"]] == ["udp-blocked"]
    assert found["problems"][0]["is_fatal"] is not relay


async def test_a_nat_with_a_port_for_each_destination(site: Site) -> None:
    site.filter("router", NAT.format("fully-random"))
    assert await site.problems(*BOTH) == ["symmetric-nat"]
    assert await site.problems(*BOTH, f"--server=turn:{FIRST}:{PORT}", *ALICE) == []


async def test_multicast_is_blocked(site: Site) -> None:
    site.filter("machine", DROP.format("output", "ip daddr 224.0.0.251"))
    assert await site.problems(*BOTH) == ["no-mdns"]
