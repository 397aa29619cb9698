"""Where TURN servers are asked from, and which ports are tried."""

import socket
from collections.abc import Callable

import aioice.ice
import pytest

from restartice import IceSettings
from restartice.ice.gathering.turn import hidden_address, vantage_points

SERVER = {int(socket.AF_INET): ("127.0.0.1", 3478)}


def only(*addresses: str) -> Callable[[str, str], bool]:
    return lambda _name, address: address in addresses


def test_the_system_chooses_the_address_unless_the_settings_forbid_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        aioice.ice, "get_host_addresses", lambda **_: ["127.0.0.2", "::1", "127.0.0.3"]
    )
    assert vantage_points(SERVER, IceSettings()) == ["127.0.0.1"]
    both = IceSettings(interfaces=only("127.0.0.1", "127.0.0.2"))
    assert vantage_points(SERVER, both) == ["127.0.0.1"]
    # Those of the other family can't reach it.
    others = IceSettings(interfaces=only("127.0.0.2", "::1", "127.0.0.3"))
    assert vantage_points(SERVER, others) == ["127.0.0.2", "127.0.0.3"]


def test_without_an_address_it_cant_be_reached() -> None:
    with pytest.raises(OSError, match="reached"):
        vantage_points(SERVER, IceSettings(interfaces=only()))
    with pytest.raises(OSError, match="reached"):
        vantage_points({}, IceSettings())


def test_a_server_of_two_families_is_reached_by_the_one_that_has_a_route() -> None:
    # A link-local address says nothing without its link.
    unreachable = {int(socket.AF_INET6): ("fe80::1", 1), **SERVER}
    assert vantage_points(unreachable, IceSettings()) == ["127.0.0.1"]


def test_what_is_told_in_place_of_the_address_behind() -> None:
    assert hidden_address(("203.0.113.5", 1)) == ("0.0.0.0", 9)  # noqa: S104  nothing is bound
    assert hidden_address(("2001:db8::5", 1)) == ("::", 9)
