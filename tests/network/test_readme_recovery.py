"""The README's program for calls that come back, as it stands there, while a network is cut."""

import asyncio
import os
import re
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from docs.markdown import ROOT, blocks
from network.namespaces import SIDES, Network

pytestmark = pytest.mark.network

SERVER = "ws://127.0.0.1:8765"
# Consent to send has expired by then, so that nothing but a restart brings the call back.
OUTAGE = 35.0
DEADLINE = 60.0
CLOCK = re.compile(r"\d\d:\d\d:\d\d")


def programs() -> dict[str, str]:
    """Return the program with each of its endings, by the name of the signaling."""
    found = [block.text for block in blocks(ROOT / "README.md", "python")]
    (beginning,) = [text for text in found if "async def call(signaling)" in text]
    endings = [text for text in found if "call(" in text and text != beginning]
    names = [re.search(r"(\w+)Signaling\(", text) for text in endings]
    return {name[1]: beginning + text for name, text in zip(names, endings, strict=True) if name}


class Reader:
    """A running program, and the lines that it has printed, each with its time."""

    def __init__(self, process: Process) -> None:
        self.lines: list[tuple[float, str]] = []
        self._process = process
        self._changed = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    async def wait_for(self, condition: Callable[[str], bool], since: float, count: int) -> None:
        """Return when so many lines since a time meet a condition."""

        def found() -> bool:
            recent = [line for at, line in self.lines if at >= since]
            return sum(map(condition, recent)) >= count

        try:
            async with asyncio.timeout(DEADLINE), self._changed:
                await self._changed.wait_for(found)
        except TimeoutError:
            raise AssertionError(f"last was {self.lines[-8:]}") from None

    async def close(self) -> None:
        """End the program."""
        self._process.terminate()
        await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            async with self._changed:
                self.lines.append((time.monotonic(), line.decode().rstrip()))
                self._changed.notify_all()


async def start(network: Network, side: str, code: str, folder: Path) -> Reader:
    process = await asyncio.create_subprocess_exec(
        *("ip", "netns", "exec", network.namespace(side), sys.executable, "-c"),
        code.replace(SERVER, network.signaling_url(side)),
        stdout=PIPE,
        cwd=folder,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    return Reader(process)


def is_time(line: str) -> bool:
    return CLOCK.fullmatch(line) is not None


async def come_back(code: str, folder: Path) -> float:
    """Cut the network of a call for a while; return how long it took after that to come back."""
    async with AsyncExitStack() as stack:
        network = await Network.open(links=1)
        stack.push_async_callback(network.close)
        readers = []
        for side in SIDES:
            reader = await start(network, side, code, folder)
            stack.push_async_callback(reader.close)
            readers.append(reader)
        for reader in readers:
            await reader.wait_for(is_time, since=0.0, count=3)
        await network.set_link(0, loss=1.0)
        await asyncio.sleep(OUTAGE)
        cut = [len(reader.lines) for reader in readers]
        await network.set_link(0)
        healed_at = time.monotonic()
        for reader in readers:
            await reader.wait_for(is_time, since=healed_at, count=3)
        took = time.monotonic() - healed_at
        events = [line for r, n in zip(readers, cut, strict=True) for _, line in r.lines[n:]]
        assert any(line.startswith("RestartSucceeded") for line in events)
        return took


@pytest.mark.usefixtures("namespaces")
async def test_calls_of_the_readme_come_back(tmp_path: Path) -> None:
    """Both at once, as nearly all of this is waiting."""
    found = programs()
    assert found.keys() == {"WebSocket", "UnixSocket"}
    for name in found:
        (tmp_path / name).mkdir()
    # When one fails, the other one is ended as well.
    async with asyncio.TaskGroup() as group:
        calls = {
            name: group.create_task(come_back(code, tmp_path / name))
            for name, code in found.items()
        }
    print("back after", {name: f"{call.result():.1f} s" for name, call in calls.items()})
