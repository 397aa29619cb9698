"""Broken descriptions and candidates raise documented errors, and leave no trace.

(W14, W20)

`RESTARTICE_EXAMPLES` is how many descriptions are tried; of candidates it is twice as many.
"""

import asyncio
import gc
import itertools
import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiortc import InvalidStateError
from aiortc.exceptions import OperationError
from aiortc.sdp import SessionDescription

from conftest import leave_nothing, open_sockets
from descriptions import texts as corpus
from properties.mutation import ODDITIES, Mutator
from properties.trial import DEADLINE, OF_DESCRIPTIONS, Trial, breathe, refused
from restartice import CandidateSyntaxError, RTCIceCandidate, RTCSessionDescription
from restartice.exceptions import InvalidModificationError

EXAMPLES = int(os.environ.get("RESTARTICE_EXAMPLES", "500"))
BATCH = 50
OF_LOCAL_DESCRIPTIONS = {*OF_DESCRIPTIONS, InvalidModificationError}
OF_CANDIDATES = {CandidateSyntaxError, OperationError, TypeError, ValueError, InvalidStateError}
CANDIDATES = (
    "candidate:1162875081 1 udp 2113937151 127.0.0.1 54321 typ host generation 0 ufrag EsAw",
    "candidate:842163049 1 udp 1677729535 127.0.0.1 54322 typ srflx raddr 127.0.0.1 rport 54321",
    "candidate:3498147984 1 tcp 1518280447 127.0.0.1 9 typ host tcptype active network-id 1",
    "a=candidate:0 2 UDP 2122252543 ::1 54321 typ relay raddr :: rport 0",
)


@pytest.fixture
async def unhandled() -> AsyncIterator[list[object]]:
    """Return what reaches asyncio's exception handler, which has to be nothing."""
    found: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: found.append(context))
    yield found
    gc.collect()
    await asyncio.sleep(0)
    assert not found


@pytest.fixture
async def begin(unhandled: list[object]) -> AsyncIterator[Callable[[], Trial]]:
    """Return what begins a trial, which ends the one before; nothing of them may stay."""
    sockets, trials = open_sockets(), list[Trial]()
    assert not unhandled

    def make() -> Trial:
        trials.append(Trial())
        return trials[-1]

    yield make
    await asyncio.gather(*(trial.close() for trial in trials))
    await leave_nothing(sockets)


async def own(kind: str) -> str:
    """Return a description of our own."""
    trial = Trial()
    try:
        if kind == "offer":
            await trial.offer()
            return str(trial.pc.localDescription.sdp)
        await trial.connect()
        return str(trial.pc.remoteDescription.sdp)
    finally:
        await trial.close()


@pytest.mark.parametrize("seed", range(0, EXAMPLES * 2 // 5, BATCH))
async def test_broken_offers(
    seed: int, begin: Callable[[], Trial], unhandled: list[object]
) -> None:
    texts = [*corpus("offer"), await own("offer")]
    trial = begin()
    for number, text in zip(range(seed, seed + BATCH), itertools.cycle(texts), strict=False):
        broken = Mutator(f"offer {number}", texts).mutate(text)
        setting = trial.pc.setRemoteDescription(RTCSessionDescription(broken, "offer"))
        # Sometimes another offer comes instead of our answer.
        if not await refused(trial, setting, OF_DESCRIPTIONS) and number % 4:
            # What was accepted can be answered and shown, and begins to be connected.
            await trial.pc.setLocalDescription()
            assert trial.pc.remoteDescription.type == "offer"
            await breathe()
            await trial.close()
            trial = begin()
            if number % 3 == 0:
                await trial.connect()
            elif number % 3 == 1:
                await trial.offer()
        assert not unhandled


@pytest.mark.parametrize("seed", range(0, EXAMPLES * 2 // 5, BATCH))
async def test_broken_answers(
    seed: int, begin: Callable[[], Trial], unhandled: list[object]
) -> None:
    text, others = await own("answer"), corpus("answer")
    trial = begin()
    await trial.offer()
    for number in range(seed, seed + BATCH):
        broken = Mutator(f"answer {number}", [text, *others]).mutate(text)
        kind = "answer" if number % 5 else "pranswer"
        setting = trial.pc.setRemoteDescription(RTCSessionDescription(broken, kind))
        if not await refused(trial, setting, OF_DESCRIPTIONS):
            assert trial.pc.remoteDescription.type == kind
            await breathe()
            await trial.close()
            trial = begin()
            await trial.offer()
        assert not unhandled


@pytest.mark.parametrize("seed", range(0, EXAMPLES // 5, BATCH))
async def test_broken_local_descriptions(
    seed: int, begin: Callable[[], Trial], unhandled: list[object]
) -> None:
    offer = RTCSessionDescription(await own("offer"), "offer")
    for number in range(seed, seed + BATCH):
        trial = begin()
        if number % 2:
            await trial.pc.setRemoteDescription(offer)
        created = await (trial.pc.createAnswer() if number % 2 else trial.pc.createOffer())
        broken = Mutator(f"local {number}", [created.sdp]).mutate(created.sdp)
        setting = trial.pc.setLocalDescription(RTCSessionDescription(broken, created.type))
        if not await refused(trial, setting, OF_LOCAL_DESCRIPTIONS):
            SessionDescription.parse(trial.pc.localDescription.sdp)
        await breathe()
        await trial.close()
        assert not unhandled


def broken_candidate(mutator: Mutator) -> Any:
    """Return a candidate of some form, in which something is wrong, or may be."""
    random = mutator.random
    text = random.choice(CANDIDATES)
    for _ in range(random.choice((1, 1, 2, 3))):
        text = random.choice((mutator.change_token, mutator.change_character))(text)
    odd: tuple[object, ...] = (None, 1, -1, 1.5, True, b"0", [], {}, *ODDITIES)
    init: dict[str, object] = {"candidate": text, "sdpMid": "0", "sdpMLineIndex": 0}
    if random.random() < 0.3:
        name = random.choice(("candidate", "sdpMid", "sdpMLineIndex", "usernameFragment"))
        init[name] = random.choice(odd)
    if random.random() < 0.7:
        return init
    values: dict[str, Any] = {"component": 1, "foundation": "1", "ip": "127.0.0.1", "port": 54321}
    values |= {"priority": 1, "protocol": "udp", "type": "host", "sdpMid": "0"}
    optional = ("relatedAddress", "relatedPort", "tcpType", "usernameFragment", "sdpMLineIndex")
    values[random.choice((*values, *optional))] = random.choice(odd)
    return RTCIceCandidate(**values)


@pytest.mark.parametrize("state", ["new", "offered", "answering", "connected"])
@pytest.mark.parametrize("seed", range(0, EXAMPLES // 2, BATCH))
async def test_broken_candidates(
    seed: int, state: str, begin: Callable[[], Trial], unhandled: list[object]
) -> None:
    trial = begin()
    if state == "offered":
        await trial.offer()
    elif state == "answering":
        await trial.pc.setRemoteDescription(RTCSessionDescription(await own("offer"), "offer"))
    elif state == "connected":
        await trial.connect()
    for number in range(seed, seed + BATCH):
        candidate = broken_candidate(Mutator(f"candidate {state} {number}", CANDIDATES))
        before = trial.state()
        try:
            async with asyncio.timeout(DEADLINE):
                await trial.pc.addIceCandidate(candidate)
        except Exception as error:
            if type(error) not in OF_CANDIDATES:
                raise
            assert trial.state() == before
        # Descriptions can be written and read with what was accepted.
        if (description := trial.pc.remoteDescription) is not None:
            SessionDescription.parse(description.sdp)
            description.sdp.encode()
        await trial.pc.getStats()
        await breathe()
        assert not unhandled, candidate
    if trial.pc.signalingState in {"stable", "have-remote-offer"}:
        await trial.pc.setLocalDescription()
    await breathe()
