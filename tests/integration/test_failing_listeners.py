"""Listeners that raise errors: these are reported, and the connection goes on."""

import asyncio
from typing import Any

import pytest
from pyee import PyeeError

from conftest import Factory
from connecting import (
    DEADLINE,
    Echo,
    connect,
    negotiate,
    transports,
    wait_connected,
    wait_sending_on_new_pair,
)
from restartice import AudioStreamTrack, MediaStream

Reports = list[BaseException]


class ListenerError(Exception):
    """What the listeners raise."""


@pytest.fixture
async def reported() -> Reports:
    """Collect what asyncio is told of."""
    found: Reports = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: found.append(context["exception"])
    )
    return found


def fail(*_: object) -> None:
    raise ListenerError


async def fail_later(*_: object) -> None:
    raise ListenerError


@pytest.mark.parametrize("listener", [fail, fail_later])
@pytest.mark.parametrize(
    "event",
    [
        "signalingstatechange",
        "negotiationneeded",
        "icegatheringstatechange",
        "iceconnectionstatechange",
        "connectionstatechange",
        "track",
        "datachannel",
    ],
)
async def test_a_call_goes_on(
    make_pc: Factory, reported: Reports, event: str, listener: Any
) -> None:
    near, far = make_pc(), make_pc()
    for pc in (near, far):
        pc.on(event, listener)
    near.addTrack(AudioStreamTrack())
    echo = Echo(near, far)
    await asyncio.sleep(0)  # lets negotiationneeded be fired
    await negotiate(near, far)
    await wait_connected(near, far)
    await echo.check("before")
    near.restartIce()
    await negotiate(near, far)
    await wait_sending_on_new_pair(near, far)
    await echo.check("after")
    await asyncio.gather(near.close(), far.close())
    assert {near.connectionState, far.connectionState} == {"closed"}
    assert reported
    assert {type(error) for error in reported} == {ListenerError}


async def test_candidates_trickle_to_other_listeners(make_pc: Factory, reported: Reports) -> None:
    near = make_pc()
    candidates: list[object] = []
    ended = asyncio.Event()
    near.on("icecandidate", fail)
    near.on("icecandidate", candidates.append)

    @near.on("icecandidate")
    def look(candidate: object) -> None:
        if candidate is None:
            ended.set()

    near.createDataChannel("chat")
    await near.setLocalDescription()
    async with asyncio.timeout(DEADLINE):
        await ended.wait()
    assert len(candidates) == len(reported) == 3  # one candidate, the end of its kind, and of all
    assert near.iceGatheringState == "complete"


@pytest.mark.parametrize("event", ["statechange", "selectedcandidatepairchange"])
async def test_transports_go_on(make_pc: Factory, reported: Reports, event: str) -> None:
    near, far = make_pc(), make_pc()
    echo = Echo(near, far)
    (transport,) = transports(near)
    transport.on(event, fail)
    transport.iceGatherer.on("statechange", fail)
    near.sctp.transport.on("statechange", fail)  # type: ignore[union-attr]
    await negotiate(near, far)
    await echo.check()
    assert {type(error) for error in reported} == {ListenerError}


async def test_channels_go_on(make_pc: Factory, reported: Reports) -> None:
    near, far = make_pc(), make_pc()
    far.on("datachannel", lambda channel: channel.on("message", fail))
    channel = near.createDataChannel("bad")
    for event in ("open", "message", "close"):
        channel.on(event, fail)
    channel.on("open", lambda: channel.send("is not liked"))
    echo = await connect(near, far)
    await echo.check("on another channel")
    assert {near.connectionState, far.connectionState} == {"connected"}
    assert len(reported) >= 2  # open, and message on the far side
    assert {type(error) for error in reported} == {ListenerError}


async def test_whoever_listens_to_errors_gets_them(make_pc: Factory, reported: Reports) -> None:
    near, far = make_pc(), make_pc()
    errors: Reports = []
    channel = near.createDataChannel("bad")
    for emitter in (near, channel):
        emitter.on("error", errors.append)
    near.on("connectionstatechange", fail)
    channel.on("open", fail)
    await connect(near, far)
    assert [type(error) for error in errors] == [ListenerError] * 3  # connecting, connected, open
    assert reported == []


async def test_a_listener_to_errors_that_fails(make_pc: Factory, reported: Reports) -> None:
    pc = make_pc()
    pc.on("error", fail)
    pc.on("signalingstatechange", fail)
    pc.createDataChannel("chat")
    await pc.setLocalDescription()
    assert [type(error) for error in reported] == [ListenerError]


def test_an_error_event_of_the_program(caplog: pytest.LogCaptureFixture) -> None:
    stream = MediaStream()
    stream.emit("error", ListenerError())
    assert len(caplog.records) == 1
    with pytest.raises(PyeeError, match="no exception"):
        stream.emit("error", "no exception")
    with pytest.raises(PyeeError):
        stream.emit("error")


def test_without_an_event_loop_it_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    stream = MediaStream()
    stream.on("addtrack", fail)
    stream.emit("addtrack", None)
    (record,) = caplog.records
    assert record.exc_info
    assert record.exc_info[0] is ListenerError
