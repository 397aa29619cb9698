"""What is asked of a sender."""

from dataclasses import replace

import pytest
from aiortc import RTCRtpCodecParameters

from restartice import InvalidModificationError
from restartice.media.parameters import (
    RTCRtpEncodingParameters,
    RTCRtpSendParameters,
    check_modification,
    usable_encodings,
)

SENT = RTCRtpSendParameters(
    codecs=[RTCRtpCodecParameters("audio/opus", 48000, 2, 96)],
    transactionId="one",
    encodings=[RTCRtpEncodingParameters()],
)


def test_one_encoding_is_sent_by_default() -> None:
    assert usable_encodings(None) == usable_encodings([]) == [RTCRtpEncodingParameters(active=True)]


def test_only_the_first_encoding_is_sent_and_needs_no_name() -> None:
    given = [RTCRtpEncodingParameters(active=False, rid="low"), RTCRtpEncodingParameters(rid="hi")]
    assert usable_encodings(given) == [RTCRtpEncodingParameters(active=False)]
    assert given[0].rid == "low"


@pytest.mark.parametrize("rid", ["", "a b", "@", "a" * 17, "ä"])
def test_a_malformed_name_is_refused(rid: str) -> None:
    with pytest.raises(TypeError, match="rid"):
        usable_encodings([RTCRtpEncodingParameters(rid=rid)])


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
