"""A connection that has failed, and that nobody restarts, closes itself. (W2, S4)."""

import asyncio
import json
import logging
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from conftest import Factory, leave_nothing, open_sockets
from connecting import (
    DEADLINE,
    connect,
    negotiate,
    transports,
    wait_connected,
    wait_for_state,
    wait_until,
)
from cutting import QUICK
from restartice import (
    AudioStreamTrack,
    IceSettings,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)
from restartice.recovery import recoverer

TESTS = Path(__file__).parents[1]
TIMINGS = {
    "silence_timeout": QUICK.silence_timeout,
    "probe_timeout": QUICK.probe_timeout,
    "consent_interval": QUICK.consent_interval,
    "consent_lifetime": QUICK.consent_lifetime,
}


def settings(failed_timeout: float | None) -> IceSettings:
    return IceSettings(failed_timeout=failed_timeout, **TIMINGS)  # type: ignore[arg-type]


@asynccontextmanager
async def other_end(pc: RTCPeerConnection) -> AsyncIterator[asyncio.subprocess.Process]:
    """Connect to another process, which is killed in the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "vanishing", cwd=TESTS, stdin=-1, stdout=-1
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        await pc.setLocalDescription()
        process.stdin.write(json.dumps(vars(pc.localDescription)).encode() + b"\n")
        answer = json.loads(await process.stdout.readline())
        await pc.setRemoteDescription(RTCSessionDescription(**answer))
        await wait_connected(pc)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def decoders() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.endswith("-decoder")]


async def test_all_of_a_peer_that_has_vanished_is_freed(caplog: pytest.LogCaptureFixture) -> None:
    sockets = open_sockets()
    pc = RTCPeerConnection(iceSettings=settings(failed_timeout=1.0))
    pc.addTrack(AudioStreamTrack())
    pc.addTrack(VideoStreamTrack())
    channel = pc.createDataChannel("chat")
    events: list[str] = []
    pc.on("connectionstatechange", lambda: events.append(pc.connectionState))
    channel.on("close", lambda: events.append("channel closed"))
    for receiver in pc.getReceivers():
        receiver.track.on("ended", lambda: events.append("track ended"))
    with caplog.at_level(logging.INFO, logger="restartice.transports.failure_timer"):
        async with other_end(pc) as process:
            async with asyncio.timeout(DEADLINE):
                await asyncio.gather(*(receiver.track.recv() for receiver in pc.getReceivers()))
            assert len(decoders()) == 2
            process.kill()
            await wait_for_state(pc, "connectionState", "failed")
            assert "channel closed" not in events
            await wait_for_state(pc, "connectionState", "closed")
    # Nobody has called close().
    await leave_nothing(sockets)
    assert not decoders()
    assert events.count("track ended") == 2
    assert events.count("channel closed") == 1
    assert [e for e in events if e in {"failed", "closed"}] == ["failed", "closed"]
    assert channel.readyState == "closed"
    assert "wasn't restarted within 1 s" in caplog.text


def end_of_time(pc: RTCPeerConnection) -> float:
    """Return when a connection will close itself."""
    alarm = pc._core.states.failure_timer._alarm
    assert alarm is not None
    return alarm.when()


async def fail(near: RTCPeerConnection, far: RTCPeerConnection) -> None:
    """Let the path between two peers be lost, until ICE has failed at both ends."""
    await connect(near, far)
    for pc in (near, far):
        await transports(pc)[0]._connection.close()
    for pc in (near, far):
        await wait_for_state(pc, "connectionState", "failed")


async def test_by_default_it_waits_long(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    began = asyncio.get_running_loop().time()
    await fail(near, far)
    assert end_of_time(near) - began >= 300
    assert near.connectionState == "failed"


async def test_each_sign_of_a_restart_starts_the_time_again(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    await fail(near, far)
    ends = [end_of_time(near)]
    near.restartIce()
    ends.append(end_of_time(near))
    await near.setLocalDescription()
    ends.append(end_of_time(near))
    await near.setLocalDescription(RTCSessionDescription("", "rollback"))
    far.restartIce()
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    ends.append(end_of_time(near))
    assert ends == sorted(set(ends))
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    await wait_connected(near, far)
    assert near._core.states.failure_timer._alarm is far._core.states.failure_timer._alarm is None


async def test_none_is_never(make_pc: Factory) -> None:
    near, far = (make_pc(iceSettings=settings(failed_timeout=None)) for _ in range(2))
    await fail(near, far)
    assert near._core.states.failure_timer._alarm is None
    near.restartIce()
    assert near._core.states.failure_timer._alarm is None


async def test_a_restart_that_fails_too_is_waited_for_again(make_pc: Factory) -> None:
    near, far = (make_pc(iceSettings=IceSettings(check_timeout=0.5)) for _ in range(2))
    await fail(near, far)
    first = end_of_time(near)
    near.restartIce()
    await near.setLocalDescription()
    await far.setRemoteDescription(without_candidates(near))
    await far.setLocalDescription()
    await near.setRemoteDescription(without_candidates(far))
    await wait_until(near, "connectionstatechange", lambda: near.connectionState == "connecting")
    assert near._core.states.failure_timer._alarm is None
    await wait_for_state(near, "connectionState", "failed")
    assert end_of_time(near) > first


def without_candidates(pc: RTCPeerConnection) -> RTCSessionDescription:
    lines = pc.localDescription.sdp.splitlines()
    kept = [line for line in lines if not line.startswith("a=candidate")]
    return RTCSessionDescription("\r\n".join([*kept, ""]), pc.localDescription.type)


async def test_it_closes_when_dtls_has_failed_too() -> None:
    sockets = open_sockets()
    near, far = (RTCPeerConnection(iceSettings=settings(failed_timeout=0.5)) for _ in range(2))
    near.createDataChannel("chat")
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    await near.setRemoteDescription(with_another_fingerprint(far.localDescription))
    await wait_for_state(near, "connectionState", "closed")
    await wait_for_state(far, "connectionState", "closed")
    await leave_nothing(sockets)


def with_another_fingerprint(description: RTCSessionDescription) -> RTCSessionDescription:
    """Return a description of a peer that has another certificate than it says."""
    lines = [
        ":".join([*line.split(":")[:2], *reversed(line.split(":")[2:])])
        if line.startswith("a=fingerprint")
        else line
        for line in description.sdp.splitlines()
    ]
    return RTCSessionDescription("\r\n".join([*lines, ""]), description.type)


async def test_closing_by_hand_ends_the_time(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    await fail(near, far)
    await near.close()
    assert near._core.states.failure_timer._alarm is None
    await negotiate(far, make_pc())


async def test_recovery_by_itself_keeps_it_while_nobody_answers(
    make_pc: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recoverer, "REMINDER", 0.1)
    near, far = make_pc(), make_pc()
    await fail(near, far)
    near.restartIce()
    await near.setLocalDescription()
    first = end_of_time(near)
    async with recoverer.AutomaticRestart(near), asyncio.timeout(DEADLINE):
        while end_of_time(near) == first:  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.01)
    assert near.signalingState == "have-local-offer"
