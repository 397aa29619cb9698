"""What a connection logs: each line with the name of its object, and never a password."""

import logging
import re

import pytest

from conftest import Factory
from connecting import connect, negotiate, transports, wait_sending_on_new_pair
from restartice import (
    IceSettings,
    RTCIceCandidate,
    RTCPeerConnection,
    RTCSessionDescription,
)
from restartice.ice.liveness import PathState

NAMED = re.compile(r"RTC\w+\(\d+(/\d+)?\) ")


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    """Return what our library has logged at a level."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno == level and record.name.startswith("restartice")
    ]


def name_of(texts: list[str], end: str) -> str:
    """Return the name in front of the first line with an end."""
    (first, *_) = [text for text in texts if text.endswith(end)]
    return first.removesuffix(end)


async def test_a_restart_is_told(make_pc: Factory, caplog: pytest.LogCaptureFixture) -> None:
    near, far = make_pc(), make_pc()
    with caplog.at_level(logging.DEBUG, "restartice"):
        await connect(near, far)
        caplog.clear()
        before = transports(near)[0].getLocalParameters().usernameFragment
        near.restartIce()
        await negotiate(near, far)
        await wait_sending_on_new_pair(near, far)
        after = transports(near)[0].getLocalParameters().usernameFragment
    connection = name_of(lines(caplog, logging.INFO), " restart asked for")
    transport = connection.replace("RTCPeerConnection", "RTCIceTransport").replace(")", "/0)")
    assert after is not None
    taken_over = f"{re.escape(transport)} restart took over after \\d+\\.\\d+ s: {re.escape(after)}"
    assert [text for text in lines(caplog, logging.INFO) if re.fullmatch(taken_over, text)]
    told = lines(caplog, logging.DEBUG)
    assert f"{transport} generation {after} begun" in told
    assert f"{transport} generation {before} retired" in told
    pair = transports(near)[0].getSelectedCandidatePair()
    assert pair is not None
    ends = f"{pair.local.ip}:{pair.local.port} -> {pair.remote.ip}:{pair.remote.port}"
    assert f"{transport} pair in use: {ends}" in told


async def test_a_path_that_is_lost_and_comes_back(
    make_pc: Factory, caplog: pytest.LogCaptureFixture
) -> None:
    near, far = make_pc(), make_pc()
    await connect(near, far)
    (transport,) = transports(near)
    with caplog.at_level(logging.INFO, "restartice"):
        for state in (PathState.LOST, PathState.ALIVE, PathState.EXPIRED):
            transport._core.path_changed(transport._core.generations[0].connection, state)
    told = [text.partition(") ")[2] for text in lines(caplog, logging.INFO)]
    assert told == [
        "path lost: the peer doesn't answer",
        "path is back",
        "consent to send has expired",
    ]


async def test_what_negotiation_refuses_and_takes_back(
    make_pc: Factory, caplog: pytest.LogCaptureFixture
) -> None:
    near, far = make_pc(), make_pc()
    await connect(near, far)
    candidate = RTCIceCandidate(1, "1", "192.0.2.1", 9, 1, "udp", "odd", sdpMid="0")
    with caplog.at_level(logging.DEBUG, "restartice"):
        near.restartIce()
        await near.setLocalDescription()
        await near.setLocalDescription(RTCSessionDescription("", "rollback"))
        await near.addIceCandidate(candidate)
        offer = near.localDescription
        with pytest.raises(ValueError, match="do not match"):
            await far.setRemoteDescription(
                RTCSessionDescription(offer.sdp.replace("a=mid:0", "a=mid:7"), "offer")
            )
    told = [NAMED.sub("", text) for text in lines(caplog, logging.DEBUG)]
    assert "rolls back from have-local-offer" in told
    assert any(re.fullmatch(r"generation \S+ given up before it had an answer", t) for t in told)
    assert "candidate dropped: unknown type 'odd'" in told
    assert any(t.startswith("setRemoteDescription() is refused: ") for t in told)


async def test_each_line_names_its_object_and_none_has_a_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = IceSettings(loopback_candidates=True)
    near, far = RTCPeerConnection(iceSettings=settings), RTCPeerConnection(iceSettings=settings)
    passwords: set[str] = set()
    with caplog.at_level(logging.DEBUG, "restartice"):
        await connect(near, far)
        for pc in (near, far, near):
            passwords |= {str(t.getLocalParameters().password) for t in transports(pc)}
            pc.restartIce()
            await negotiate(pc, far if pc is near else near)
            await wait_sending_on_new_pair(near, far)
        for pc in (near, far):
            passwords |= {str(t.getLocalParameters().password) for t in transports(pc)}
        await near.close()
        await far.close()
    told = lines(caplog, logging.DEBUG) + lines(caplog, logging.INFO)
    assert len(told) > 20
    assert [text for text in told if not NAMED.match(text)] == []
    assert len(passwords) > 4
    assert not any(password in text for password in passwords for text in told)


async def test_a_connection_is_called_the_same_in_the_log_and_by_repr(
    make_pc: Factory, caplog: pytest.LogCaptureFixture
) -> None:
    near = make_pc()
    with caplog.at_level(logging.INFO, "restartice"):
        near.restartIce()
    assert lines(caplog, logging.INFO) == [f"{near!r} restart asked for"]
