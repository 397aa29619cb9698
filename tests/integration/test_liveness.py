"""What counts as a sign of life, and what doesn't. (I6)."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aioice import stun

from conftest import Factory
from connecting import DEADLINE, wait_for_state
from cutting import QUICK, Cut, connect_measured, ice_connection
from restartice import IceSettings, RTCPeerConnection


async def wait_disconnected(pc: RTCPeerConnection) -> None:
    await wait_for_state(pc, "iceConnectionState", "disconnected")
    assert pc.connectionState == "disconnected"


async def test_disconnected_and_back(make_pc: Factory) -> None:
    near, far = make_pc(iceSettings=QUICK), make_pc(iceSettings=QUICK)
    echo = await connect_measured(near, far)
    states: list[str] = []
    near.on("iceconnectionstatechange", lambda: states.append(near.iceConnectionState))
    cuts = [Cut(near), Cut(far)]
    # At once, as the later one may notice so late that the earlier one has failed by then.
    await asyncio.gather(*(wait_disconnected(pc) for pc in (near, far)))
    echo.channel.send("kept until then")
    for cut in cuts:
        cut.heal()
    for pc in (near, far):
        await wait_for_state(pc, "connectionState", "connected")
    async with asyncio.timeout(DEADLINE):
        assert await echo.received.get() == "kept until then"
    assert states == ["disconnected", "completed"]


async def test_failed_after_disconnected(make_pc: Factory) -> None:
    near, far = make_pc(iceSettings=QUICK), make_pc(iceSettings=QUICK)
    await connect_measured(near, far)
    states: list[str] = []
    near.on("iceconnectionstatechange", lambda: states.append(near.iceConnectionState))
    Cut(far)
    await wait_for_state(near, "iceConnectionState", "failed")
    assert states == ["disconnected", "failed"]


async def test_forged_answers_are_none(make_pc: Factory) -> None:
    near, far = make_pc(iceSettings=QUICK), make_pc(iceSettings=QUICK)
    await connect_measured(near, far)
    cut = Cut(far)
    protocol: Any = cut._protocol
    connection = ice_connection(near)
    pair = connection.selected_pair
    assert pair is not None
    forged = 0

    async def forge() -> None:
        # The attacker has read the requests, and sends from the peer's address, but lacks its key.
        nonlocal forged
        while True:
            for transaction_id in list(pair.protocol.transactions):
                for key in (None, b"not the password at all"):
                    response = stun.Message(
                        message_method=stun.Method.BINDING,
                        message_class=stun.Class.RESPONSE,
                        transaction_id=transaction_id,
                    )
                    response.attributes["XOR-MAPPED-ADDRESS"] = pair.local_addr
                    if key is not None:
                        response.add_message_integrity(key)
                    cut._transport.sendto(bytes(response), pair.local_addr)
                    forged += 1
            await asyncio.sleep(0.02)

    forging = asyncio.create_task(forge())
    await wait_for_state(near, "iceConnectionState", "disconnected")
    await wait_for_state(near, "iceConnectionState", "failed")
    forging.cancel()
    await asyncio.wait([forging])
    assert forged > 10
    assert protocol.transport is cut


async def test_forged_requests_are_no_sign_of_life(make_pc: Factory) -> None:
    near, far = make_pc(iceSettings=QUICK), make_pc(iceSettings=QUICK)
    await connect_measured(near, far)
    cut = Cut(far)
    connection, victim = ice_connection(far), ice_connection(near)
    pair = victim.selected_pair
    assert pair is not None
    attacked_pair = connection.selected_pair
    assert attacked_pair is not None

    async def forge() -> None:
        while True:
            request = connection.build_request(attacked_pair, nominate=True)
            request.add_message_integrity(b"not the password at all")
            cut._transport.sendto(bytes(request), pair.local_addr)
            await asyncio.sleep(0.02)

    forging = asyncio.create_task(forge())
    await wait_for_state(near, "iceConnectionState", "disconnected")
    await wait_for_state(near, "iceConnectionState", "failed")
    forging.cancel()
    await asyncio.wait([forging])


async def test_requests_on_another_pair_are_no_sign_of_life_on_this_one(make_pc: Factory) -> None:
    near, far = make_pc(iceSettings=QUICK), make_pc(iceSettings=QUICK)
    await connect_measured(near, far)
    states: list[str] = []
    near.on("iceconnectionstatechange", lambda: states.append(near.iceConnectionState))
    Cut(far)
    await wait_for_state(near, "iceConnectionState", "disconnected")
    async with requests_from_elsewhere(near, far) as count:
        await wait_for_state(near, "iceConnectionState", "failed")
        assert count() > 10
    assert states == ["disconnected", "failed"]


async def test_a_request_from_another_port_makes_us_ask_at_once(make_pc: Factory) -> None:
    patient = IceSettings(consent_interval=600, consent_lifetime=3000, silence_timeout=600)
    near, far = make_pc(iceSettings=patient), make_pc(iceSettings=patient)
    await connect_measured(near, far)
    states: list[str] = []
    near.on("iceconnectionstatechange", lambda: states.append(near.iceConnectionState))
    pair = ice_connection(near).selected_pair
    assert pair is not None
    checks = ice_connection(near).checks_of(pair)
    asked = checks.consent_requests_sent
    async with requests_from_elsewhere(near, far) as count, asyncio.timeout(DEADLINE):
        while count() < 10 or checks.consent_requests_sent == asked:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    # Once, since there is an answer.
    assert checks.consent_requests_sent == asked + 1
    assert states == []
    # The port is not the one that it was: nothing is answered any more.
    Cut(near)
    async with requests_from_elsewhere(near, far):
        await wait_for_state(near, "iceConnectionState", "disconnected")


@asynccontextmanager
async def requests_from_elsewhere(
    near: RTCPeerConnection, far: RTCPeerConnection
) -> AsyncIterator[Callable[[], int]]:
    """Let valid requests of the far side come in from another port; yields a count of them."""
    connection, pair = ice_connection(far), ice_connection(near).selected_pair
    own_pair = connection.selected_pair
    assert pair is not None
    assert own_pair is not None
    password = ice_connection(near).local_password.encode()
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=(pair.remote_addr[0], 0)
    )
    sent = 0

    async def send() -> None:
        nonlocal sent
        while True:
            request = connection.build_request(own_pair, nominate=False)
            request.add_message_integrity(password)
            transport.sendto(bytes(request), pair.local_addr)
            sent += 1
            await asyncio.sleep(0.02)

    sending = asyncio.create_task(send())
    yield lambda: sent
    sending.cancel()
    await asyncio.wait([sending])
    transport.close()


async def test_nothing_is_sent_after_consent_has_expired(make_pc: Factory) -> None:
    near, far = make_pc(iceSettings=QUICK), make_pc(iceSettings=QUICK)
    echo = await connect_measured(near, far)
    connection = ice_connection(near)
    pair = connection.selected_pair
    assert pair is not None
    Cut(far)
    await wait_for_state(near, "iceConnectionState", "failed")
    sent: list[bytes] = []
    transport: Any = pair.protocol.transport

    class Recorder:
        def sendto(self, data: bytes, _address: tuple[str, int]) -> None:
            sent.append(data)

        def close(self) -> None:
            transport.close()

    protocol: Any = pair.protocol
    protocol.transport = Recorder()
    for number in range(20):
        echo.channel.send(f"message {number}")
    # Longer than several requests for consent, and the retransmissions of SCTP, would take.
    await asyncio.wait([asyncio.create_task(asyncio.sleep(2.5))])
    assert sent == []
    assert echo.channel.readyState == "open"


async def test_our_own_stall_is_not_a_dead_path(make_pc: Factory) -> None:
    near, far = make_pc(iceSettings=QUICK), make_pc(iceSettings=QUICK)
    echo = await connect_measured(near, far)
    states: list[str] = []
    near.on("iceconnectionstatechange", lambda: states.append(near.iceConnectionState))
    for _ in range(3):
        time.sleep(1.5)  # noqa: ASYNC251  this is the stall, longer than all timings but one
        await echo.check("after the stall")
    assert states == []
