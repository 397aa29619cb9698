"""Where there are many addresses, all pairs are checked, the most likely ones first."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator

import aioice.ice
import pytest

from conftest import Factory
from connecting import connect, negotiate, transports, wait_for_state, wait_sending_on_new_pair
from restartice import IceSettings, RTCPeerConnection, RTCSessionDescription

COUNT = 100
ADDRESSES = [f"127.0.0.{n}" for n in range(1, 16)]


@pytest.fixture
async def silent_sockets() -> AsyncIterator[list[socket.socket]]:
    sockets = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(COUNT)]
    for sock in sockets:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
    yield sockets
    for sock in sockets:
        sock.close()


def with_candidates(answer: RTCSessionDescription, ports: list[int]) -> RTCSessionDescription:
    """Return the answer with other candidates than its own."""
    lines = "".join(
        f"a=candidate:{n} 1 udp 2130706431 127.0.0.1 {port} typ host\r\n"
        for n, port in enumerate(ports)
    )
    sdp = re.sub(r"(a=candidate.*\r\n)+", lines, answer.sdp, count=1)
    return RTCSessionDescription(sdp, answer.type)


async def test_all_pairs_are_checked_before_it_has_failed(
    make_pc: Factory, silent_sockets: list[socket.socket]
) -> None:
    near, far = make_pc(iceSettings=IceSettings(check_timeout=0.05)), make_pc()
    near.createDataChannel("x")
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    answer = far.localDescription
    await far.close()
    ports = [sock.getsockname()[1] for sock in silent_sockets]
    await near.setRemoteDescription(with_candidates(answer, ports))
    await wait_for_state(near, "iceConnectionState", "failed")
    for sock in silent_sockets:
        assert sock.recv(1500)


async def test_a_restart_begins_with_the_pair_in_use(
    make_pc: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = ADDRESSES[-1]
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: [last])
    # Addresses that come up would join the call before it restarts.
    settings = IceSettings(follow_networks=False)
    near, far = make_pc(iceSettings=settings), make_pc(iceSettings=settings)
    echo = await connect(near, far)
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: ADDRESSES)
    for offerer, answerer in ((near, far), (far, near)):
        offerer.restartIce()
        await negotiate(offerer, answerer)
        await wait_sending_on_new_pair(near, far)
        for pc in (near, far):
            assert used_addresses(pc) == (last, last)
        await echo.check()


def used_addresses(pc: RTCPeerConnection) -> tuple[str, str]:
    (transport,) = transports(pc)
    pair = transport.getSelectedCandidatePair()
    assert pair is not None
    return pair.local.ip, pair.remote.ip


async def test_a_path_that_was_lost_is_checked_first_as_well(
    make_pc: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = ADDRESSES[-1]
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: [last])
    near, far = make_pc(), make_pc()
    await connect(near, far)
    for pc in (near, far):
        # As if the sockets were lost, which leaves no pair selected.
        await transports(pc)[0]._connection.close()
    for pc in (near, far):
        await wait_for_state(pc, "iceConnectionState", "failed")
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: ADDRESSES)
    near.restartIce()
    async with asyncio.timeout(30):
        await negotiate(near, far)
        await wait_sending_on_new_pair(near, far)
    assert used_addresses(near) == (last, last)
