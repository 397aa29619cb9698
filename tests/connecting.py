"""Connecting two peers of one process, and waiting for what happens."""

import asyncio
import functools
import re
from collections.abc import Callable
from typing import Any

import aiortc

from restartice import RTCIceTransport, RTCPeerConnection, RTCRtpTransceiver

# Of what happens at once where nothing else runs: a busy machine is given time.
DEADLINE = 60.0


async def wait_until(emitter: Any, event: str, condition: Callable[[], bool]) -> None:
    """Return when the condition holds, which is looked at whenever the event is emitted."""
    happened = asyncio.Event()

    def happen(*_: object) -> None:
        happened.set()

    emitter.on(event, happen)
    try:
        async with asyncio.timeout(DEADLINE):
            while not condition():
                await happened.wait()
                happened.clear()
    finally:
        emitter.remove_listener(event, happen)


async def wait_for_state(emitter: Any, attribute: str, state: str) -> None:
    """Return when an attribute such as `iceConnectionState` has the state."""
    event = "statechange" if attribute == "state" else attribute.lower() + "change"
    await wait_until(emitter, event, lambda: getattr(emitter, attribute) == state)


async def wait_connected(*connections: RTCPeerConnection) -> None:
    """Return when all are connected."""
    for pc in connections:
        await wait_for_state(pc, "connectionState", "connected")


async def negotiate(
    offerer: aiortc.RTCPeerConnection, answerer: aiortc.RTCPeerConnection, **options: bool
) -> None:
    """Hand offer and answer over."""
    await offerer.setLocalDescription(await offerer.createOffer(**options))
    await answerer.setRemoteDescription(offerer.localDescription)
    await answerer.setLocalDescription(await answerer.createAnswer())
    await offerer.setRemoteDescription(answerer.localDescription)


def without_candidates(sdp: str) -> str:
    """Return a description without candidates, and without the end of them."""
    return re.sub(r"(?m)^a=(candidate:.*|end-of-candidates)\r?\n?", "", sdp)


def foreign(description: aiortc.RTCSessionDescription) -> aiortc.RTCSessionDescription:
    """Return a description as of a peer that may not take checks before the answer."""
    sdp = description.sdp.replace(" early-checks\r\n", "\r\n")
    assert sdp != description.sdp
    return aiortc.RTCSessionDescription(sdp, description.type)


def without_init(description: aiortc.RTCSessionDescription) -> aiortc.RTCSessionDescription:
    """Return a description without the INIT of SCTP, so that there is a handshake."""
    sdp = re.sub(r"(?m)^a=sctp-init:.*\r?\n", "", description.sdp)
    return aiortc.RTCSessionDescription(sdp, description.type)


async def assert_ends_later(transceiver: RTCRtpTransceiver) -> None:
    """Assert that the remote track lives until the next turn of the event loop, and then ends."""
    track = transceiver.receiver.track
    assert track.readyState == "live"
    await wait_until(track, "ended", lambda: track.readyState == "ended")


def transports(pc: RTCPeerConnection) -> list[RTCIceTransport]:
    """Return the ICE transports in use."""
    users: list[Any] = [transceiver.receiver for transceiver in pc.getTransceivers()]
    if pc.sctp is not None:
        users.append(pc.sctp)
    return list(dict.fromkeys(user.transport.transport for user in users))


def ufrags(pc: RTCPeerConnection) -> list[str]:
    """Return the local username fragments."""
    return [str(transport.getLocalParameters().usernameFragment) for transport in transports(pc)]


def sending_ufrags(pc: RTCPeerConnection) -> list[str | None]:
    """Return the username fragments of the generations that the transports send on."""
    pairs = [transport.getSelectedCandidatePair() for transport in transports(pc)]
    return [None if pair is None else pair.local.usernameFragment for pair in pairs]


async def wait_sending_on_new_pair(*connections: RTCPeerConnection) -> None:
    """Return when all transports send on a pair of their newest generation."""
    for pc in connections:
        for transport in transports(pc):
            is_switched = functools.partial(is_on_new_pair, transport)
            await wait_until(transport, "selectedcandidatepairchange", is_switched)


async def wait_restarted(*connections: RTCPeerConnection, since: list[list[str | None]]) -> None:
    """Return when all send on other generations than they did at some time."""
    for pc, before in zip(connections, since, strict=True):
        for transport in transports(pc):
            is_switched = functools.partial(sends_on_none_of, pc, before)
            await wait_until(transport, "selectedcandidatepairchange", is_switched)


def sends_on_none_of(pc: RTCPeerConnection, before: list[str | None]) -> bool:
    """Say if a connection sends, and on none of some generations."""
    return not {None, *before} & set(sending_ufrags(pc))


def is_on_new_pair(transport: RTCIceTransport) -> bool:
    """Say if a transport sends on a pair of its newest generation."""
    pair = transport.getSelectedCandidatePair()
    newest = transport.getLocalParameters().usernameFragment
    return pair is not None and pair.local.usernameFragment == newest


class Echo:
    """A data channel between two connections, whose far end sends everything back."""

    def __init__(self, near: aiortc.RTCPeerConnection, far: aiortc.RTCPeerConnection) -> None:
        self.received: asyncio.Queue[str] = asyncio.Queue()
        self.opened = asyncio.Event()
        self.channel = near.createDataChannel("echo")
        self.channel.on("open", self.opened.set)
        self.channel.on("message", self.received.put_nowait)

        @far.on("datachannel")
        def send_back(channel: aiortc.RTCDataChannel) -> None:
            channel.on("message", channel.send)

    async def check(self, message: str = "hello") -> None:
        """Send a message there and back."""
        async with asyncio.timeout(DEADLINE):
            await self.opened.wait()
            self.channel.send(message)
            assert await self.received.get() == message


async def connect(near: RTCPeerConnection, far: RTCPeerConnection) -> Echo:
    """Connect two peers by a data channel."""
    echo = Echo(near, far)
    await negotiate(near, far)
    await echo.check()
    return echo
