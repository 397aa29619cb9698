"""Arguments of a wrong type or out of range: an error at the call, and no trace."""

from collections.abc import Callable
from typing import Any

import pytest

from conftest import Factory
from connecting import connect
from restartice import (
    AudioStreamTrack,
    AutomaticRestart,
    InvalidAccessError,
    MediaStream,
    Recorder,
    RTCConfiguration,
    RTCIceGatherer,
    RTCIceServer,
    RTCIceTransport,
    RTCPeerConnection,
    RTCRtpReceiver,
)

Call = Callable[[RTCPeerConnection], Any]

WRONG: dict[str, Call] = {
    "a label of bytes": lambda pc: pc.createDataChannel(b"x"),  # type: ignore[arg-type]
    "no protocol": lambda pc: pc.createDataChannel("x", protocol=None),  # type: ignore[arg-type]
    "a limit of text": lambda pc: pc.createDataChannel("x", maxRetransmits="1"),  # type: ignore[arg-type]
    "a fraction": lambda pc: pc.createDataChannel("x", maxPacketLifeTime=1.5),  # type: ignore[arg-type]
    "an id of text": lambda pc: pc.createDataChannel("x", negotiated=True, id="1"),  # type: ignore[arg-type]
    "an id that is a fraction": lambda pc: pc.createDataChannel("x", negotiated=True, id=1.5),  # type: ignore[arg-type]
    "no track": lambda pc: pc.addTrack(None),  # type: ignore[arg-type]
    "a track of text": lambda pc: pc.addTrack("audio"),  # type: ignore[arg-type]
    "no kind": lambda pc: pc.addTransceiver(None),  # type: ignore[arg-type]
    "one stream in place of several": lambda pc: pc.addTransceiver("audio", streams="camera"),
    "an encoding of text": lambda pc: pc.addTransceiver("audio", sendEncodings=["x"]),  # type: ignore[list-item]
}
OUT_OF_RANGE: dict[str, Call] = {
    "too few repetitions": lambda pc: pc.createDataChannel("x", maxRetransmits=-1),
    "too long a life": lambda pc: pc.createDataChannel("x", maxPacketLifeTime=1 << 32),
    "half a character": lambda pc: pc.createDataChannel("\ud800"),
    "half a character of a negotiated one": lambda pc: pc.createDataChannel(
        "\ud800", negotiated=True, id=1
    ),
}


MADE: dict[str, Callable[..., object]] = {
    "a connection's settings": lambda wrong: RTCPeerConnection(iceSettings=wrong),
    "a gatherer's settings": lambda wrong: RTCIceGatherer([], settings=wrong),
    "a gatherer's servers": lambda wrong: RTCIceGatherer([wrong]),
    "a gatherer's policy": lambda wrong: RTCIceGatherer([], wrong),
    "a receiver's settings": lambda wrong: RTCRtpReceiver("audio", None, wrong),  # type: ignore[arg-type]
    "a stream's id": MediaStream,
    "a stream's track": lambda wrong: MediaStream().addTrack(wrong),
    "a recorder's listener": lambda wrong: Recorder(None, on_update=wrong),
    "the settings of restarts": lambda wrong: AutomaticRestart(RTCPeerConnection(), wrong),
    "what asks for a peer": lambda wrong: AutomaticRestart(RTCPeerConnection(), has_peer=wrong),
    "what is told of restarts": lambda wrong: AutomaticRestart(
        RTCPeerConnection(), on_restart=wrong
    ),
    "a codec": lambda wrong: (
        RTCPeerConnection().addTransceiver("audio").setCodecPreferences([wrong])
    ),
}


@pytest.mark.parametrize("wrong", [(), 0, b"x"], ids=repr)
@pytest.mark.parametrize("make", MADE.values(), ids=MADE.keys())
async def test_what_is_made_of_a_wrong_type(make: Callable[..., object], wrong: object) -> None:
    with pytest.raises(TypeError, match=r"expected|must be"):
        make(wrong)


async def test_what_are_no_parameters() -> None:
    transport = RTCIceTransport(RTCIceGatherer([]))
    with pytest.raises(TypeError, match="expected RTCIceParameters, got None"):
        await transport.start(None)  # type: ignore[arg-type]
    assert transport.state == "new"
    await transport.stop()


def test_a_gatherer_s_servers_are_checked_as_a_connection_s() -> None:
    with pytest.raises(InvalidAccessError, match="needs a username and a credential"):
        RTCIceGatherer([RTCIceServer("turn:turn.example.net")])
    for username, credential in (("\ud800", "c"), ("u", "\ud800")):
        server = RTCIceServer("turn:turn.example.net", username, credential)
        with pytest.raises(InvalidAccessError, match="isn't Unicode"):
            RTCPeerConnection(RTCConfiguration([server]))


@pytest.mark.parametrize("stream", ["", "a b", "a\r\nb", "\0", "\ud800"], ids=ascii)
def test_what_can_t_be_the_id_of_a_stream(make_pc: Factory, stream: str) -> None:
    pc = make_pc()
    with pytest.raises(ValueError, match="expected the id of a stream"):
        pc.addTransceiver("audio", streams=[stream])
    assert pc.getTransceivers() == []


@pytest.mark.parametrize("call", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_type(make_pc: Factory, call: Call) -> None:
    pc = make_pc()
    with pytest.raises(TypeError, match=r"expected|must be"):
        call(pc)
    assert (pc.getTransceivers(), pc.sctp) == ([], None)


@pytest.mark.parametrize("call", OUT_OF_RANGE.values(), ids=OUT_OF_RANGE.keys())
async def test_out_of_range(make_pc: Factory, call: Call) -> None:
    near, far = make_pc(), make_pc()
    with pytest.raises(ValueError, match=r"must be from|surrogates"):
        call(near)
    assert near.sctp is None
    echo = await connect(near, far)
    with pytest.raises(ValueError, match=r"must be from|surrogates"):
        call(near)
    await echo.check("after")


async def test_what_is_no_track_in_place_of_one(make_pc: Factory) -> None:
    pc = make_pc()
    track = AudioStreamTrack()
    sender = pc.addTrack(track)
    with pytest.raises(TypeError, match="expected a MediaStreamTrack, got int"):
        await sender.replaceTrack(1)  # type: ignore[arg-type]
    assert sender.track is track


async def test_what_is_no_candidate(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    assert near.sctp is not None
    ice = near.sctp.transport.transport
    with pytest.raises(TypeError, match="expected an RTCIceCandidate, got str"):
        await ice.addRemoteCandidate("candidate:1 1 udp 1 127.0.0.1 9 typ host")  # type: ignore[arg-type]
    await echo.check("after")


@pytest.mark.parametrize("configuration", ["", [], {}, 0])
def test_what_is_no_configuration(configuration: Any) -> None:
    with pytest.raises(TypeError, match="must be an RTCConfiguration"):
        RTCPeerConnection(configuration)
