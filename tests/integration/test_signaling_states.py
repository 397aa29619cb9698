"""Each description in each signaling state, from either side. (W9, W10, W15, W16)."""

from collections.abc import Awaitable, Callable

import pytest

from conftest import Factory
from connecting import transports, wait_connected
from restartice import InvalidStateError, RTCPeerConnection, RTCSessionDescription

STABLE, CLOSED = "stable", "closed"
LOCAL_OFFER, REMOTE_OFFER = "have-local-offer", "have-remote-offer"
LOCAL_PRANSWER, REMOTE_PRANSWER = "have-local-pranswer", "have-remote-pranswer"
STATES = [STABLE, LOCAL_OFFER, REMOTE_OFFER, LOCAL_PRANSWER, REMOTE_PRANSWER, CLOSED]
TYPES = ["offer", "pranswer", "answer", "rollback"]

# What the figure of https://w3c.github.io/webrtc-pc/#rtcsignalingstate-enum shows. A remote offer
# is also taken when there is a local one, which is rolled back.
NEXT = {
    (STABLE, "local", "offer"): LOCAL_OFFER,
    (STABLE, "remote", "offer"): REMOTE_OFFER,
    (LOCAL_OFFER, "local", "offer"): LOCAL_OFFER,
    (LOCAL_OFFER, "local", "rollback"): STABLE,
    (LOCAL_OFFER, "remote", "offer"): REMOTE_OFFER,
    (LOCAL_OFFER, "remote", "pranswer"): REMOTE_PRANSWER,
    (LOCAL_OFFER, "remote", "answer"): STABLE,
    (REMOTE_OFFER, "remote", "offer"): REMOTE_OFFER,
    (REMOTE_OFFER, "remote", "rollback"): STABLE,
    (REMOTE_OFFER, "local", "rollback"): STABLE,
    (REMOTE_OFFER, "local", "pranswer"): LOCAL_PRANSWER,
    (REMOTE_OFFER, "local", "answer"): STABLE,
    (LOCAL_PRANSWER, "local", "pranswer"): LOCAL_PRANSWER,
    (LOCAL_PRANSWER, "local", "answer"): STABLE,
    (REMOTE_PRANSWER, "remote", "pranswer"): REMOTE_PRANSWER,
    (REMOTE_PRANSWER, "remote", "answer"): STABLE,
}


class Parties:
    """A connection, and another one that makes remote descriptions for it."""

    def __init__(self, make_pc: Factory) -> None:
        self._make_pc = make_pc
        self.pc = self._make()
        self.local_answer: RTCSessionDescription | None = None
        self.remote_answer: RTCSessionDescription | None = None

    def _make(self) -> RTCPeerConnection:
        pc = self._make_pc()
        pc.createDataChannel("chat")
        return pc

    async def reach(self, state: str) -> None:
        if state in {LOCAL_OFFER, REMOTE_PRANSWER}:
            await self.pc.setLocalDescription(await self.pc.createOffer())
            answerer = self._make_pc()
            await answerer.setRemoteDescription(self.pc.localDescription)
            self.remote_answer = await answerer.createAnswer()
        if state in {REMOTE_OFFER, LOCAL_PRANSWER}:
            await self.pc.setRemoteDescription(await self._make().createOffer())
            self.local_answer = await self.pc.createAnswer()
        if state == LOCAL_PRANSWER:
            assert self.local_answer is not None
            pranswer = RTCSessionDescription(self.local_answer.sdp, "pranswer")
            await self.pc.setLocalDescription(pranswer)
        if state == REMOTE_PRANSWER:
            assert self.remote_answer is not None
            pranswer = RTCSessionDescription(self.remote_answer.sdp, "pranswer")
            await self.pc.setRemoteDescription(pranswer)
        if state == CLOSED:
            await self.pc.close()
        assert self.pc.signalingState == state

    async def description(self, side: str, kind: str) -> RTCSessionDescription:
        if kind == "rollback":
            return RTCSessionDescription("", "rollback")
        if kind != "offer":
            answer = self.local_answer if side == "local" else self.remote_answer
            answer = answer or await self._other_answer()
            return RTCSessionDescription(answer.sdp, kind)
        offers = side == "local" and self.pc.signalingState in {STABLE, LOCAL_OFFER}
        return await (self.pc if offers else self._make()).createOffer()

    async def _other_answer(self) -> RTCSessionDescription:
        answerer = self._make_pc()
        await answerer.setRemoteDescription(await self._make().createOffer())
        return await answerer.createAnswer()


def setter(pc: RTCPeerConnection, side: str) -> Callable[[RTCSessionDescription], Awaitable[None]]:
    return pc.setLocalDescription if side == "local" else pc.setRemoteDescription


def descriptions(pc: RTCPeerConnection) -> list[RTCSessionDescription | None]:
    return [
        pc.currentLocalDescription,
        pc.pendingLocalDescription,
        pc.currentRemoteDescription,
        pc.pendingRemoteDescription,
    ]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("side", ["local", "remote"])
@pytest.mark.parametrize("kind", TYPES)
async def test_each_description_in_each_state(
    make_pc: Factory, state: str, side: str, kind: str
) -> None:
    parties = Parties(make_pc)
    pc = parties.pc
    await parties.reach(state)
    description = await parties.description(side, kind)
    changes: list[str] = []
    pc.on("signalingstatechange", lambda: changes.append(pc.signalingState))
    before = descriptions(pc)
    expected = NEXT.get((state, side, kind))
    if expected is None:
        with pytest.raises(InvalidStateError):
            await setter(pc, side)(description)
        assert (pc.signalingState, descriptions(pc), changes) == (state, before, [])
        return
    await setter(pc, side)(description)
    assert pc.signalingState == expected
    glare = (state, side, kind) == (LOCAL_OFFER, "remote", "offer")
    assert changes == ([STABLE] if glare else []) + ([expected] if expected != state else [])
    check_descriptions(pc, side, kind, expected)


def check_descriptions(pc: RTCPeerConnection, side: str, kind: str, state: str) -> None:
    current_local, pending_local, current_remote, pending_remote = descriptions(pc)
    if kind == "rollback":
        assert descriptions(pc) == [None] * 4
    elif kind == "answer":
        assert None not in (current_local, current_remote)
        assert (pending_local, pending_remote) == (None, None)
        assert (pc.localDescription, pc.remoteDescription) == (current_local, current_remote)
    else:
        assert (current_local, current_remote) == (None, None)
        assert (pc.localDescription, pc.remoteDescription) == (pending_local, pending_remote)
        applied = pending_local if side == "local" else pending_remote
        assert applied is not None
        assert applied.type == kind
        assert (None not in (pending_local, pending_remote)) == state.endswith("pranswer")


async def test_a_call_is_connected_by_provisional_answers(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    channel = near.createDataChannel("chat")
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    pranswer = RTCSessionDescription((await far.createAnswer()).sdp, "pranswer")
    await far.setLocalDescription(pranswer)
    await near.setRemoteDescription(far.localDescription)
    await wait_connected(near, far)
    assert (near.signalingState, far.signalingState) == (REMOTE_PRANSWER, LOCAL_PRANSWER)
    # The final answer changes nothing of that.
    transport = near.sctp.transport if near.sctp else None
    await far.setLocalDescription(await far.createAnswer())
    await near.setRemoteDescription(far.localDescription)
    assert (near.signalingState, far.signalingState) == (STABLE, STABLE)
    assert near.sctp is not None
    assert near.sctp.transport is transport
    assert near.connectionState == "connected"
    assert channel.readyState in {"connecting", "open"}


async def test_a_provisional_answer_does_not_decide_about_a_restart(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("chat")
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    await wait_connected(near, far)
    near.restartIce()
    await near.setLocalDescription()
    # Without new credentials, so it doesn't answer the restart yet.
    await near.setRemoteDescription(RTCSessionDescription(far.localDescription.sdp, "pranswer"))
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    assert near.signalingState == STABLE
    remote = transports(near)[0].getRemoteParameters()
    assert remote is not None
    assert f"a=ice-ufrag:{remote.usernameFragment}" in far.localDescription.sdp
