"""Remote descriptions that say something that can't be."""

import logging
import re

import pytest
from aiortc import InvalidAccessError, RTCSessionDescription

from conftest import Factory
from connecting import negotiate
from restartice import RTCPeerConnection

OTHER = "a=fingerprint:sha-256 " + ":".join(["AB"] * 32)


def with_other_fingerprint(description: RTCSessionDescription) -> RTCSessionDescription:
    sdp = re.sub(r"a=fingerprint:sha-256 \S+", OTHER, description.sdp)
    assert sdp != description.sdp
    return RTCSessionDescription(sdp, description.type)


async def assert_refused(pc: RTCPeerConnection, description: RTCSessionDescription) -> None:
    state, before = pc.signalingState, pc.remoteDescription
    with pytest.raises(InvalidAccessError):
        await pc.setRemoteDescription(description)
    assert (pc.signalingState, pc.remoteDescription) == (state, before)


async def test_another_certificate_needs_a_restart(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("data")
    await negotiate(near, far)
    await assert_refused(near, with_other_fingerprint(await far.createOffer()))
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    answer = await far.createAnswer()
    await assert_refused(near, with_other_fingerprint(answer))
    await near.setRemoteDescription(answer)


async def test_a_warning_tells_that_another_peer_takes_over(
    make_pc: Factory, caplog: pytest.LogCaptureFixture
) -> None:
    near, first, second = make_pc(), make_pc(), make_pc()
    near.createDataChannel("data")
    await negotiate(near, first)
    near.restartIce()
    assert "takes over" not in caplog.text
    with caplog.at_level(logging.WARNING, "restartice"):
        await negotiate(near, second)
    assert near.signalingState == second.signalingState == "stable"
    assert "Another peer takes over" in caplog.text


@pytest.mark.parametrize("name", ["ufrag", "pwd"])
async def test_credentials_consist_of_the_characters_of_ice(make_pc: Factory, name: str) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("data")
    offer = await near.createOffer()
    sdp = re.sub(rf"a=ice-{name}:.", f"a=ice-{name}:$", offer.sdp)
    await assert_refused(far, RTCSessionDescription(sdp, offer.type))
    await far.setRemoteDescription(offer)
