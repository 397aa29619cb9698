"""Whether aiortc has a codec of a section, which is asked of one codec after the other."""

import itertools
from dataclasses import replace

import pytest
from aiortc import RTCRtpCodecParameters, RTCRtpSender, rtcpeerconnection
from aiortc.codecs import CODECS, is_rtx
from aiortc.rtcrtptransceiver import RTCRtpTransceiver as AiortcTransceiver

from restartice import RTCPeerConnection
from restartice.seam import has_common_codec

UNKNOWN = RTCRtpCodecParameters("video/AV1", 90000, payloadType=45)
KNOWN = next(codec for codec in CODECS["video"] if not is_rtx(codec))
RTX = next(codec for codec in CODECS["video"] if is_rtx(codec))
OTHER_RATE = replace(KNOWN, clockRate=8000)


@pytest.mark.parametrize("preference", [[], ["video/VP8"], ["video/H264"], ["video/rtx"]])
async def test_the_answer_is_aiortcs_for_all_of_them(preference: list[str]) -> None:
    pc = RTCPeerConnection()
    transceiver = pc.addTransceiver("video")
    known = RTCRtpSender.getCapabilities("video").codecs
    preferred = [codec for codec in known if codec.mimeType in preference]
    # Ours refuses repeated packets alone.
    AiortcTransceiver.setCodecPreferences(transceiver, preferred)
    for count in range(4):
        for codecs in itertools.permutations([UNKNOWN, RTX, KNOWN, OTHER_RATE], count):
            common = rtcpeerconnection.find_common_codecs(CODECS["video"], list(codecs))
            found = rtcpeerconnection.filter_preferred_codecs(common, preferred)
            assert has_common_codec("video", list(codecs), transceiver) == bool(found)
            assert has_common_codec("video", list(codecs)) == bool(common)
    await pc.close()


def test_those_after_the_first_common_one_are_not_looked_at() -> None:
    unreadable = replace(KNOWN, mimeType="")
    del unreadable.mimeType
    assert has_common_codec("video", [UNKNOWN, KNOWN, unreadable])
