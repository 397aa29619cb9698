"""A program's subclass of the connection, with attributes and methods of ordinary names. (S1)."""

import asyncio
from typing import Any

import pytest
from aiortc import AudioStreamTrack

from connecting import DEADLINE, Echo, negotiate, sending_ufrags, wait_connected, wait_restarted
from restartice import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription

NAMES = (
    "abandoned", "certificates", "channels", "closed", "closing", "configuration", "configure",
    "connection_state", "connector", "core", "enter", "home", "is_closed", "loop", "name",
    "numbering", "operations", "origin", "parked", "peer", "pc", "releases", "remote_tracks",
    "reveal", "room", "session", "settings", "show", "shown", "state", "stream_id", "task",
    "transaction", "transceivers", "transport_of", "transports", "user_of", "users", "view",
)  # fmt: skip


class Member(RTCPeerConnection):
    """A connection whose program has an attribute of each name, of a value that nothing expects."""

    def __init__(self, value: object) -> None:
        super().__init__()
        for name in NAMES:
            setattr(self, name, value)


class Methodical(RTCPeerConnection):
    """A connection whose program has a method of each name."""


for method in NAMES:
    setattr(Methodical, method, lambda self: pytest.fail(f"{self!r} was asked for a program's own"))


async def call(near: RTCPeerConnection, far: RTCPeerConnection) -> None:
    """Make a call with media and data, restart ICE, roll back, and close."""
    tracks: list[MediaStreamTrack] = []
    far.on("track", tracks.append)
    near.addTrack(AudioStreamTrack())
    far.addTransceiver("video")
    echo = Echo(near, far)
    await negotiate(near, far)
    await wait_connected(near, far)
    await echo.check("first")
    before = [sending_ufrags(near), sending_ufrags(far)]
    near.restartIce()
    await negotiate(near, far)
    await wait_restarted(near, far, since=before)
    await echo.check("second")
    async with asyncio.timeout(DEADLINE):
        await tracks[0].recv()
    await far.setLocalDescription(await far.createOffer(iceRestart=True))
    await far.setLocalDescription(RTCSessionDescription("", "rollback"))
    near.getTransceivers()[0].stop()
    await negotiate(near, far)
    near.setConfiguration(near.getConfiguration())
    assert len(await near.getStats()) > 0
    await near.close()
    await far.close()
    assert near.connectionState == far.connectionState == "closed"


@pytest.mark.parametrize("value", [[], {}, None, "x", 7])
async def test_attributes_of_ordinary_names(value: Any) -> None:
    near, far = Member(value), Member(value)
    try:
        await call(near, far)
        assert all(getattr(pc, name) is value for pc in (near, far) for name in NAMES)
    finally:
        await asyncio.gather(near.close(), far.close())


async def test_methods_of_ordinary_names() -> None:
    near, far = Methodical(), Methodical()
    try:
        await call(near, far)
    finally:
        await asyncio.gather(near.close(), far.close())
