"""A program of a user who types strictly: `.ci/run` checks it against the installed wheel.

mypy must know the type of everything in it from what the packages tell themselves. It isn't run.
"""

import asyncio
from typing import assert_type

from restartice import (
    IceSettings,
    MediaStreamTrack,
    NetworkChange,
    NetworkMonitor,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceCandidate,
    RTCIceCandidatePair,
    RTCIceServer,
    RTCIceTransport,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
    VideoStreamTrack,
)
from restartice_signaling import Negotiator, WebSocketSignaling


async def call(url: str) -> None:
    """Call somebody, and restart ICE when the network changes."""
    configuration = RTCConfiguration(iceServers=[RTCIceServer(urls="stun:stun.example.org")])
    pc = RTCPeerConnection(configuration, iceSettings=IceSettings(check_timeout=10))
    sender = pc.addTrack(VideoStreamTrack())
    channel = pc.createDataChannel("chat")
    async with (
        WebSocketSignaling(url, room="r") as signaling,
        Negotiator(pc, signaling) as negotiator,
    ):
        assert_type(negotiator, Negotiator)
        async with NetworkMonitor() as monitor:
            monitor.on("change", lambda change: restart(pc, change))
            await asyncio.sleep(60)
    assert_type(sender, RTCRtpSender)
    assert_type(channel, RTCDataChannel)


def restart(pc: RTCPeerConnection, change: NetworkChange) -> None:
    """Restart ICE where an address is gone."""
    if change.removed:
        pc.restartIce()


async def negotiate(pc: RTCPeerConnection) -> RTCSessionDescription:
    """Offer a restart."""
    offer = await pc.createOffer(iceRestart=True)
    assert_type(offer, RTCSessionDescription)
    await pc.setLocalDescription(offer)
    assert_type(pc.signalingState, str)
    assert_type(pc.canTrickleIceCandidates, bool | None)
    assert_type(pc.getConfiguration(), RTCConfiguration)
    assert_type(pc.currentLocalDescription, RTCSessionDescription | None)
    await pc.addIceCandidate({"candidate": "", "sdpMid": "0"})
    return pc.localDescription


def look_at(pc: RTCPeerConnection, transport: RTCIceTransport) -> None:
    """Tell what is in use."""

    @pc.on("icecandidate")
    def send(candidate: RTCIceCandidate | None) -> None:
        if candidate is not None:
            print(candidate.usernameFragment, candidate.toJSON()["candidate"])

    assert_type(transport.getSelectedCandidatePair(), RTCIceCandidatePair | None)
    for transceiver in pc.getTransceivers():
        assert_type(transceiver, RTCRtpTransceiver)
        assert_type(transceiver.sender, RTCRtpSender)
        assert_type(transceiver.receiver, RTCRtpReceiver)
        assert_type(transceiver.receiver.track, MediaStreamTrack)


class Member(RTCPeerConnection):
    """A connection with attributes of the program's own, of whatever names."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.users: list[str] = []
        self.configuration = {"room": 7}
        self.state: int | None = None
        self.transceivers = 0
        self.origin = ("127.0.0.1", 80)

    def operations(self) -> int:
        """Count what there is to do."""
        assert_type(self.users, list[str])
        assert_type(self.configuration, dict[str, int])
        return len(self.users) + self.transceivers

    async def enter(self, room: str) -> None:
        """Enter a room."""
        self.users.append(room)
        assert_type(await self.createOffer(iceRestart=True), RTCSessionDescription)
        assert_type(self.createDataChannel("chat", maxRetransmits=3), RTCDataChannel)


if __name__ == "__main__":
    asyncio.run(call("ws://127.0.0.1:8765"))
