"""What a program has forgotten is said in the log."""

import asyncio
import gc
import logging
import socket
import warnings
import weakref

import pytest

from conftest import Factory
from connecting import DEADLINE, connect, negotiate
from restartice import RTCConfiguration, RTCIceServer, RTCPeerConnection
from restartice.negotiation import reminders

RESTART, OFFER = "nothing listens to negotiationneeded", "has had no answer"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reminders, "RESTART_UNHEARD", 0.2)
    monkeypatch.setattr(reminders, "OFFER_UNANSWERED", 0.2)


async def warnings_in(caplog: pytest.LogCaptureFixture, seconds: float = 1.0) -> list[str]:
    """Return what the log has after a time in which there would be a warning."""
    await asyncio.sleep(seconds)
    name = reminders.__name__
    return [r.getMessage() for r in caplog.records if r.name == name]


async def test_a_restart_that_nobody_offers(
    make_pc: Factory, caplog: pytest.LogCaptureFixture
) -> None:
    near, far = make_pc(), make_pc()
    await connect(near, far)
    near.restartIce()
    (text,) = await warnings_in(caplog)
    assert RESTART in text
    # Once is enough.
    await negotiate(near, far)
    near.restartIce()
    assert await warnings_in(caplog) == [text]


async def test_a_need_that_nobody_has_heard_before_hides_no_restart(
    make_pc: Factory, caplog: pytest.LogCaptureFixture
) -> None:
    near, far = make_pc(), make_pc()
    await connect(near, far)
    near.addTransceiver("audio")
    assert await warnings_in(caplog, 0.4) == []
    near.restartIce()
    assert [RESTART in text for text in await warnings_in(caplog)] == [True]


@pytest.mark.parametrize("how", ["implicit", "created"])
async def test_no_warning_where_the_program_makes_the_offer_itself(
    make_pc: Factory, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    near, far = make_pc(), make_pc()
    await connect(near, far)
    near.restartIce()
    if how == "created":
        await near.setLocalDescription(await near.createOffer())
    else:
        await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    assert await warnings_in(caplog) == []


async def test_no_warning_where_something_listens(
    make_pc: Factory, caplog: pytest.LogCaptureFixture
) -> None:
    near, far = make_pc(), make_pc()
    await connect(near, far)
    near.on("negotiationneeded", lambda: None)
    near.restartIce()
    assert await warnings_in(caplog) == []


async def test_an_offer_that_nobody_answers(
    make_pc: Factory, caplog: pytest.LogCaptureFixture
) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("x")
    await near.setLocalDescription()
    assert [OFFER in text for text in await warnings_in(caplog)] == [True]
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    assert len(await warnings_in(caplog)) == 1


async def collected(gone: weakref.ref[RTCPeerConnection]) -> None:
    """Return when a forgotten connection is collected."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        async with asyncio.timeout(DEADLINE):
            while gone() is not None:
                gc.collect()
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("end", ["close", "forget"])
async def test_a_connection_that_is_gone_warns_of_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    # Collecting takes a while on a busy machine.
    monkeypatch.setattr(reminders, "OFFER_UNANSWERED", 3.0)
    with caplog.at_level(logging.WARNING):
        pc = RTCPeerConnection()
        pc.createDataChannel("x")
        await pc.setLocalDescription()
        if end == "close":
            await pc.close()
        else:
            gone = weakref.ref(pc)
            del pc
            await collected(gone)
        assert await warnings_in(caplog, 3.5) == []


async def test_no_warning_while_an_offer_takes_long(
    make_pc: Factory, caplog: pytest.LogCaptureFixture
) -> None:
    """As when a STUN server doesn't answer: the state is stable until all is gathered."""
    near, far = make_pc(), make_pc()
    await connect(near, far)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        url = f"stun:127.0.0.1:{silent.getsockname()[1]}"
        near.setConfiguration(RTCConfiguration(iceServers=[RTCIceServer(url)]))
        near.restartIce()
        offer = await near.createOffer()
        await asyncio.sleep(0)  # the need is found here
        await near.setLocalDescription(offer)
    assert await warnings_in(caplog, 0.0) == []
