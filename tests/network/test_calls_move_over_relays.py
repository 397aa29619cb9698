"""Spares by way of TURN servers, and what is certain about these: coturn, in a namespace."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from network.calls import Peers, peers_in
from network.checks import (
    check_nobody_was_disconnected,
    check_nothing_is_lost,
    listen,
    longest_silence,
    notify,
    seconds_until,
    send_numbers,
    wait_until_ready,
)
from network.namespaces import SIDES, Network, address, interface, management_address
from network.processes import Program
from selfsigned import make_certificate
from turnserver import TurnServer, turn_server

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("namespaces")]

# As without a relay, with the detour.
SOON = 0.58
# Another address of the server in the middle.
OTHER = "192.168.77.3"
# That of a server behind both links.
BEHIND = "10.99.0.1"


async def test_from_a_direct_path_to_relays(tmp_path: Path) -> None:
    """Each side has a relay of its own, so that the spare leads from one to the other."""
    async with AsyncExitStack() as stack:
        network = await Network.open(links=1)
        stack.push_async_callback(network.close)
        # coturn sends nothing more on a relayed address where the system has once had no route.
        network.ip("middle", "route", "add", "default", "dev", "mgmt-left")
        near, far = [
            await stack.enter_async_context(
                start_turn_server(network, tmp_path / side, management_address("middle", side))
            )
            for side in SIDES
        ]
        peers = await stack.enter_async_context(
            peers_in(
                network,
                left={"configuration": {"servers": [as_json(near)]}},
                right={"configuration": {"servers": [as_json(far)]}},
            )
        )
        await send_numbers(peers)
        await wait_until_ready(peers)
        assert await types(peers) == ["host", "host"]
        await listen(peers)
        cut_at = time.monotonic()
        await network.set_link(0, loss=1.0)
        for peer in peers:
            await peer.wait_for("pair", since=cut_at)
        await check_silence(peers, cut_at)
        assert await types(peers) == ["relay", "relay"]
        check_nobody_was_disconnected(peers)
        await check_nothing_is_lost(peers)


@pytest.mark.parametrize("transport", ["tcp", "tls"])
async def test_a_dead_connection_to_a_relay_is_left_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    """Of two servers by way of TCP or TLS, the one in use is killed."""
    hosts = [management_address("middle", "left"), OTHER]
    certificate, key = make_certificate(tmp_path, hosts)
    # The peers inherit it.
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    options = [f"cert={certificate}", f"pkey={key}"]
    async with AsyncExitStack() as stack:
        network = await Network.open(links=0)
        stack.push_async_callback(network.close)
        network.ip("middle", "addr", "add", f"{OTHER}/24", "dev", "mgmt-left")
        near = {
            host: await stack.enter_async_context(
                start_turn_server(network, tmp_path / host, host, options=options)
            )
            for host in hosts
        }
        far = await stack.enter_async_context(
            start_turn_server(network, tmp_path / "far", management_address("middle", "right"))
        )
        servers = [as_json(server, transport) for server in near.values()]
        peers = await stack.enter_async_context(
            peers_in(
                network,
                left={"configuration": {"servers": servers, "policy": "relay"}},
                right={"configuration": {"servers": [as_json(far)], "policy": "relay"}},
            )
        )
        await send_numbers(peers)
        await wait_until_ready(peers)
        in_use = (await peers[0].order(do="report"))["local"]
        await listen(peers)
        killed_at = time.monotonic()
        await near[in_use].stop()
        for peer in peers:
            await peer.wait_for("pair", since=killed_at)
        await check_silence(peers, killed_at)
        assert (await peers[0].order(do="report"))["local"] != in_use
        check_nobody_was_disconnected(peers)
        await check_nothing_is_lost(peers)


async def test_a_relay_follows_to_another_network(tmp_path: Path) -> None:
    """The interface goes by which its server is reached; the other end notices nothing."""
    async with AsyncExitStack() as stack:
        network = await Network.open(links=2)
        stack.push_async_callback(network.close)
        network.ip("right", "addr", "add", f"{BEHIND}/32", "dev", "lo")
        for link in (0, 1):
            way = ("via", address("right", link), "dev", interface(link), "metric", str(1 + link))
            network.ip("left", "route", "add", BEHIND, *way)
        server = await stack.enter_async_context(
            start_turn_server(network, tmp_path, BEHIND, "right", options=["mobility"])
        )
        configuration = {"servers": [as_json(server)], "policy": "relay"}
        peers = await stack.enter_async_context(
            peers_in(network, left={"configuration": configuration, "ice": {"turn_mobility": True}})
        )
        await send_numbers(peers)
        await wait_until_ready(peers)
        await listen(peers)
        left_at = time.monotonic()
        network.remove_interface("left", 0)
        await check_silence(peers, left_at)
        assert (await types(peers)) == ["relay", "host"]
        check_nobody_was_disconnected(peers)
        await check_nothing_is_lost(peers)


async def check_silence(peers: Peers, since: float) -> None:
    """Check that data comes in again, and that it was missing for a short time only."""
    await notify(peers, time.monotonic())
    await seconds_until(peers, "data", since)
    silence = await longest_silence(peers)
    print(f"silence {silence:.3f} s")
    assert silence < SOON


async def types(peers: Peers) -> list[str]:
    """Return the types of both sides' candidates in use."""
    return [str((await peer.order(do="report"))["type"]) for peer in peers]


def as_json(server: TurnServer, transport: str = "udp") -> dict[str, object]:
    """Return a server as a peer is told of it."""
    described = server.turn(transport=transport)
    return {
        "urls": described.urls,
        "username": described.username,
        "credential": described.credential,
    }


@asynccontextmanager
async def start_turn_server(
    network: Network,
    directory: Path,
    host: str,
    side: str = "middle",
    options: Sequence[str] = (),
) -> AsyncIterator[TurnServer]:
    """Run a server in a namespace, from when it can be reached."""
    namespace = network.namespace(side)
    running = turn_server(directory, address=host, namespace=namespace, options=options)
    async with running as server:
        probe = await Program.start(namespace, "reachable.py", host, str(server.port))
        await probe.wait_for("reachable")
        assert await probe.close() == 0
        yield server
