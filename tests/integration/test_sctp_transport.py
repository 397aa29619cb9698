"""The states of the SCTP transport, and the largest message that it takes."""

import math

import pytest

from conftest import Factory
from connecting import connect, negotiate, wait_for_state
from restartice import RTCPeerConnection, RTCSctpTransport, RTCSessionDescription

SIZE = "a=max-message-size:262144\r\n"


def sctp_of(pc: RTCPeerConnection) -> RTCSctpTransport:
    assert isinstance(pc.sctp, RTCSctpTransport)
    return pc.sctp


def states_of(sctp: RTCSctpTransport) -> list[str]:
    seen: list[str] = []
    sctp.on("statechange", lambda: seen.append(sctp.state))
    return seen


async def answer_to(near: RTCPeerConnection, far: RTCPeerConnection, line: str) -> None:
    """Negotiate, with another line about the size of messages in the answer that comes back."""
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    answer = far.localDescription.sdp
    assert answer.count(SIZE) == 1
    await near.setRemoteDescription(RTCSessionDescription(answer.replace(SIZE, line), "answer"))


async def test_its_states_and_their_events(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("chat")
    sctp = sctp_of(near)
    seen = states_of(sctp)
    assert sctp.state == "new"

    await negotiate(near, far)

    theirs = sctp_of(far)
    assert (sctp.state, theirs.state, sctp.maxChannels) == ("connecting", "connecting", None)
    await wait_for_state(sctp, "state", "connected")
    await wait_for_state(theirs, "state", "connected")
    assert sctp.maxChannels == theirs.maxChannels == 65535
    far_seen = states_of(theirs)
    await near.close()
    assert seen == ["connecting", "connected", "closed"]
    await wait_for_state(theirs, "state", "closed")
    assert far_seen == ["closed"]


async def test_a_rollback_leaves_it_new(make_pc: Factory) -> None:
    near = make_pc()
    near.createDataChannel("chat")
    await near.setLocalDescription()
    await near.setLocalDescription(RTCSessionDescription("", "rollback"))
    assert sctp_of(near).state == "new"


async def test_the_largest_message_is_that_of_the_last_description(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    channel = near.createDataChannel("chat")
    await connect(near, far)
    sctp = sctp_of(near)
    assert sctp.maxMessageSize == 262144

    await answer_to(near, far, "a=max-message-size:5\r\n")
    assert sctp.maxMessageSize == 5
    with pytest.raises(ValueError, match="up to 5 bytes"):
        channel.send("longer")

    await answer_to(near, far, "")  # "If it's absent, the default is 64K." (RFC 8841 section 6.1)
    assert sctp.maxMessageSize == 65536

    await answer_to(near, far, "a=max-message-size:0\r\n")
    assert sctp.maxMessageSize == math.inf
    channel.send(bytes(262145))


async def test_an_offer_that_is_rolled_back_changes_no_size(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("chat")
    await connect(near, far)
    await far.setLocalDescription()
    offer = far.localDescription.sdp.replace(SIZE, "a=max-message-size:5\r\n")
    await near.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    await near.setRemoteDescription(RTCSessionDescription("", "rollback"))
    assert sctp_of(near).maxMessageSize == 262144
