"""The demo's --cut: the link in use is cut, twice, after the signaling server has been killed."""

import asyncio
import json
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path

import pytest

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("namespaces")]

PROGRAM = Path(__file__).parents[2] / "examples" / "two_peers.py"


async def start_demo(*arguments: str, before: tuple[str, ...] = ()) -> Process:
    return await asyncio.create_subprocess_exec(
        *(*before, sys.executable, str(PROGRAM), "--cut", *arguments),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )


def network_of(pid: int) -> str | None:
    """Return the network namespace of a process, or None if it has ended."""
    try:
        return str(Path(f"/proc/{pid}/ns/net").readlink())
    except OSError:
        return None


def children(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


async def wait_gone(networks: set[str | None]) -> None:
    """Return when there is no process left in any of these networks."""

    def left() -> bool:
        pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
        return any(network_of(pid) in networks for pid in pids)

    async with asyncio.timeout(60):
        while left():  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.05)


async def test_holds() -> None:
    """Nothing is lost, and no state tells; how soon it goes over is tested elsewhere."""
    process = await start_demo("--seconds=20", "--json")
    async with asyncio.timeout(240):
        out, err = await process.communicate()
    assert out, err
    report = json.loads(out)
    assert report["failures"] == []
    assert report["held"] is True
    assert process.returncode == 0, err
    assert report["restarts"] == 0
    for peer in report["peers"]:
        assert peer["messages lost"] == peer["messages reordered"] == 0
        assert "longest gap of data, cuts (ms)" in peer
        assert peer["generations used"] == 1


async def test_goes_on_until_both_links_were_cut() -> None:
    """However late the second cut is, as on a machine that has much else to do."""
    process = await start_demo("--seconds=10")
    assert process.stdout is not None
    async with asyncio.timeout(240):
        while b"link is back" not in (line := await process.stdout.readline()):
            assert line, await process.communicate()
        # Only the one that cuts; the peers go on.
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(10)
        process.send_signal(signal.SIGCONT)
        out, err = await process.communicate()
    assert out.splitlines()[-1] == b"All checks passed.", (out, err)
    assert process.returncode == 0


async def test_leaves_nothing_behind_when_it_is_killed() -> None:
    process = await start_demo("--seconds=60")
    assert process.stdout is not None
    async with asyncio.timeout(240):
        while b"frames and" not in await process.stdout.readline():
            assert process.returncode is None
    # Two that hold the networks, the server, and the peers.
    pids = children(process.pid)
    assert len(pids) == 5
    made = {network_of(pid) for pid in pids}
    assert len(made - {None, network_of(process.pid)}) == 2
    process.kill()
    await process.communicate()
    await wait_gone(made)


@pytest.mark.parametrize(
    ("arguments", "before", "message"),
    [
        # In a namespace of users, root of the one outside is nobody.
        ((), ("unshare", "--user"), "--cut needs root, to make networks"),
        (("--restarts=2",), (), "--cut allows no --restarts, for which signaling is needed"),
        (("--seconds=9",), (), "--seconds must be 10 at least, for that many cuts"),
        (("--listen=127.0.0.1:8766",), (), r"argument --listen: not allowed with argument --cut"),
    ],
)
async def test_wrong_use_is_said_in_a_sentence(
    arguments: tuple[str, ...], before: tuple[str, ...], message: str
) -> None:
    process = await start_demo(*arguments, before=before)
    async with asyncio.timeout(240):
        out, err = await process.communicate()
    assert process.returncode == 2
    assert re.search(message, err.decode())
    assert "Traceback" not in (out + err).decode()
