"""NetworkMonitor tells of addresses and links as they come and go."""

import statistics
import time
from collections.abc import AsyncIterator, Callable

import pytest

from network.namespaces import Network, address, interface
from network.processes import Program

pytestmark = pytest.mark.network

EXTRA = "10.99.0.1"
EXTRA_IPV6 = "fd00:99::1"


@pytest.fixture
async def monitor(network: Network) -> AsyncIterator[Program]:
    """A NetworkMonitor in the left namespace."""
    program = await Program.start(network.namespace("left"), "monitor.py")
    await program.wait_for("start")
    yield program
    await program.close()


async def delay_until_told(
    monitor: Program, act: Callable[[], None], *, has: str = "", lacks: str = ""
) -> float:
    """Do something; return how long it took until the addresses had one and lacked another."""
    begin = time.monotonic()
    act()

    def is_it(event: dict[str, list[str]]) -> bool:
        addresses = event["addresses"]
        return (not has or has in addresses) and lacks not in addresses

    event = await monitor.wait(is_it, since=begin)
    at: float = event["at"]
    return at - begin


async def test_addresses_and_links(network: Network, monitor: Program) -> None:
    first, second = address("left", 0), address("left", 1)
    device = interface(0)

    def ip(*arguments: str) -> Callable[[], None]:
        return lambda: network.ip("left", *arguments)

    start = await monitor.wait_for("start")
    assert {first, second} <= set(start["addresses"])
    delays = [
        await delay_until_told(monitor, ip("addr", "add", f"{EXTRA}/32", "dev", device), has=EXTRA),
        await delay_until_told(
            monitor, ip("addr", "del", f"{EXTRA}/32", "dev", device), lacks=EXTRA
        ),
        await delay_until_told(monitor, ip("link", "set", device, "down"), lacks=first),
        await delay_until_told(monitor, ip("link", "set", device, "up"), has=first),
        # The far end of the cable.
        await delay_until_told(
            monitor, lambda: network.ip("middle", "link", "set", "left0", "down"), lacks=first
        ),
        await delay_until_told(
            monitor, lambda: network.ip("middle", "link", "set", "left0", "up"), has=first
        ),
        await delay_until_told(monitor, lambda: network.remove_interface("left", 1), lacks=second),
    ]
    # Much less is usual, on a machine that has nothing else to do.
    assert statistics.median(delays) < 0.2


async def test_an_address_that_is_only_tentative(network: Network, monitor: Program) -> None:
    """Duplicate address detection takes a second, and until then nothing can be bound to it."""
    delay = await delay_until_told(
        monitor,
        lambda: network.ip("left", "addr", "add", f"{EXTRA_IPV6}/64", "dev", interface(0)),
        has=EXTRA_IPV6,
    )
    assert delay < 10
