"""What all tests share: ICE on loopback, and connections that are closed."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from importlib.util import find_spec
from pathlib import Path

import aioice.ice
import pytest

from owntime import own_time
from requiring import require
from restartice import RTCPeerConnection, RTCSessionDescription

__all__ = ["Factory", "leave_nothing", "loopback", "make_pc", "other_tasks", "require"]

# A shell lets what it runs in the background ignore Ctrl-C, and so all that these tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["docs.fixtures", "interop.fixtures", "network.fixtures"]
# What those tests need is installed by tests/downstream/run only.
collect_ignore = [] if find_spec("fastrtc") or find_spec("fastapi_webrtc") else ["downstream"]

Factory = Callable[..., RTCPeerConnection]
TURNS = 100


def pytest_configure() -> None:
    """Let Hypothesis's examples take more than 200 ms, as they may on a busy machine."""
    if find_spec("hypothesis"):
        from hypothesis import HealthCheck, settings  # noqa: PLC0415  not in tests/downstream

        settings.register_profile(
            "busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
        )
        settings.load_profile("busy machine")


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Let ICE gather 127.0.0.1 only: no test talks to anything else, but those in namespaces."""
    if "network" not in request.keywords:
        monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: ["127.0.0.1"])


@pytest.fixture
async def offer() -> RTCSessionDescription:
    """Return an offer of audio and data."""
    pc = RTCPeerConnection()
    pc.addTransceiver("audio")
    pc.createDataChannel("data")
    try:
        return await pc.createOffer()
    finally:
        await pc.close()


@pytest.fixture
async def make_pc() -> AsyncIterator[Factory]:
    """Make connections which are closed at the end, and leave no task and no socket behind."""
    sockets_before = open_sockets()
    connections: list[RTCPeerConnection] = []

    def make(*args: object, **kwargs: object) -> RTCPeerConnection:
        connection = RTCPeerConnection(*args, **kwargs)  # type: ignore[arg-type]
        connections.append(connection)
        return connection

    yield make
    await asyncio.gather(*(connection.close() for connection in connections))
    await leave_nothing(sockets_before)


async def leave_nothing(sockets_before: set[str]) -> None:
    """Check that all tasks end and all sockets are closed."""
    deadline = own_time() + 10
    while tasks := other_tasks():
        if (remaining := deadline - own_time()) < 0:
            pytest.fail(f"closed connections have left tasks behind: {tasks}")
        await asyncio.wait(tasks, timeout=remaining)
    for _ in range(TURNS):  # asyncio closes a socket in a later turn of the loop
        if not (sockets := open_sockets() - sockets_before):
            return
        await asyncio.sleep(0)
    pytest.fail(f"closed connections have left sockets behind: {sockets}")


def other_tasks() -> set[asyncio.Task[object]]:
    return {
        task
        for task in asyncio.all_tasks()
        if task is not asyncio.current_task() and "pytest" not in repr(task.get_coro())
    }


def open_sockets() -> set[str]:
    """Return the sockets that this process has open."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except FileNotFoundError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found
