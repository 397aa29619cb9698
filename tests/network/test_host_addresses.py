"""The addresses of interfaces of all kinds are listed as ifaddr and aioice list them."""

import subprocess
import sys

import pytest

from network.namespaces import Network, interface

pytestmark = pytest.mark.network

COMPARE = """
import aioice.ice, ifaddr, restartice
from restartice.seam import addresses_by_interface, host_addresses

theirs = {
    adapter.name: [ip.ip if isinstance(ip.ip, str) else ip.ip[0] for ip in adapter.ips]
    for adapter in ifaddr.get_adapters()
}
print(addresses_by_interface() == theirs)
print(host_addresses() == aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True))
print(*host_addresses())
"""
# A link to a single peer, a second address of the same network, an interface that is down, and
# addresses that are valid on one link only.
ADDRESSES = (
    ("10.99.0.1/24", 0),
    ("10.99.0.2/24", 0),
    ("fd00:99::1/64", 0),
    ("fe80::99/64", 0),
    ("10.98.0.1/24", 1),
    ("169.254.7.7/16", 1),
)


def test_addresses_of_all_kinds(network: Network) -> None:
    for address, link in ADDRESSES:
        network.ip("left", "addr", "add", address, "dev", interface(link), "nodad")
    network.ip("left", "addr", "add", "10.97.0.1", "peer", "10.97.0.2", "dev", interface(0))
    network.ip("left", "addr", "add", "fd00:97::1", "peer", "fd00:97::2", "dev", interface(0))
    network.ip("left", "link", "set", interface(1), "down")
    within = ["ip", "netns", "exec", network.namespace("left"), sys.executable, "-c", COMPARE]
    lines = subprocess.run(
        within, capture_output=True, text=True, check=True, timeout=250
    ).stdout.splitlines()
    assert lines[:2] == ["True", "True"]
    listed = lines[2].split()
    assert {"10.99.0.1", "10.99.0.2", "fd00:99::1", "10.98.0.1", "169.254.7.7"} <= {*listed}
    assert {"10.97.0.1", "fd00:97::1"} <= {*listed}
    assert {"127.0.0.1", "::1", "fe80::99", "10.97.0.2", "fd00:97::2"}.isdisjoint(listed)
