"""NetworkMonitor where it polls; with netlink it is tested in namespaces."""

import asyncio
import socket
import subprocess
import sys
from typing import Any

import aioice.ice
import pytest

from restartice import NetworkChange, NetworkMonitor
from restartice.ice.network import is_bindable, is_running, usable_addresses


@pytest.mark.parametrize("interval", [0, -1, float("nan"), float("inf")])
def test_poll_interval_is_positive(interval: float) -> None:
    with pytest.raises(ValueError, match="poll_interval"):
        NetworkMonitor(poll_interval=interval)


async def test_changes_are_found_by_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    changes: asyncio.Queue[NetworkChange] = asyncio.Queue()
    async with NetworkMonitor(poll_interval=0.01) as monitor:
        monitor.on("change", changes.put_nowait)
        assert monitor.addresses == {"127.0.0.1"}
        for addresses, added, removed in (
            (["127.0.0.1", "127.0.0.2"], {"127.0.0.2"}, set()),
            (["127.0.0.2"], set(), {"127.0.0.1"}),
            ([], set(), {"127.0.0.2"}),
        ):
            monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda a=addresses, **_: a)
            async with asyncio.timeout(60):
                change = await changes.get()
            assert change == NetworkChange(
                frozenset(addresses), frozenset(added), frozenset(removed)
            )
            assert monitor.addresses == set(addresses)


async def test_start_and_close_may_be_repeated() -> None:
    monitor = NetworkMonitor()
    await monitor.close()
    monitor.start()
    monitor.start()
    assert monitor.addresses == {"127.0.0.1"}
    await monitor.close()
    await monitor.close()


async def test_a_loop_without_readers_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise NotImplementedError

    monkeypatch.setattr(asyncio.get_running_loop(), "add_reader", refuse)
    async with NetworkMonitor() as monitor:
        assert monitor.addresses == {"127.0.0.1"}


def test_what_is_usable() -> None:
    assert usable_addresses() == {"127.0.0.1"}
    assert is_bindable("127.0.0.1")
    assert not is_bindable("192.0.2.1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        assert is_running("lo", asking)
        assert not is_running("no-such-link", asking)


ELSEWHERE = """
import asyncio, sys
import aioice.ice, aiortc

# What imported it already may have it; we may not.
sys.platform = {platform!r}
sys.modules["fcntl"] = None
import restartice

aioice.ice.get_host_addresses = lambda **_: ["127.0.0.1"]

async def main():
    changes = asyncio.Queue()
    async with restartice.NetworkMonitor() as monitor:
        monitor.on("change", changes.put_nowait)
        aioice.ice.get_host_addresses = lambda **_: ["127.0.0.1", "127.0.0.2"]
        async with asyncio.timeout(60):
            print(sorted((await changes.get()).added))

asyncio.run(main())
"""


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_on_other_systems_it_is_imported_without_fcntl_and_polls(platform: str) -> None:
    program = ELSEWHERE.format(platform=platform)
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=250, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == "['127.0.0.2']\n"
