"""What senders and receivers can do, which a program may change in its copy."""

import pytest

from restartice import RTCRtpReceiver, RTCRtpSender


@pytest.mark.parametrize("owner", [RTCRtpSender, RTCRtpReceiver])
@pytest.mark.parametrize("kind", ["audio", "video"])
def test_each_call_returns_its_own(owner: type[RTCRtpSender | RTCRtpReceiver], kind: str) -> None:
    told = owner.getCapabilities(kind)
    before = repr(owner.getCapabilities(kind))
    assert told is not None
    for codec in told.codecs:
        codec.parameters["x"] = 1
        codec.mimeType = "x"
    for extension in told.headerExtensions:
        extension.uri = "x"
    assert repr(owner.getCapabilities(kind)) == before


@pytest.mark.parametrize("owner", [RTCRtpSender, RTCRtpReceiver])
def test_an_unknown_kind(owner: type[RTCRtpSender | RTCRtpReceiver]) -> None:
    with pytest.raises(ValueError, match="unknown media text"):
        owner.getCapabilities("text")
