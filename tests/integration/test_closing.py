"""close() at any moment cuts off what runs, and leaves nothing behind. (W2)."""

import asyncio
import functools
from collections.abc import Awaitable, Callable

import pytest

from conftest import Factory, leave_nothing, open_sockets
from connecting import Echo, negotiate, wait_for_state
from restartice import InvalidStateError, RTCIceGatherer, RTCIceTransport, RTCPeerConnection
from restartice.ice.credentials import IceCredentials

Operation = Callable[[RTCPeerConnection], Awaitable[object]]

OPERATIONS: dict[str, Operation] = {
    "createOffer": lambda pc: pc.createOffer(),
    "createAnswer": lambda pc: pc.createAnswer(),
    "setLocalDescription": lambda pc: pc.setLocalDescription(),
    "setRemoteDescription": lambda pc: pc.setRemoteDescription(pc.localDescription),
    "addIceCandidate": lambda pc: pc.addIceCandidate(None),
}


@pytest.mark.parametrize("name", OPERATIONS)
async def test_no_operation_on_a_closed_connection(make_pc: Factory, name: str) -> None:
    pc = make_pc()
    await pc.close()
    with pytest.raises(InvalidStateError, match="closed"):
        await OPERATIONS[name](pc)


async def test_nothing_of_a_transceiver_changes_while_closing(make_pc: Factory) -> None:
    pc = make_pc()
    transceiver = pc.addTransceiver("audio")
    closing = asyncio.ensure_future(pc.close())
    await asyncio.sleep(0)
    with pytest.raises(InvalidStateError, match="closed"):
        transceiver.sender.setStreams("stream")
    with pytest.raises(InvalidStateError, match="closed"):
        transceiver.sender.replaceTrack(None)
    with pytest.raises(InvalidStateError, match="closed"):
        transceiver.direction = "inactive"
    await closing


async def test_transports_are_closed_at_once_and_without_events(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = Echo(near, far)
    await negotiate(near, far)
    await echo.check()
    assert near.sctp is not None
    assert far.sctp is not None
    dtls, other = near.sctp.transport, far.sctp.transport
    told: list[object] = []
    for emitter in (dtls, dtls.transport):
        emitter.on("statechange", functools.partial(told.append, emitter))
    closing = asyncio.ensure_future(near.close())
    await asyncio.sleep(0)
    assert (dtls.state, dtls.transport.state) == ("closed", "closed")
    await closing
    assert told == []
    # The other side is told nevertheless.
    await wait_for_state(other, "state", "closed")


@pytest.mark.parametrize("turns", range(6))
async def test_gathering_tells_nothing_after_the_close(make_pc: Factory, turns: int) -> None:
    pc = make_pc()
    pc.createDataChannel("chat")
    told: list[object] = []
    pc.on("icecandidate", told.append)
    pc.on("icegatheringstatechange", lambda: told.append(pc.iceGatheringState))
    await pc.setLocalDescription()
    for _ in range(turns):
        await asyncio.sleep(0)
    before = [*told]
    await pc.close()
    assert told == before


@pytest.mark.parametrize("turns", range(12))
async def test_an_operation_is_cut_off(make_pc: Factory, turns: int) -> None:
    near, far = make_pc(), make_pc()
    near.addTransceiver("audio")
    near.createDataChannel("chat")
    await far.setRemoteDescription(await near.createOffer())
    events: list[str] = []
    answering = asyncio.ensure_future(far.setLocalDescription())
    waiting = asyncio.ensure_future(far.createOffer())
    for _ in range(turns):
        await asyncio.sleep(0)
    finished = answering.done()
    closing = asyncio.ensure_future(far.close())
    far.on("signalingstatechange", lambda: events.append(far.signalingState))
    await closing
    assert far.signalingState == "closed"
    results = await asyncio.gather(answering, waiting, return_exceptions=True)
    if not finished:
        assert isinstance(results[0], InvalidStateError)
    assert isinstance(results[1], InvalidStateError) or finished
    # Nothing follows the close.
    assert events[-1:] in ([], ["closed"])
    assert events.count("closed") <= 1


async def test_closing_in_the_middle_of_a_restart(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("chat")
    await negotiate(near, far)
    near.restartIce()
    await asyncio.gather(near.setLocalDescription(), near.close(), return_exceptions=True)
    await far.close()
    assert near.signalingState == far.signalingState == "closed"


@pytest.mark.parametrize("turns", range(4))
async def test_closing_right_after_a_restart_was_taken_back(turns: int) -> None:
    sockets = open_sockets()
    transport = RTCIceTransport(RTCIceGatherer(iceServers=[]))
    transport._core.begin_generation(IceCredentials.generate())
    await transport._core.gatherer.gather()
    assert open_sockets() > sockets
    transport._core.discard_generation()
    for _ in range(turns):
        await asyncio.sleep(0)
    await transport.stop()
    await leave_nothing(sockets)
