"""Networks that change under a call: other addresses, other servers."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from network.calls import Peers, at_once, call, peers_in
from network.checks import (
    check_nothing_is_lost,
    events_of,
    notify,
    seconds_until,
    send_numbers,
    wait_until_ready,
)
from network.namespaces import SIDES, Network, address, interface, management_address
from network.processes import Program
from turnserver import TurnServer, turn_server

pytestmark = [pytest.mark.network, pytest.mark.timeout(600), pytest.mark.usefixtures("namespaces")]


async def report(peers: Peers, name: str) -> list[str]:
    return [str((await peer.order(do="report"))[name]) for peer in peers]


async def restart(peers: Peers, side: str = "left") -> None:
    begin = time.monotonic()
    await peers[SIDES.index(side)].order(do="restart")
    await seconds_until(peers, "switched", begin)


async def test_a_better_network_and_other_servers(tmp_path: Path) -> None:
    """Two calls at once, as neither minds if it takes a little longer."""
    await at_once(a_better_network_comes_up(), other_servers_and_policies(tmp_path))


async def a_better_network_comes_up() -> None:
    """As when a VPN does: there is one more address, and everything is routed there."""
    place = (f"{address('left', 1)}/24", "dev", interface(1))
    async with AsyncExitStack() as stack:
        network = await Network.open(links=2)
        stack.push_async_callback(network.close)
        network.ip("left", "addr", "del", *place)
        peers = await stack.enter_async_context(peers_in(network, restart="negotiator"))
        await send_numbers(peers)
        came_up_at = time.monotonic()
        network.ip("left", "addr", "add", *place)
        network.ip("left", "route", "add", "default", "dev", interface(1))
        await peers[0].wait_for("RestartStarted", reason="network changed", since=came_up_at)
        await seconds_until(peers, "RestartSucceeded", came_up_at)
        for peer in peers:
            await peer.wait_until_connected()
        await check_nothing_is_lost(peers)
        assert len(events_of([peers[0]], "RestartStarted", reason="network changed")) == 1


@pytest.mark.parametrize("families", [(6,), (4, 6)], ids=["IPv6 only", "both"])
async def test_families(families: tuple[int, ...]) -> None:
    """The address in use goes: data flows again over the other link, or by the other family.

    That is no restart: other pairs are known to work.
    """
    async with call(links=2, families=families, restart="negotiator") as (network, peers):
        await send_numbers(peers)
        await wait_until_ready(peers)
        left, right = await report(peers, "local")
        addresses = [
            (link, family, address("left", link, family)) for link in (0, 1) for family in families
        ]
        (link, family) = next((link, family) for link, family, at in addresses if at == left)
        assert right == address("right", link, family)
        lost_at = time.monotonic()
        await notify(peers, lost_at)
        bits = 24 if family == 4 else 64
        network.ip("left", "addr", "del", f"{left}/{bits}", "dev", interface(link))
        delay = await seconds_until(peers, "data", lost_at)
        await seconds_until(peers, "PathSwitched", lost_at)
        assert (await report(peers, "local"))[0] in {at for _, _, at in addresses} - {left}
        await restart(peers, "right")
        await check_nothing_is_lost(peers)
        print(f"{left} lost: data flowed again after {delay:.3f} s")
        assert delay < 1.0
        assert not [e for e in events_of(peers, "RestartStarted") if e["reason"] != "requested"]


async def other_servers_and_policies(tmp_path: Path) -> None:
    """From direct to relayed, with other credentials, another server, and back."""
    host = management_address("middle", "left")
    directories = [tmp_path / "first", tmp_path / "second"]
    for directory in directories:
        directory.mkdir()
    async with AsyncExitStack() as stack:
        network, peers = await stack.enter_async_context(
            call(restart="nobody", configuration={"servers": []})
        )
        network.ip("right", "route", "add", host, "via", management_address("middle", "right"))
        first, second = [
            await stack.enter_async_context(start_turn_server(network, directory, host))
            for directory in directories
        ]
        await send_numbers(peers)
        assert await report(peers, "type") == ["host", "host"]
        for server, user in ((first, "alice"), (first, "bob"), (second, "alice")):
            await configure(peers, servers=[as_json(server, user)], policy="relay")
            await restart(peers)
            assert await report(peers, "type") == ["relay", "relay"]
            # Nothing goes over the link any more.
            await network.set_link(0, loss=1.0)
            await check_data_flows(peers)
        await first.stop()
        await check_data_flows(peers)
        await configure(peers, servers=[])
        await network.set_link(0)
        await restart(peers, "right")
        assert await report(peers, "type") == ["host", "host"]
        await second.stop()
        await check_data_flows(peers)
        await check_nothing_is_lost(peers)


async def configure(peers: Peers, **configuration: Any) -> None:
    for peer in peers:
        await peer.order(do="configure", **configuration)


async def check_data_flows(peers: Peers) -> None:
    now = time.monotonic()
    await notify(peers, now)
    await seconds_until(peers, "data", now)


def as_json(server: TurnServer, user: str) -> dict[str, object]:
    described = server.turn(user)
    return {
        "urls": described.urls,
        "username": described.username,
        "credential": described.credential,
    }


@asynccontextmanager
async def start_turn_server(
    network: Network, directory: Path, host: str
) -> AsyncIterator[TurnServer]:
    namespace = network.namespace("middle")
    async with turn_server(directory, address=host, namespace=namespace) as server:
        probe = await Program.start(namespace, "reachable.py", host, str(server.port))
        await probe.wait_for("reachable")
        assert await probe.close() == 0
        yield server
