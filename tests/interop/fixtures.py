"""The cable, our side, and the peers, each started once for all its scenarios; and the table."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from interop.cable import Cable
from interop.call import Call
from interop.process import PeerProcess
from interop.scenario import Say, Scenario
from interop.stacks import STACKS, WE, Stack
from interop.table import Table, write
from requiring import require


@pytest.fixture(scope="session")
def cable() -> Iterator[Cable]:
    """Two namespaces and a cable."""
    require(os.geteuid() == 0, "root, for network namespaces")
    require(shutil.which("ip"), "iproute2")
    made = Cable()
    yield made
    made.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def our_process(cable: Cable) -> AsyncIterator[PeerProcess]:
    """Start the program with restartice."""
    process = await PeerProcess.start(cable.namespace("we"), WE)
    yield process
    await process.close()


@pytest.fixture(scope="session", params=STACKS, ids=lambda stack: str(stack.name))
def stack(request: pytest.FixtureRequest) -> Stack:
    """Return the peer that the scenarios are about."""
    found: Stack = request.param
    require(not found.missing(), found.missing())
    return found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def their_process(cable: Cable, stack: Stack) -> AsyncIterator[PeerProcess]:
    """Start the program with the peer."""
    process = await PeerProcess.start(cable.namespace("they"), stack.command)
    yield process
    await process.close()


@pytest_asyncio.fixture(loop_scope="session")
async def call(our_process: PeerProcess, their_process: PeerProcess) -> AsyncIterator[Call]:
    """Make a connection at each end."""
    made = Call(await our_process.new(stays=True), await their_process.new())
    yield made
    await made.close()


@pytest.fixture
def scenario(call: Call, stack: Stack, cable: Cable, record_property: Say) -> Scenario:
    """Return the call, the peer and the cable of a scenario."""
    return Scenario(call, stack, cable, record_property)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note what came of a scenario."""
    if report.when == "call" and "test_scenarios.py" in report.nodeid:
        Table.shared.add(report)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table, and write it where INTEROP_TABLE says."""
    if text := Table.shared.text():
        terminalreporter.section("peers and scenarios")
        terminalreporter.write(text)
        if os.environ.get("INTEROP_TABLE") and Table.shared.complete:
            write(text)
