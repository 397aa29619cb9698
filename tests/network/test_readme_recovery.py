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
from network.namespaces import SIDES, Network, address
from restartice_signaling.cancellation import end

pytestmark = pytest.mark.network

SERVER = "ws://127.0.0.1:8765"
# Consent to send has expired by then, so that nothing but a restart brings the call back.
OUTAGE = 35.0
# It has not, so that packets arrive as soon as the network is back, but the call is disconnected.
SHORT_OUTAGE = 15.0
DEADLINE = 120.0
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


# The program over HTTP, whose requests go over the link that is cut, and a server for it.
HTTP_CLIENT = """
from restartice_signaling.http_signaling import HttpSignaling

async def main():
    async with HttpSignaling("http://RIGHT:8080/offer") as signaling:
        await call(signaling)

asyncio.run(main())
"""
WHIP_CLIENT = HTTP_CLIENT.replace("http_signaling", "whip").replace("HttpSignaling", "WhipClient")
HTTP_SERVER = """
import asyncio
import time
from aiohttp import web
from restartice_signaling.http_signaling import HttpAnswerer

def prepare(pc):
    channel = pc.createDataChannel("clock", negotiated=True, id=0)
    channel.on("message", print)
    tasks.append(asyncio.ensure_future(send(pc, channel)))

async def send(pc, channel):
    while pc.connectionState != "closed":
        if channel.readyState == "open":
            channel.send(time.strftime("%H:%M:%S"))
        await asyncio.sleep(1)

tasks = []
app = web.Application()
HttpAnswerer(prepare).add_to(app, "/offer")
web.run_app(app, host="0.0.0.0", port=8080, print=None)
"""


async def start(network: Network, side: str, code: str, folder: Path) -> Reader:
    process = await asyncio.create_subprocess_exec(
        *("ip", "netns", "exec", network.namespace(side), sys.executable, "-c"),
        code.replace(SERVER, network.signaling_url(side)).replace("RIGHT", address("right", 0)),
        stdout=PIPE,
        cwd=folder,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    return Reader(process)


def is_time(line: str) -> bool:
    return CLOCK.fullmatch(line) is not None


def is_success(line: str) -> bool:
    return line.startswith("RestartSucceeded")


async def open_call(
    stack: AsyncExitStack, codes: tuple[str, str], folder: Path
) -> tuple[Network, list[Reader]]:
    """Start the programs of both sides in a network; return both when they hear each other."""
    network = await Network.open(links=1)
    stack.push_async_callback(network.close)
    readers = []
    for side, code in zip(SIDES, codes, strict=True):
        reader = await start(network, side, code, folder)
        stack.push_async_callback(reader.close)
        readers.append(reader)
    for reader in readers:
        await reader.wait_for(is_time, since=0.0, count=3)
    return network, readers


async def come_back(codes: tuple[str, str], folder: Path) -> float:
    """Cut the network of a call for a while; return how long it took after that to come back.

    Args:
        codes: The programs of both sides.
        folder: Where they run.
    """
    async with AsyncExitStack() as stack:
        network, readers = await open_call(stack, codes, folder)
        await network.set_link(0, loss=1.0)
        await asyncio.sleep(OUTAGE)
        await network.set_link(0)
        healed_at = time.monotonic()
        return await check_back(readers, healed_at)


async def check_back(readers: list[Reader], healed_at: float) -> float:
    """Return how long after its network a call came back, by a restart."""
    for reader in readers:
        await reader.wait_for(is_time, since=healed_at, count=3)
    took = time.monotonic() - healed_at
    # Of either side, and maybe later than the messages that have waited.
    restarted = [
        asyncio.create_task(reader.wait_for(is_success, since=healed_at, count=1))
        for reader in readers
    ]
    done, pending = await asyncio.wait(restarted, return_when=asyncio.FIRST_COMPLETED)
    await end(pending)
    for task in done:
        task.result()
    return took


@pytest.mark.usefixtures("namespaces")
async def test_calls_of_the_readme_come_back(tmp_path: Path) -> None:
    """All at once, as nearly all of this is waiting."""
    found = programs()
    assert found.keys() == {"WebSocket", "UnixSocket"}
    beginning = found["WebSocket"].partition("async def main")[0]
    pairs = {name: (code, code) for name, code in found.items()}
    pairs["Http"] = (beginning + HTTP_CLIENT, HTTP_SERVER)
    server = HTTP_SERVER.replace("http_signaling", "whip").replace("HttpAnswerer", "WhipEndpoint")
    pairs["Whip"] = (beginning + WHIP_CLIENT, server)
    for name in pairs:
        (tmp_path / name).mkdir()
    # When one fails, the other one is ended as well.
    async with asyncio.TaskGroup() as group:
        calls = {
            name: group.create_task(come_back(codes, tmp_path / name))
            for name, codes in pairs.items()
        }
    print("back after", {name: f"{call.result():.1f} s" for name, call in calls.items()})


@pytest.mark.usefixtures("namespaces")
async def test_a_call_of_the_readme_comes_back_without_its_server(tmp_path: Path) -> None:
    """The offer of a restart, and its answer, go over what is left of the call."""
    code = programs()["WebSocket"].replace("on_restart=print", "on_restart=print, in_band=True")
    assert "in_band" in code
    async with AsyncExitStack() as stack:
        network, readers = await open_call(stack, (code, code), tmp_path)
        await network.stop_signaling()
        await network.set_link(0, loss=1.0)
        await asyncio.sleep(SHORT_OUTAGE)
        await network.set_link(0)
        healed_at = time.monotonic()
        took = await check_back(readers, healed_at)
    print(f"back after {took:.1f} s")
