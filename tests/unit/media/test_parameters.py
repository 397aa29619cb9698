"""What is asked of a sender."""

from dataclasses import replace
from typing import Any

import pytest
from aiortc import (
    RTCRtpCodecCapability,
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
    RTCRtpParameters,
)
from aiortc.rtcrtpparameters import RTCRtcpFeedback

from restartice import InvalidModificationError, RangeError, RTCRtpReceiver
from restartice.media.parameters import (
    RTCRtcpParameters,
    RTCRtpEncodingParameters,
    RTCRtpSendParameters,
    check_modification,
    common_parameters,
    supported,
    usable_encodings,
)

SENT = RTCRtpSendParameters(
    codecs=[RTCRtpCodecParameters("audio/opus", 48000, 2, 96)],
    transactionId="one",
    encodings=[RTCRtpEncodingParameters()],
)


def test_one_encoding_is_sent_by_default() -> None:
    default = [RTCRtpEncodingParameters(active=True)]
    assert usable_encodings("audio") == usable_encodings("audio", []) == default
    assert usable_encodings("video") == [RTCRtpEncodingParameters(scaleResolutionDownBy=1.0)]


def test_the_copy_of_parameters_follows_no_change_of_theirs() -> None:
    def described() -> RTCRtpParameters:
        feedback, extension = RTCRtcpFeedback("nack"), RTCRtpHeaderExtensionParameters(1, "urn:x")
        codec = RTCRtpCodecParameters("video/H264", 90000, None, 97, [feedback], {"level": 1})
        rtcp = RTCRtcpParameters(cname="them")
        return RTCRtpParameters([codec], [extension], muxId="0", rtcp=rtcp)

    given = described()
    copied = common_parameters(given)
    assert copied == described()
    codec = given.codecs[0]
    codec.parameters["level"], codec.rtcpFeedback[0].parameter = 2, "pli"
    codec.payloadType, given.headerExtensions[0].id, given.rtcp.cname = 98, 2, "us"
    given.codecs.append(codec)
    assert copied == described()


def test_only_the_first_encoding_is_sent_and_needs_no_name() -> None:
    given = [RTCRtpEncodingParameters(active=False, rid="low"), RTCRtpEncodingParameters(rid="hi")]
    assert usable_encodings("audio", given) == [RTCRtpEncodingParameters(active=False)]
    assert given[0].rid == "low"


@pytest.mark.parametrize("rid", ["", "a b", "@", "a" * 17, "ä"])
def test_a_malformed_name_is_refused(rid: str) -> None:
    with pytest.raises(TypeError, match="rid"):
        usable_encodings("audio", [RTCRtpEncodingParameters(rid=rid)])


def test_an_encoding_may_be_changed() -> None:
    check_modification(SENT, replace(SENT, encodings=[RTCRtpEncodingParameters(active=False)]))


@pytest.mark.parametrize(
    "changed",
    [
        replace(SENT, transactionId="two"),
        replace(SENT, codecs=[]),
        replace(SENT, encodings=[]),
        replace(SENT, encodings=[RTCRtpEncodingParameters(rid="a")]),
        replace(SENT, encodings=[RTCRtpEncodingParameters(), RTCRtpEncodingParameters()]),
    ],
)
def test_nothing_else_may_be_changed(changed: RTCRtpSendParameters) -> None:
    with pytest.raises(InvalidModificationError):
        check_modification(SENT, changed)


def video_codecs() -> list[RTCRtpCodecCapability]:
    capabilities = RTCRtpReceiver.getCapabilities("video")
    assert capabilities is not None
    return capabilities.codecs


def test_supported_codecs_keep_their_order_without_repetitions() -> None:
    first, second, *_ = codecs = video_codecs()
    shouted = replace(second, mimeType=second.mimeType.upper())
    assert supported([shouted, first, second], codecs) == [second, first]
    assert supported([], codecs) == []


@pytest.mark.parametrize(
    "change", [{"mimeType": "video/x"}, {"clockRate": 1}, {"channels": 7}, {"parameters": {"x": 1}}]
)
def test_a_codec_that_is_not_supported_is_refused(change: dict[str, object]) -> None:
    first, *_ = codecs = video_codecs()
    with pytest.raises(InvalidModificationError) as caught:
        supported([first, replace(first, **change)], codecs)  # type: ignore[arg-type]
    assert isinstance(caught.value, ValueError)  # as in aiortc


def test_repeated_packets_alone_carry_no_media() -> None:
    repeated = [codec for codec in video_codecs() if codec.name == "rtx"]
    assert repeated
    with pytest.raises(InvalidModificationError, match="RTX"):
        supported(repeated, video_codecs())


@pytest.mark.parametrize("rids", [("a", "a"), ("a", None), (None, None)])
def test_several_encodings_have_different_names(rids: tuple[str | None, ...]) -> None:
    with pytest.raises(TypeError, match="rid"):
        usable_encodings("video", [RTCRtpEncodingParameters(rid=rid) for rid in rids])


@pytest.mark.parametrize(
    ("limit", "error"),
    [
        ({"scaleResolutionDownBy": 0.5}, RangeError),
        ({"maxFramerate": -1}, RangeError),
        ({"maxBitrate": -1}, RangeError),
        ({"maxBitrate": "much"}, TypeError),
        ({"maxFramerate": float("inf")}, TypeError),
        ({"scaleResolutionDownBy": True}, TypeError),
    ],
)
def test_an_impossible_limit_is_refused(limit: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(limit))):
        usable_encodings("video", [RTCRtpEncodingParameters(**limit)])


def test_sound_has_no_limits() -> None:
    given = RTCRtpEncodingParameters(maxBitrate=1, maxFramerate=1, scaleResolutionDownBy=2)
    assert usable_encodings("audio", [given]) == [RTCRtpEncodingParameters()]
