"""What was created before a rollback, or for another offer, can't be set after it. (W8, W12).

Except for an offer that wasn't set before the other side's was rolled back.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import pytest

from conftest import Factory, leave_nothing, open_sockets
from connecting import negotiate, ufrags, wait_connected
from restartice import (
    InvalidAccessError,
    InvalidModificationError,
    InvalidStateError,
    RTCCertificate,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)

ROLLBACK = RTCSessionDescription("", "rollback")
LONGEST = 5


async def offer_of(configuration: RTCConfiguration, *kinds: str) -> RTCSessionDescription:
    """Return an offer of another peer."""
    pc = RTCPeerConnection(configuration)
    for kind in kinds:
        if kind == "data":
            pc.createDataChannel("chat")
        else:
            pc.addTransceiver(kind)
    try:
        return await pc.createOffer()
    finally:
        await pc.close()


class Trace(NamedTuple):
    """What a failure must leave as it was."""

    state: str
    descriptions: tuple[str | None, ...]
    transceivers: tuple[object, ...]
    mids: tuple[str | None, ...]
    ufrags: tuple[str, ...]
    transports: frozenset[object]


def trace(pc: RTCPeerConnection) -> Trace:
    described = (
        pc.currentLocalDescription,
        pc.pendingLocalDescription,
        pc.currentRemoteDescription,
        pc.pendingRemoteDescription,
    )
    transceivers = tuple(pc.getTransceivers())
    return Trace(
        pc.signalingState,
        tuple(None if d is None else d.sdp for d in described),
        transceivers,
        tuple(t.mid for t in transceivers),
        tuple(ufrags(pc)),
        frozenset(pc._core.state.dtls_transports),
    )


class Trial:
    """A connection on which steps are taken in some order."""

    def __init__(self, pc: RTCPeerConnection, offers: list[RTCSessionDescription]) -> None:
        self.pc = pc
        self.offers = offers
        self.created: list[RTCSessionDescription] = []

    async def create_offer(self) -> None:
        self.created.append(await self.pc.createOffer())

    async def create_answer(self) -> None:
        self.created.append(await self.pc.createAnswer())

    async def set_first(self) -> None:
        await self.pc.setLocalDescription(self.created[0])

    async def set_last(self) -> None:
        await self.pc.setLocalDescription(self.created[-1])

    async def take_offer(self) -> None:
        await self.pc.setRemoteDescription(self.offers[0])

    async def take_other_offer(self) -> None:
        await self.pc.setRemoteDescription(self.offers[1])

    async def roll_back(self) -> None:
        await self.pc.setLocalDescription(ROLLBACK)


Step = Callable[[Trial], Awaitable[None]]
STEPS: list[Step] = [
    Trial.create_offer,
    Trial.create_answer,
    Trial.set_first,
    Trial.set_last,
    Trial.take_offer,
    Trial.take_other_offer,
    Trial.roll_back,
]
# Creating and setting twice each takes five steps; the last one is always of those that set.
SETTING: list[Step] = [Trial.set_first, Trial.set_last]
EXPECTED = (InvalidStateError, InvalidModificationError, InvalidAccessError)
AT_A_TIME = 32


async def succeeds(
    steps: tuple[Step, ...], offers: list[RTCSessionDescription], configuration: RTCConfiguration
) -> bool:
    """Take steps; return whether all succeed. Only the last one may fail."""
    pc = RTCPeerConnection(configuration)
    pc.addTransceiver("audio")
    trial = Trial(pc, offers)
    try:
        for step in steps[:-1]:
            await step(trial)
        if steps[-1] in SETTING and len(trial.created) <= SETTING.index(steps[-1]):
            return False
        before = trace(pc)
        try:
            await steps[-1](trial)
        except EXPECTED:
            assert trace(pc) == before, [step.__name__ for step in steps]
            return False
        except Exception as error:
            error.add_note(f"after {[step.__name__ for step in steps]}")
            raise
        return True
    finally:
        await pc.close()


@pytest.mark.timeout(900)
async def test_any_order_of_creating_setting_and_rolling_back() -> None:
    sockets = open_sockets()
    configuration = RTCConfiguration(
        iceServers=[], certificates=[RTCCertificate.generateCertificate()]
    )
    offers = [
        await offer_of(configuration, "audio", "data"),
        await offer_of(configuration, "video"),
    ]
    sequences: list[tuple[Step, ...]] = [()]
    for length in range(1, LONGEST + 1):
        steps = SETTING if length == LONGEST else STEPS
        longer = [(*sequence, step) for sequence in sequences for step in steps]
        sequences = []
        for start in range(0, len(longer), AT_A_TIME):
            some = longer[start : start + AT_A_TIME]
            results = await asyncio.gather(*(succeeds(s, offers, configuration) for s in some))
            sequences += [s for s, good in zip(some, results, strict=True) if good]
    assert len(sequences) > 50
    await leave_nothing(sockets)


ENDS: dict[str, Callable[[RTCPeerConnection], Awaitable[None]]] = {
    "local": lambda pc: pc.setLocalDescription(ROLLBACK),
    "remote": lambda pc: pc.setRemoteDescription(ROLLBACK),
}


@pytest.mark.parametrize("side", ENDS)
async def test_an_answer_from_before_a_rollback(make_pc: Factory, side: str) -> None:
    near, far = make_pc(), make_pc()
    far.addTransceiver("video")
    far.createDataChannel("chat")
    offer = await far.createOffer()
    await far.setLocalDescription(offer)
    await near.setRemoteDescription(offer)
    answer = await near.createAnswer()
    await ENDS[side](near)
    with pytest.raises(InvalidStateError):
        await near.setLocalDescription(answer)
    await near.setRemoteDescription(offer)
    before = trace(near)
    with pytest.raises(InvalidModificationError, match="No answer was created"):
        await near.setLocalDescription(answer)
    assert trace(near) == before
    await near.setLocalDescription(await near.createAnswer())
    await far.setRemoteDescription(near.localDescription)
    await wait_connected(near, far)


@pytest.mark.parametrize("implicit", [False, True])
async def test_an_offer_from_before_a_rollback(make_pc: Factory, implicit: bool) -> None:
    near, far = make_pc(), make_pc()
    near.addTransceiver("audio")
    offer = await near.createOffer()
    await near.setLocalDescription(offer)
    far.createDataChannel("chat")
    if implicit:
        await far.setLocalDescription()
        await near.setRemoteDescription(far.localDescription)
    await near.setLocalDescription(ROLLBACK)
    before = trace(near)
    with pytest.raises(InvalidModificationError, match="No offer was created"):
        await near.setLocalDescription(offer)
    assert trace(near) == before
    if implicit:
        await far.setLocalDescription(ROLLBACK)
    await negotiate(near, far)
    await wait_connected(near, far)


@pytest.mark.parametrize("connected", [False, True])
async def test_an_offer_that_was_not_set(make_pc: Factory, connected: bool) -> None:
    """It stays the last created one when an offer of the other side is rolled back."""
    near, far = make_pc(), make_pc()
    if connected:
        near.addTransceiver("audio")
        await negotiate(near, far)
        await wait_connected(near, far)
    near.addTransceiver("video")
    near.createDataChannel("chat")
    offer = await near.createOffer()
    far.addTransceiver("audio")
    far.addTransceiver("video")
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    await near.createAnswer()
    await near.setRemoteDescription(ROLLBACK)
    await far.setLocalDescription(ROLLBACK)
    await near.setLocalDescription(offer)
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    await wait_connected(near, far)
    applied = near.currentLocalDescription
    assert applied is not None
    assert applied.sdp.splitlines()[1] == offer.sdp.splitlines()[1]


async def test_an_answer_to_an_offer_that_was_replaced(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    far.createDataChannel("chat")
    await near.setRemoteDescription(await far.createOffer())
    answer = await near.createAnswer()
    far.addTransceiver("video")
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    before = trace(near)
    with pytest.raises(InvalidModificationError, match="No answer was created"):
        await near.setLocalDescription(answer)
    assert trace(near) == before
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    await wait_connected(near, far)


async def test_an_answer_survives_an_offer_that_fails(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    far.createDataChannel("chat")
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    answer = await near.createAnswer()
    with pytest.raises(ValueError, match="fingerprint"):
        await near.setRemoteDescription(without_fingerprint(far.localDescription))
    await near.setLocalDescription(answer)
    await far.setRemoteDescription(near.localDescription)
    await wait_connected(near, far)


def without_fingerprint(offer: RTCSessionDescription) -> RTCSessionDescription:
    lines = [line for line in offer.sdp.splitlines() if not line.startswith("a=fingerprint")]
    return RTCSessionDescription("\r\n".join([*lines, ""]), offer.type)
