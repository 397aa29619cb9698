"""The Negotiator over whatever carries descriptions: aiortc's signalings, functions and others."""

import asyncio
import io
import json
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiortc
import pytest
from aiortc.contrib.signaling import (
    BaseSignaling,
    CopyAndPasteSignaling,
    TcpSocketSignaling,
    UnixSocketSignaling,
)

from conftest import Factory
from connecting import (
    DEADLINE,
    Echo,
    sending_ufrags,
    wait_connected,
    wait_for_state,
    wait_restarted,
    wait_until,
)
from ports import free_port
from restartice import RTCPeerConnection, RTCSessionDescription
from restartice_signaling import (
    BadMessage,
    CallableChannel,
    DescriptionReceived,
    Event,
    Negotiator,
    SignalingChannel,
    SignalingClosed,
)
from restartice_signaling.negotiation import open_offer

Ends = tuple[SignalingChannel | BaseSignaling, SignalingChannel | BaseSignaling]


class OwnChannel:
    """What a program would write of its own: it carries descriptions and nothing else."""

    polite: bool | None = None

    def __init__(
        self, incoming: asyncio.Queue[Event | None], outgoing: asyncio.Queue[Event | None]
    ) -> None:
        self.incoming, self.outgoing = incoming, outgoing

    async def send_description(self, description: aiortc.RTCSessionDescription) -> None:
        self.outgoing.put_nowait(DescriptionReceived("", description))

    async def events(self) -> AsyncIterator[Event]:
        while (event := await self.incoming.get()) is not None:
            yield event


def own_channels(_: Path) -> Ends:
    first: asyncio.Queue[Event | None] = asyncio.Queue()
    second: asyncio.Queue[Event | None] = asyncio.Queue()
    return OwnChannel(first, second), OwnChannel(second, first)


def callables(_: Path) -> Ends:
    first: asyncio.Queue[str] = asyncio.Queue()
    second: asyncio.Queue[str] = asyncio.Queue()
    return (
        CallableChannel(lambda message: second.put_nowait(json.dumps(message)), first.get),
        CallableChannel(lambda message: first.put(json.dumps(message)), second.get),
    )


def unix_sockets(folder: Path) -> Ends:
    path = str(folder / "signaling.socket")
    return UnixSocketSignaling(path), UnixSocketSignaling(path)


def tcp_sockets(_: Path) -> Ends:
    port = free_port()
    return TcpSocketSignaling("127.0.0.1", port), TcpSocketSignaling("127.0.0.1", port)


class Pasting(CopyAndPasteSignaling):
    """aiortc's, whose terminal is a pair of pipes."""

    def __init__(self, reading: int, writing: int) -> None:
        super().__init__()
        self._read_pipe = os.fdopen(reading)
        self._write_pipe = os.fdopen(writing, "w")

    async def close(self) -> None:
        # Without a word, as by the end of the program.
        assert self._read_transport is not None
        self._read_transport.close()
        self._write_pipe.close()


def terminals(_: Path) -> Ends:
    (to_second, from_first), (to_first, from_second) = os.pipe(), os.pipe()
    return Pasting(to_first, from_first), Pasting(to_second, from_second)


MAKERS = [own_channels, callables, unix_sockets, tcp_sockets, terminals]
CARRIERS = pytest.mark.parametrize("make_ends", MAKERS, ids=lambda maker: maker.__name__)


class Pair:
    """Two connections and their negotiators."""

    def __init__(self, pcs: list[RTCPeerConnection], negotiators: list[Negotiator]) -> None:
        self.near, self.far = pcs
        self.negotiators = negotiators
        self.errors: list[Exception] = []


Connect = Callable[..., Awaitable[Pair]]


@pytest.fixture
async def connect(make_pc: Factory) -> AsyncIterator[Connect]:
    async with AsyncExitStack() as stack:

        async def connect(
            ends: Ends, polite: tuple[bool | None, bool | None] = (None, None), **options: Any
        ) -> Pair:
            pair = Pair([make_pc(), make_pc()], [])
            for pc, end, gives_way in zip((pair.near, pair.far), ends, polite, strict=True):
                if isinstance(end, BaseSignaling):
                    await end.connect()
                    stack.push_async_callback(end.close)
                options |= {"polite": gives_way, "on_error": pair.errors.append}
                negotiator = Negotiator(pc, end, **options)
                pair.negotiators.append(await stack.enter_async_context(negotiator))
            return pair

        yield connect


async def check_restarts(pair: Pair, echo: Echo) -> None:
    """Restart ICE from each side, and from both at once."""
    await wait_connected(pair.near, pair.far)
    for starting in ([pair.near], [pair.far], [pair.near, pair.far]):
        before = [sending_ufrags(pair.near), sending_ufrags(pair.far)]
        for pc in starting:
            pc.restartIce()
        await wait_restarted(pair.near, pair.far, since=before)
        for pc in (pair.near, pair.far):
            await wait_for_state(pc, "signalingState", "stable")
        await echo.check("after a restart")
    assert pair.errors == []


@CARRIERS
async def test_one_side_offers_first(
    make_ends: Callable[[Path], Ends], connect: Connect, tmp_path: Path
) -> None:
    pair = await connect(make_ends(tmp_path))
    echo = Echo(pair.near, pair.far)
    await echo.check()
    await check_restarts(pair, echo)
    assert [negotiator.polite for negotiator in pair.negotiators] == [False, True]


@CARRIERS
async def test_both_offer_at_once(
    make_ends: Callable[[Path], Ends], connect: Connect, tmp_path: Path
) -> None:
    """Nothing tells who is polite, and yet they agree about it."""
    pair = await connect(make_ends(tmp_path))
    echo = Echo(pair.near, pair.far)
    back = Echo(pair.far, pair.near)
    await asyncio.gather(echo.check(), back.check())
    await check_restarts(pair, echo)
    assert pair.negotiators[0].polite != pair.negotiators[1].polite


@pytest.mark.parametrize("polite", [(True, False), (False, True)], ids=["first", "second"])
async def test_politeness_that_is_given_holds(
    connect: Connect, tmp_path: Path, polite: tuple[bool, bool]
) -> None:
    pair = await connect(unix_sockets(tmp_path), polite=polite)
    echo, back = Echo(pair.near, pair.far), Echo(pair.far, pair.near)
    await asyncio.gather(echo.check(), back.check())
    await check_restarts(pair, echo)
    assert tuple(negotiator.polite for negotiator in pair.negotiators) == polite


async def test_descriptions_have_all_candidates_where_none_can_be_sent(connect: Connect) -> None:
    first, second = own_channels(Path())
    assert isinstance(first, OwnChannel)
    assert isinstance(second, OwnChannel)
    sent: list[str] = []

    async def note(description: aiortc.RTCSessionDescription) -> None:
        sent.append(description.sdp)
        await OwnChannel.send_description(first, description)

    first.send_description = note  # type: ignore[method-assign]
    pair = await connect((first, second))
    # The program's own listener makes candidates trickle.
    candidates: list[object] = []
    pair.near.on("icecandidate", candidates.append)
    await Echo(pair.near, pair.far).check()
    assert len(candidates) > 1
    assert all("a=candidate" in sdp and "a=end-of-candidates" in sdp for sdp in sent)


async def test_the_other_side_closes_the_signaling(connect: Connect, tmp_path: Path) -> None:
    first, second = unix_sockets(tmp_path)
    pair = await connect((first, second))
    echo = Echo(pair.near, pair.far)
    await echo.check()
    await wait_for_state(pair.far, "signalingState", "stable")
    assert isinstance(second, BaseSignaling)
    await second.close()
    async with asyncio.timeout(DEADLINE):
        await pair.negotiators[0].wait_closed()
    await echo.check("the call goes on")


async def test_what_cannot_be_read_ends_nothing(connect: Connect, tmp_path: Path) -> None:
    """A person has pasted something else."""
    first, second = terminals(tmp_path)
    assert isinstance(second, Pasting)
    pair = await connect((first, second))
    for line in ("", "hello", '{"type": "offer"}', '{"type": "candidate", "candidate": "x"}'):
        second._write_pipe.write(line + "\n")
    second._write_pipe.flush()
    await Echo(pair.near, pair.far).check()
    assert len(pair.errors) == 4
    assert {type(error) for error in pair.errors} == {BadMessage}


async def test_the_end_of_the_input_ends_the_signaling(connect: Connect, tmp_path: Path) -> None:
    first, second = terminals(tmp_path)
    assert isinstance(second, Pasting)
    pair = await connect((first, second))
    second._write_pipe.close()
    async with asyncio.timeout(DEADLINE):
        with pytest.raises(SignalingClosed):
            await pair.negotiators[0].wait_closed()
    second._write_pipe = io.StringIO()


async def test_a_socket_that_cannot_be_made_is_an_error(connect: Connect, tmp_path: Path) -> None:
    path = str(tmp_path / "missing" / "signaling.socket")
    pair = await connect((UnixSocketSignaling(path), UnixSocketSignaling(path)))
    pair.near.createDataChannel("x")
    await wait_for_state(pair.near, "signalingState", "have-local-offer")
    async with asyncio.timeout(DEADLINE):
        while not pair.errors:  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.01)
    assert isinstance(pair.errors[0], FileNotFoundError)


@pytest.mark.parametrize("name", ["on_custom", "on_error", "on_restart", "recovery"])
async def test_refuses_arguments_of_a_wrong_type(make_pc: Factory, name: str) -> None:
    pc = make_pc()
    wrong: Any = {name: 5}
    with pytest.raises(TypeError, match=f"{name} must be"):
        Negotiator(pc, CallableChannel(print, asyncio.Queue[Any]().get), **wrong)
    assert not pc.event_names()


def test_refuses_what_is_no_signaling() -> None:
    loop = asyncio.new_event_loop()
    pc = RTCPeerConnection()
    with pytest.raises(TypeError, match=r"must be a SignalingChannel .*, not str"):
        Negotiator(pc, "ws://127.0.0.1")  # type: ignore[arg-type]
    loop.run_until_complete(pc.close())
    loop.close()


class Lossy:
    """Two functions that lose messages."""

    def __init__(self, outgoing: asyncio.Queue[Any], incoming: asyncio.Queue[Any]) -> None:
        self.lose: Callable[[dict[str, Any]], bool] = lambda _: False
        self.outgoing, self.incoming = outgoing, incoming
        self.channel = CallableChannel(self.send, incoming.get)
        self.sent: list[str] = []

    def send(self, message: dict[str, Any]) -> None:
        if "description" in message:
            self.sent.append(message["description"]["type"])
        if not self.lose(message):
            self.outgoing.put_nowait(message)

    def lose_next(self, kind: str, count: int = 1) -> None:
        """Lose the next descriptions of a kind, and the candidates that follow them."""
        losing = False

        def lose(message: dict[str, Any]) -> bool:
            nonlocal count, losing
            if "description" in message:
                losing = message["description"]["type"] == kind and count > 0
                count -= losing
            return losing

        self.lose = lose


def lossy_pair() -> tuple[Lossy, Lossy]:
    first: asyncio.Queue[Any] = asyncio.Queue()
    second: asyncio.Queue[Any] = asyncio.Queue()
    return Lossy(first, second), Lossy(second, first)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_offer, "ANSWER_TIMEOUT", 0.5)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("lost", ["offer", "answer"])
async def test_what_is_lost_is_sent_again(
    connect: Connect, caplog: pytest.LogCaptureFixture, lost: str
) -> None:
    first, second = lossy_pair()
    (first if lost == "offer" else second).lose_next(lost, 2)
    with caplog.at_level(logging.INFO, "restartice_signaling"):
        pair = await connect((first.channel, second.channel), recovery=False)
        echo = Echo(pair.near, pair.far)
        await echo.check()
    assert "sending it again" in caplog.text
    await check_restarts(pair, echo)


@pytest.mark.usefixtures("impatient")
async def test_answers_that_come_late_are_told_apart(connect: Connect) -> None:
    """Both copies of an offer are answered; the second answer isn't that of the next offer."""
    first, second = lossy_pair()
    held: list[dict[str, Any]] = []

    def hold(message: dict[str, Any]) -> bool:
        held.append(message)
        return True

    second.lose = hold
    pair = await connect((first.channel, second.channel), recovery=False)
    echo = Echo(pair.near, pair.far)
    async with asyncio.timeout(DEADLINE):
        while len(answers := [m for m in held if "description" in m]) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    second.lose = lambda _: False
    second.outgoing.put_nowait(answers[0])
    await echo.check()
    await wait_connected(pair.near, pair.far)
    first.lose_next("offer")
    before = [sending_ufrags(pair.near), sending_ufrags(pair.far)]
    pair.near.restartIce()
    await wait_for_state(pair.near, "signalingState", "have-local-offer")
    for late in answers[1:]:
        second.outgoing.put_nowait(late)
    await wait_restarted(pair.near, pair.far, since=before)
    await echo.check("after")
    assert pair.errors == []


@pytest.mark.usefixtures("impatient")
async def test_two_impolite_sides_do_not_wait_for_each_other_forever(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = lossy_pair()
    with caplog.at_level(logging.INFO, "restartice_signaling"):
        pair = await connect((first.channel, second.channel), polite=(False, False), recovery=False)
        pair.far.createDataChannel("back")
        echo = Echo(pair.near, pair.far)
        await echo.check()
    assert "ignored an offer" in caplog.text


async def test_ignored_offers_are_logged(
    connect: Connect, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with caplog.at_level(logging.INFO, "restartice_signaling"):
        pair = await connect(callables(tmp_path))
        echo, back = Echo(pair.near, pair.far), Echo(pair.far, pair.near)
        await asyncio.gather(echo.check(), back.check())
    told = [record.getMessage().partition(" offer")[0] for record in caplog.records]
    assert any(text.endswith(": ignored an") for text in told)
    assert any(text.endswith(": rolled back our") for text in told)


async def test_functions_whose_other_end_is_gone(make_pc: Factory) -> None:
    pc = make_pc()

    async def receive() -> dict[str, Any]:
        raise ConnectionResetError

    async with Negotiator(pc, CallableChannel(print, receive)) as negotiator:
        async with asyncio.timeout(DEADLINE):
            with pytest.raises(SignalingClosed, match="ConnectionResetError"):
                await negotiator.wait_closed()


async def test_functions_carry_what_the_application_sends(make_pc: Factory) -> None:
    incoming: asyncio.Queue[Any] = asyncio.Queue()
    customs: asyncio.Queue[object] = asyncio.Queue()
    errors: asyncio.Queue[Exception] = asyncio.Queue()
    channel = CallableChannel(lambda _: None, incoming.get)
    async with Negotiator(
        make_pc(), channel, on_custom=customs.put_nowait, on_error=errors.put_nowait
    ):
        for message in ({"say": "hello"}, '["or", 1]', "no JSON"):
            incoming.put_nowait(message)
        async with asyncio.timeout(DEADLINE):
            assert [await customs.get(), await customs.get()] == [{"say": "hello"}, ["or", 1]]
            assert isinstance(await errors.get(), BadMessage)


async def test_the_browsers_form_without_a_frame_is_understood(make_pc: Factory) -> None:
    """As pages send it that pass `JSON.stringify(pc.localDescription)` on."""
    pc, page = make_pc(), make_pc()
    to_pc: asyncio.Queue[Any] = asyncio.Queue()
    to_page: asyncio.Queue[Any] = asyncio.Queue()
    page.on("icecandidate", lambda c: to_pc.put_nowait(None if c is None else c.toJSON()))
    async with Negotiator(pc, CallableChannel(to_page.put_nowait, to_pc.get)):
        page.createDataChannel("x")
        await page.setLocalDescription()
        to_pc.put_nowait({"type": "offer", "sdp": page.localDescription.sdp})
        async with asyncio.timeout(DEADLINE):
            answer = (await to_page.get())["description"]
        await page.setRemoteDescription(RTCSessionDescription(**answer))
        await wait_until(page, "connectionstatechange", lambda: page.connectionState == "connected")


# What aiortc's examples do at the other end (examples/datachannel-cli).


async def obey(pc: aiortc.RTCPeerConnection, signaling: BaseSignaling) -> None:
    """Answer what comes in, as aiortc's example programs do, which are started last."""
    while True:
        try:
            received = await signaling.receive()
        except OSError:  # the other side isn't there yet
            await asyncio.sleep(0.01)
            continue
        if not isinstance(received, RTCSessionDescription):
            return
        await pc.setRemoteDescription(received)
        if received.type == "offer":
            await pc.setLocalDescription(await pc.createAnswer())
            await signaling.send(pc.localDescription)


@pytest.mark.parametrize("make_ends", [unix_sockets, tcp_sockets], ids=lambda m: m.__name__)
@pytest.mark.parametrize("offering", ["ours", "theirs"])
async def test_programs_of_plain_aiortc(
    make_pc: Factory, make_ends: Callable[[Path], Ends], tmp_path: Path, offering: str
) -> None:
    mine, theirs = make_ends(tmp_path)
    assert isinstance(mine, BaseSignaling)
    assert isinstance(theirs, BaseSignaling)
    near, far = make_pc(), aiortc.RTCPeerConnection()
    errors: list[Exception] = []
    async with Negotiator(near, mine, on_error=errors.append) as negotiator:
        if offering == "ours":
            echo = Echo(near, far)
        else:
            echo = Echo(far, near)
            await far.setLocalDescription(await far.createOffer())
            await theirs.send(far.localDescription)
        obeying = asyncio.create_task(obey(far, theirs))
        try:
            await echo.check()
            if offering == "ours":
                near.addTransceiver("audio")
                await wait_until(near, "signalingstatechange", lambda: len(sections(near)) == 2)
        finally:
            obeying.cancel()
            await asyncio.wait([obeying])
            await far.close()
            await theirs.close()
        async with asyncio.timeout(DEADLINE):
            await negotiator.wait_closed()
        await mine.close()
    assert errors == []


def sections(pc: RTCPeerConnection) -> list[str]:
    """Return the media sections that were negotiated."""
    description = pc.currentRemoteDescription
    return [] if description is None else description.sdp.split("\nm=")[1:]
