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


if __name__ == "__main__":
    asyncio.run(call("ws://127.0.0.1:8765"))
