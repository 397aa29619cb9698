"""ICE credentials with characters that RFC 8839 doesn't have, but peers use. (I1)."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator
from typing import Any

import aioice.ice
import aiortc
import pytest
from aiortc import InvalidAccessError, RTCSessionDescription

from conftest import Factory
from connecting import (
    DEADLINE,
    Echo,
    negotiate,
    transports,
    ufrags,
    wait_for_state,
    wait_sending_on_new_pair,
)
from restartice import RTCIceCandidate, RTCPeerConnection
from restartice.ice.credentials import IceCredentials

USED = {
    "base64": ("TzCsFuCtW92MOgoKAAiSWigaIAEQ", "q1w2e3r4t5y6u7i8o9p0a1s2d3f="),
    "padding in both": ("kQ3xZg==", "q1w2e3r4t5y6u7i8o9p0aQ=="),
    "base64url": ("aB-_", "q1w2e3r4t5-6u7i8o9_0aQ"),
    "UUID": ("3f2c9a1e-77aa-4d5b-9c1d-aaaaaaaaaaaa", "q1w2e3r4t5y6u7i8o9p0aQ12"),
    "number sign": ("ab#1", "q1w2e3r4t5y6u7i8o9p0aQ#1"),
    "all of them": ("=-_#+/", "=-_#+/=-_#+/=-_#+/=-_#"),
}
credentials_of_others = pytest.mark.parametrize("credentials", USED.values(), ids=list(USED))


@pytest.fixture
async def plain() -> AsyncIterator[aiortc.RTCPeerConnection]:
    pc = aiortc.RTCPeerConnection()
    yield pc
    await pc.close()


def use_credentials(pc: aiortc.RTCPeerConnection, ufrag: str, password: str) -> None:
    """Let aiortc's connection, which has a data channel, use these credentials."""
    assert pc.sctp is not None
    connection = pc.sctp.transport.transport._connection
    connection._local_username, connection._local_password = ufrag, password


@credentials_of_others
async def test_of_an_offerer(
    make_pc: Factory, plain: aiortc.RTCPeerConnection, credentials: tuple[str, str]
) -> None:
    ours = make_pc()
    echo = Echo(plain, ours)
    use_credentials(plain, *credentials)
    await negotiate(plain, ours)
    await echo.check()
    assert f"a=ice-ufrag:{credentials[0]}\r\n" in ours.remoteDescription.sdp
    assert f"a=ice-pwd:{credentials[1]}\r\n" in ours.remoteDescription.sdp


@credentials_of_others
async def test_of_an_answerer(
    make_pc: Factory, plain: aiortc.RTCPeerConnection, credentials: tuple[str, str]
) -> None:
    ours = make_pc()
    echo = Echo(ours, plain)
    await ours.setLocalDescription()
    await plain.setRemoteDescription(ours.localDescription)
    use_credentials(plain, *credentials)
    await plain.setLocalDescription(await plain.createAnswer())
    await ours.setRemoteDescription(plain.localDescription)
    await echo.check()
    (pair,) = [transport.getSelectedCandidatePair() for transport in transports(ours)]
    assert pair is not None
    assert pair.remote.usernameFragment == credentials[0]


@pytest.mark.parametrize("in_json", [False, True])
async def test_of_each_generation_and_its_candidates(
    make_pc: Factory, monkeypatch: pytest.MonkeyPatch, *, in_json: bool
) -> None:
    """Restarts, and trickled candidates that tell their generation in either form."""
    numbers = itertools.count()

    def generate(_: object) -> IceCredentials:
        number = f"{next(numbers):04}"
        return IceCredentials(f"=-_#+/{number}==", f"=-_#+/{number}=-_#+/=-_#+/==")

    monkeypatch.setattr(IceCredentials, "generate", classmethod(generate))
    # aioice's own side has none of these characters.
    for check in ("validate_username", "validate_password"):
        monkeypatch.setattr(aioice.ice, check, lambda _: None)
    near, far = make_pc(), make_pc()
    candidates = {pc: gathered(pc) for pc in (near, far)}
    echo = Echo(near, far)
    for restarting, other in ((near, far), (far, near), (near, far)):
        await negotiate(restarting, other)
        for source, sink in ((near, far), (far, near)):
            async with asyncio.timeout(DEADLINE):
                while (candidate := await candidates[source].get()) is not None:
                    assert candidate.usernameFragment in ufrags(source)
                    await sink.addIceCandidate(in_form(candidate) if in_json else candidate)
        await wait_sending_on_new_pair(near, far)
        await echo.check()
        assert ufrags(near)[0].startswith("=-_#+/")
        assert f"a=ice-ufrag:{ufrags(near)[0]}\r\n" in near.localDescription.sdp
        other.restartIce()


def gathered(pc: RTCPeerConnection) -> asyncio.Queue[RTCIceCandidate | None]:
    candidates: asyncio.Queue[RTCIceCandidate | None] = asyncio.Queue()
    pc.on("icecandidate", candidates.put_nowait)
    return candidates


def in_form(candidate: RTCIceCandidate) -> dict[str, Any]:
    """Return the browser's form of a candidate, in which only an extension tells the generation."""
    init = candidate.toJSON()
    if init["candidate"]:
        assert init["candidate"].endswith(f" ufrag {init.pop('usernameFragment')}")
    return init


@pytest.mark.parametrize("character", [*".~$:!@%&*()[]{}|,;'\"\\^`<>?", "é", "\u0410", "٣"])
@pytest.mark.parametrize("name", ["ufrag", "pwd"])
async def test_other_characters_are_refused(make_pc: Factory, name: str, character: str) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("data")
    offer = await near.createOffer()
    sdp = re.sub(rf"(a=ice-{name}:...).", lambda match: match.group(1) + character, offer.sdp)
    assert sdp != offer.sdp
    with pytest.raises(InvalidAccessError, match="letters, digits"):
        await far.setRemoteDescription(RTCSessionDescription(sdp, offer.type))
    assert far.remoteDescription is None
    await far.setRemoteDescription(offer)
    await wait_for_state(far, "signalingState", "have-remote-offer")


async def test_other_characters_are_refused_in_a_section_that_is_not_used(
    make_pc: Factory,
) -> None:
    near, far = make_pc(), make_pc()
    near.addTransceiver("video")
    offer = await near.createOffer()
    unused = re.sub(r"(?m)^(a=rtpmap:\d+) .*\r\n", "\\1 unknown/90000\r\n", offer.sdp)
    wrong = re.sub("a=ice-ufrag:.", "a=ice-ufrag:$", unused)
    with pytest.raises(InvalidAccessError, match="letters, digits"):
        await far.setRemoteDescription(RTCSessionDescription(wrong, "offer"))
    assert far.remoteDescription is None
    await far.setRemoteDescription(RTCSessionDescription(unused, "offer"))
    assert (await far.createAnswer()).sdp.count("m=video 0 ") == 1
