"""A peer that doesn't leave the previous pair, or not soon, however often ICE is restarted."""

import asyncio
from typing import Any

import pytest
from aioice import stun

from conftest import Factory
from connecting import DEADLINE, connect, negotiate, transports, wait_sending_on_new_pair
from cutting import ice_connection
from restartice import IceSettings

PACKET = bytes([0x80]) + b"shaped as one of RTP"


async def test_a_peer_that_never_moves_is_told_and_then_shut_out(make_pc: Factory) -> None:
    near = make_pc(iceSettings=IceSettings(drain_time=0.2, drain_silence=0.2, drain_timeout=6.0))
    far = make_pc(iceSettings=IceSettings(drain_time=4 * DEADLINE))
    echo = await connect(near, far)
    old_near, old_far = ice_connection(near), ice_connection(far)
    pair = old_far.selected_pair
    assert pair is not None
    near.restartIce()
    await negotiate(near, far)
    await wait_sending_on_new_pair(near, far)

    async def ask() -> None:
        request = old_far.build_request(pair, nominate=False)
        key = str(old_far.remote_password).encode()
        await pair.protocol.request(request, pair.remote_addr, key, 0)

    async def go_on() -> None:
        while True:
            await pair.protocol.send_data(PACKET, pair.remote_addr)
            await asyncio.sleep(0.01)

    came = asyncio.Event()
    old_near.deliver = lambda _: came.set()
    sockets: list[Any] = [protocol.transport for protocol in old_near.protocols]
    sending = asyncio.ensure_future(go_on())
    async with asyncio.timeout(DEADLINE):
        await ask()
        while not old_near.revoked:  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.01)
        # It gets no answers, but what it sends is taken until it has had time to move.
        came.clear()
        await came.wait()
        with pytest.raises(stun.TransactionTimeout):
            await ask()
        while not all(transport.is_closing() for transport in sockets):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    sending.cancel()
    await echo.check("on the new pair")


async def test_thirty_restarts_at_once_leave_all_sockets_that_are_sent_to(
    make_pc: Factory,
) -> None:
    patient = IceSettings(drain_time=4 * DEADLINE)
    near, far = make_pc(iceSettings=patient), make_pc(iceSettings=patient)
    echo = await connect(near, far)
    old_near, pair = ice_connection(near), ice_connection(far).selected_pair
    assert pair is not None
    came = asyncio.Event()
    for number in range(30):
        near.restartIce()
        await negotiate(near, far)
        await wait_sending_on_new_pair(near, far)
        if number == 0:
            old_near.deliver = lambda _: came.set()
        # A peer that is slow to move.
        came.clear()
        await pair.protocol.send_data(PACKET, pair.remote_addr)
        async with asyncio.timeout(DEADLINE):
            await came.wait()
    assert len(transports(near)[0]._core._draining) > 8
    await echo.check()
