"""Beside programs and libraries that replace or wrap classes of aioice and aiortc."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import aioice
import pytest
from aiortc import rtcicetransport

import patching
from conftest import Factory
from connecting import DEADLINE, connect, negotiate, transports, wait_sending_on_new_pair
from restartice import RTCConfiguration

PROGRAM = Path(patching.__file__)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", patching.KINDS)
async def test_a_call_and_a_restart_whatever_is_patched(kind: str, when: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "ignore",
        str(PROGRAM),
        kind,
        when,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert (process.returncode, said.decode()) == (0, "")


async def test_imposed_credentials_are_those_of_the_first_generation(
    make_pc: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rtcicetransport, "Connection", patching.Forcing)
    near, far = make_pc(), make_pc()
    await connect(near, far)
    # Those are what such a program is made for; a restart has others by definition.
    for pc in (near, far):
        (transport,) = transports(pc)
        assert isinstance(transport._connection, patching.Forcing)
        assert transport.getLocalParameters().usernameFragment == patching.UFRAG
    near.restartIce()
    await negotiate(near, far)
    await wait_sending_on_new_pair(near, far)
    fragments = {
        t.getLocalParameters().usernameFragment for pc in (near, far) for t in transports(pc)
    }
    assert len(fragments) == 2
    assert patching.UFRAG not in fragments


async def test_an_imposed_policy_is_kept(make_pc: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    def relayed(**kwargs: Any) -> aioice.Connection:
        kwargs["transport_policy"] = aioice.TransportPolicy.RELAY
        return aioice.Connection(**kwargs)

    monkeypatch.setattr(rtcicetransport, "Connection", relayed)
    pc = make_pc(RTCConfiguration(iceServers=[]))
    pc.createDataChannel("x")
    async with asyncio.timeout(DEADLINE):
        await pc.setLocalDescription()
    # There is no server, and so no candidate; one of the host would tell what is to be hidden.
    assert [t.getLocalCandidates() for t in transports(pc)] == [[]]
