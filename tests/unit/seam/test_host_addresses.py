"""The addresses of this host are listed as aioice lists them, but at less cost."""

import socket
import sys
from collections.abc import Callable, Iterable
from typing import Any

import aioice.ice
import ifaddr
import pytest

from processortime import processor_time
from restartice.seam import addresses_by_interface, host_addresses
from restartice.seam.host_addresses import lists_as_aioice

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs netlink")


@pytest.fixture(autouse=True)
def unpatched(loopback: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    """Let aioice list this host's addresses; nothing is sent."""
    monkeypatch.undo()


def by_ifaddr() -> dict[str, list[str]]:
    return {
        adapter.name: [ip.ip if isinstance(ip.ip, str) else ip.ip[0] for ip in adapter.ips]
        for adapter in ifaddr.get_adapters()
    }


def test_the_addresses_are_those_that_ifaddr_and_aioice_list() -> None:
    assert addresses_by_interface() == by_ifaddr()
    for ipv4 in (True, False):
        for ipv6 in (True, False):
            theirs = aioice.ice.get_host_addresses(use_ipv4=ipv4, use_ipv6=ipv6)
            assert host_addresses(ipv4=ipv4, ipv6=ipv6) == theirs


@on_linux
def test_they_take_less_than_half_of_the_time_of_ifaddr() -> None:
    def times(function: Callable[[], object]) -> Callable[[], object]:
        return lambda: [function() for _ in range(100)]

    ours, _ = processor_time(times(addresses_by_interface))
    theirs, _ = processor_time(times(by_ifaddr))
    assert ours < theirs / 2


@pytest.mark.parametrize("fault", ["no socket", "no answer", "an error"])
def test_ifaddr_is_asked_where_netlink_does_not_answer(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = by_ifaddr()
    asked: list[object] = []

    class Netlink(socket.socket):
        def __init__(self, *arguments: Any, **keywords: Any) -> None:
            asked.append(arguments)
            if fault == "no socket":
                raise PermissionError
            super().__init__(*arguments, **keywords)

        def recv(self, *_: Any) -> bytes:
            if fault == "no answer":
                raise TimeoutError
            # An NLMSG_ERROR, that is, a refusal.
            return (20).to_bytes(4, sys.byteorder) + (2).to_bytes(2, sys.byteorder) + bytes(14)

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(socket, "socket", Netlink)
    for name in ("AF_NETLINK", "NETLINK_ROUTE"):
        monkeypatch.setattr(socket, name, getattr(socket, name, 0), raising=False)
    assert addresses_by_interface() == expected
    assert asked


def test_a_program_may_replace_the_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lists_as_aioice()
    adapters: Iterable[ifaddr.Adapter] = [
        ifaddr.Adapter("eth7", "eth7", [ifaddr.IP("192.0.2.7", 24, "eth7")])
    ]
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: adapters)
    assert addresses_by_interface() == {"eth7": ["192.0.2.7"]}
    assert host_addresses() == ["192.0.2.7"]
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: ["192.0.2.8"])
    assert host_addresses() == ["192.0.2.8"]
