"""What a program sees on its objects: aiortc's names and the W3C's, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiortc
import pytest
from aiortc.rtcrtpreceiver import RemoteStreamTrack
from pyee.asyncio import AsyncIOEventEmitter

import restartice
from restartice.media.tracks import RemoteTrack

# What the W3C's interfaces, in the order of the specifications, have beyond aiortc's classes.
W3C = {
    "RTCDataChannel": set[str](),
    "RTCDtlsTransport": {"getRemoteCertificates"},
    "RTCPeerConnection": {
        *("canTrickleIceCandidates", "currentLocalDescription", "currentRemoteDescription"),
        *(
            "generateCertificate",
            "getConfiguration",
            "pendingLocalDescription",
            "pendingRemoteDescription",
        ),
        *("removeTrack", "restartIce", "setConfiguration"),
    },
    "RTCIceCandidate": {"address", "candidate", "toJSON", "usernameFragment"},
    "RTCIceGatherer": set[str](),
    "RTCIceTransport": {
        *("component", "gatheringState", "getLocalCandidates", "getLocalParameters"),
        *("getRemoteParameters", "getSelectedCandidatePair"),
    },
    "RTCRtpReceiver": {"getContributingSources", "getParameters"},
    "RTCRtpSender": {"getParameters", "setParameters", "setStreams"},
    "RTCRtpTransceiver": set[str](),
    "RTCSctpTransport": {"maxMessageSize"},
    "MediaStream": {
        *("active", "addTrack", "getAudioTracks", "getTrackById", "getTracks", "getVideoTracks"),
        *("id", "removeTrack"),
    },
    "MediaStreamTrack": {"muted"},
}
# What the documentation promises beyond both: the constructor of the specification's candidate
# takes a dictionary, and its event named track has the streams.
OURS = {"RTCIceCandidate": {"fromJSON"}, "MediaStreamTrack": {"streams"}}
# What aiortc has no class for is compared with its emitter.
BASES = {"MediaStream": AsyncIOEventEmitter}


def public(thing: object) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def objects_of(library: Any) -> dict[str, Any]:
    """Return an object of each class, made by the connections of a library."""
    connection = library.RTCPeerConnection()
    transceiver = connection.addTransceiver("video")
    candidate = library.RTCIceCandidate(1, "1", "192.0.2.1", 1, 1, "udp", "host")
    channel = connection.createDataChannel("chat")
    ice = connection.sctp.transport.transport
    return {
        "RTCDataChannel": channel,
        "RTCDtlsTransport": connection.sctp.transport,
        "RTCIceCandidate": candidate,
        "RTCIceGatherer": ice.iceGatherer,
        "RTCIceTransport": ice,
        "RTCPeerConnection": connection,
        "RTCRtpReceiver": transceiver.receiver,
        "RTCRtpSender": transceiver.sender,
        "RTCRtpTransceiver": transceiver,
        "RTCSctpTransport": connection.sctp,
        # aiortc makes the track later.
        "MediaStreamTrack": transceiver.receiver.track or RemoteStreamTrack("video"),
    }


@pytest.fixture
async def objects() -> AsyncIterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Return an object of each class of ours, and of aiortc's."""
    ours, theirs = objects_of(restartice), objects_of(aiortc)
    ours["MediaStream"], theirs["MediaStream"] = restartice.MediaStream(), AsyncIOEventEmitter()
    yield ours, theirs
    await asyncio.gather(*(each["RTCPeerConnection"].close() for each in (ours, theirs)))


@pytest.mark.parametrize("name", sorted(W3C))
async def test_an_object_shows_aiortcs_names_and_the_w3cs(
    objects: tuple[dict[str, Any], dict[str, Any]], name: str
) -> None:
    ours, theirs = (each[name] for each in objects)
    expected = W3C[name] | OURS.get(name, set())
    assert public(ours) == public(theirs) | expected


@pytest.mark.parametrize("name", sorted(W3C.keys() - {"MediaStreamTrack"}))
def test_a_class_shows_aiortcs_names_and_the_w3cs(name: str) -> None:
    ours: type = getattr(restartice, name)
    theirs: type = BASES.get(name) or getattr(aiortc, name)
    assert public(ours) == public(theirs) | W3C[name] | OURS.get(name, set())


async def test_the_track_of_the_remote_side_is_compared(
    objects: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    ours, _ = objects
    assert type(ours["MediaStreamTrack"]) is RemoteTrack
    assert type(ours["RTCDataChannel"]) is not aiortc.RTCDataChannel
