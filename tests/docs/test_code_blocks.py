"""Every block of code in the documentation runs, on loopback, and does what the page says."""

import ast
import asyncio
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import quickjs

import connecting
from conftest import leave_nothing, open_sockets
from docs import running
from docs.markdown import PAGES, READMES, ROOT, Block, blocks
from dumps import read_dump
from restartice import RTCPeerConnection, RTCSessionDescription
from signalingnode import node

Setting = Callable[[], AbstractAsyncContextManager[dict[str, Any]]]
AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
SERVER = "ws://127.0.0.1:8765"
FILES = [path for path in (*READMES, *PAGES) if blocks(path, "python")]
# What a page's code stands in; a page that isn't here has what it needs.
SETTINGS: dict[str, Setting] = {
    "README.md": running.connected_pair,
    "signaling/README.md": running.other_in_room,
    "examples/docs/pages/diagnosing.md": running.connected_pair,
    "examples/docs/pages/migrating.md": running.own_signaling,
    "examples/docs/pages/negotiation.md": running.other_in_room,
    "examples/docs/pages/recovery.md": running.member_of_room,
    "examples/docs/pages/restart.md": running.connected_pair,
    "examples/docs/pages/troubleshooting.md": running.connected_pair,
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def is_program(block: Block) -> bool:
    return "asyncio.run(" in block.text


@pytest.mark.parametrize("path", FILES, ids=name_of)
async def test_blocks_of_a_page_run_one_after_the_other(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # one writes a file
    sockets = open_sockets()
    setting = SETTINGS.get(name_of(path), running.nothing)
    async with setting() as names:
        page: dict[str, Any] = {
            "asyncio": asyncio,
            "json": json,
            "negotiate": connecting.negotiate,
            "connected": connecting.wait_connected,
            **names,
        }
        try:
            for block in blocks(path, "python"):
                if not is_program(block):
                    await run(block, page)
            await check(name_of(path), page)
        finally:
            await clean_up(page)
    await leave_nothing(sockets)


async def run(block: Block, page: dict[str, Any]) -> None:
    """Run a block where those before it have left off."""
    text = block.text.replace(SERVER, page.get("URL", SERVER))
    tree = compile("\n" * (block.line - 1) + text, str(block.path), "exec", AWAIT)
    async with asyncio.timeout(running.DEADLINE):
        result = eval(tree, page)  # noqa: S307  it is our own documentation
        if inspect.isawaitable(result):
            await result


async def clean_up(page: dict[str, Any]) -> None:
    """End what a reader would end by ending the program."""
    jobs = page.get("jobs", [])
    for job in jobs:
        job.cancel()
    await asyncio.gather(*jobs, return_exceptions=True)
    connections = {pc for pc in page.values() if isinstance(pc, RTCPeerConnection)}
    open_ones = [pc for pc in connections if pc.connectionState != "closed"]
    await asyncio.gather(*(pc.close() for pc in open_ones))
    if (calls := page.get("calls")) is not None:
        calls.loop.call_soon_threadsafe(calls.loop.stop)
        await asyncio.to_thread(calls.thread.join)
        calls.loop.close()


async def check(name: str, page: dict[str, Any]) -> None:
    """Check what a page promises and its code can't show."""
    if name.endswith("migrating.md"):
        await connecting.wait_connected(page["pc"], page["peer"])
        await check_trickle(page)
    elif name.endswith("recovery.md"):
        assert type(page["event"]).__name__ == "RestartSucceeded"
        assert page["patient"] is not page["nervous"]
    elif name.endswith("negotiation.md"):
        near, far = page["near"], page["far"]
        await connecting.wait_sending_on_new_pair(near, far)
        for pc in (near, far):
            await connecting.wait_for_state(pc, "signalingState", "stable")
            assert pc.sctp is not None
    elif name.endswith("servers.md"):
        await check_server(page)
    elif name.endswith("diagnosing.md"):
        (connection,) = read_dump(Path("call.txt"))
        assert connection.details("restartIce") == [None]


async def check_server(page: dict[str, Any]) -> None:
    """Check that a restart of a caller reaches its connection, and that all are forgotten."""
    caller, replies = RTCPeerConnection(), asyncio.Queue[str]()
    channel = caller.createDataChannel("echo")
    channel.on("message", replies.put_nowait)
    for restart in (False, True):
        await caller.setLocalDescription(await caller.createOffer(iceRestart=restart))
        offer = {"type": "offer", "sdp": caller.localDescription.sdp}
        answer = await page["answer"]("robot-7", offer)
        await caller.setRemoteDescription(RTCSessionDescription(**answer))
        await connecting.wait_connected(caller, *page["callers"].values())
        await connecting.wait_until(channel, "open", lambda: channel.readyState == "open")
        channel.send(f"{restart}")
        assert await replies.get() == f"{restart}"
    assert len(page["callers"]) == 1
    with pytest.raises(ValueError, match="SDP syntax error"):
        await page["answer"]("robot-8", {"type": "offer", "sdp": "hello"})
    assert len(page["callers"]) == 1
    await page["shut_down"]()
    assert page["callers"] == {}
    await caller.close()


async def check_trickle(page: dict[str, Any]) -> None:
    pc, sent = page["pc"], page["signaling"].sent
    pc.restartIce()
    await pc.setLocalDescription()
    await connecting.wait_until(pc, "icecandidate", lambda: len(sent) > 1)
    await page["peer"].setRemoteDescription(pc.localDescription)
    page["pc"] = page["peer"]
    for message in sent:
        await page["receive"](message)
    page["pc"] = pc


# Those that begin in the block before are run by tests/network/test_readme_recovery.py.
PROGRAMS = [
    block
    for path in FILES
    for block in blocks(path, "python")
    if is_program(block) and "import asyncio\n" in block.text
]


@pytest.mark.parametrize("block", [b for b in PROGRAMS if SERVER not in b.text], ids=str)
def test_programs_on_their_own(block: Block) -> None:
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", block.text],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == ["hello", "hello again, on the same channel"]


@pytest.mark.parametrize("block", [b for b in PROGRAMS if SERVER in b.text], ids=str)
async def test_programs_that_are_started_twice(block: Block) -> None:
    async with node() as server:
        text = block.text.replace(SERVER, server.url)
        outputs = await asyncio.gather(*(output_of(text, name) for name in ("Alice", "Bob")))
    assert outputs == ["hello from Bob\n", "hello from Alice\n"]


async def output_of(program: str, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", program, *arguments), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


def test_there_are_programs_and_pages() -> None:
    assert len(PROGRAMS) >= 2
    assert {name_of(path) for path in FILES} >= SETTINGS.keys()


SCRIPTS = [block for path in (*READMES, *PAGES) for block in blocks(path, "js")]


@pytest.mark.parametrize("block", SCRIPTS, ids=str)
def test_scripts_are_javascript_and_use_what_there_is(block: Block) -> None:
    quickjs.Context().eval(f"(async () => {{{block.text}}})")
    files = sorted((ROOT / "signaling" / "restartice_signaling" / "files").glob("rtc-*.js"))
    source = "\n".join(file.read_text() for file in files)
    for method in re.findall(r"\b(?:signaling|negotiator)\.(\w+)\(", block.text):
        assert method == "addEventListener" or re.search(
            rf"^  (async )?{method}\(", source, re.MULTILINE
        )
    for event in re.findall(r'addEventListener\("(\w+)"', block.text):
        assert f'"{event}"' in source
