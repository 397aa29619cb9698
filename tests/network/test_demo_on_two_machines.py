"""The demo's --listen and --join: each peer on a machine of its own, here a namespace."""

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path

import pytest

from network.namespaces import Network, address

pytestmark = pytest.mark.network

PROGRAM = Path(__file__).parents[2] / "examples" / "two_peers.py"
PORT = 8766


async def start_demo(network: Network, side: str, *arguments: str) -> Process:
    demo = (sys.executable, str(PROGRAM), "--restarts=4", "--seconds=16", *arguments)
    return await asyncio.create_subprocess_exec(
        *("ip", "netns", "exec", network.namespace(side), *demo),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )


async def wait_listening(listening: Process) -> None:
    """Return when the first line is out, which says what to start on the other machine."""
    assert listening.stdout is not None
    async with asyncio.timeout(60):
        line = (await listening.stdout.readline()).decode()
    assert f"--join ws://HOST:{PORT}" in line


async def test_holds_on_both(network: Network) -> None:
    listen = f"--listen={address('left', 0)}:{PORT}"
    left = await start_demo(network, "left", listen)
    processes = [left]
    try:
        await wait_listening(left)
        join = f"--join=ws://{address('left', 0)}:{PORT}"
        right = await start_demo(network, "right", join, "--json")
        processes.append(right)
        async with asyncio.timeout(150):
            outputs = await asyncio.gather(*(process.communicate() for process in processes))
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert outputs[0][0].decode().endswith("All checks passed.\n")
    report = json.loads(outputs[1][0])
    assert report["held"] is True
    # One report, of the peer that ran here, with the restarts that it began.
    assert [peer["peer"] for peer in report["peers"]] == ["Bob"]
    assert report["restarts"] == 2
