"""Attributes and methods of ordinary names on a program's subclass, and on what it has. (S1)."""

import asyncio
from collections.abc import Callable
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
# Those that our transports, and the gatherer, had themselves, or might have.
TRANSPORT_NAMES = (
    "abort", "begin", "channels", "closed", "commit", "configuration", "connection", "core",
    "credentials", "datagrams", "discard", "discards", "disconnect", "generation", "generations",
    "handover", "is_open", "label", "log", "loop", "name", "owner", "pacer", "parking", "path",
    "path_lost", "pending", "progress", "remote", "restarts", "resumed", "selected_pair",
    "session", "settings", "task", "timeout", "tls", "traffic", "usable", "use", "user", "users",
    "viewed", "window",
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


async def call(
    near: RTCPeerConnection,
    far: RTCPeerConnection,
    prepare: Callable[[RTCPeerConnection], None] = lambda _: None,
) -> None:
    """Make a call with media and data, restart ICE, roll back, and close.

    Args:
        near: The side that offers.
        far: The other side.
        prepare: Called with each side when it has its transports.
    """
    tracks: list[MediaStreamTrack] = []
    far.on("track", tracks.append)
    near.addTrack(AudioStreamTrack())
    far.addTransceiver("video")
    echo = Echo(near, far)
    far.createDataChannel("unused")
    prepare(near)
    prepare(far)
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


def parts(pc: RTCPeerConnection) -> list[Any]:
    """Return the transports of a connection, and their gatherers."""
    users: list[Any] = [transceiver.receiver for transceiver in pc.getTransceivers()]
    dtls = list(dict.fromkeys(user.transport for user in [*users, pc.sctp]))
    ice = [transport.transport for transport in dtls]
    return [pc.sctp, *dtls, *ice, *(transport.iceGatherer for transport in ice)]


@pytest.mark.parametrize("value", [[], None, 7])
async def test_attributes_of_ordinary_names_on_transports(value: Any) -> None:
    near, far = RTCPeerConnection(), RTCPeerConnection()
    prepared: list[Any] = []

    def prepare(pc: RTCPeerConnection) -> None:
        for part in parts(pc):
            for name in TRANSPORT_NAMES:
                setattr(part, name, value)
            prepared.append(part)

    try:
        await call(near, far, prepare)
        assert len(prepared) > 4
        assert all(getattr(part, name) is value for part in prepared for name in TRANSPORT_NAMES)
    finally:
        await asyncio.gather(near.close(), far.close())
