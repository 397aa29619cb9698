"""Dictionaries as WebIDL has them: without members that have no value, some with other names."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import aiortc
from aiortc.rtcrtpparameters import RTCRtcpFeedback
from aiortc.sdp import parameters_from_sdp, parameters_to_sdp

__all__ = ["codec_from", "dictionary"]


def dictionary(value: Any) -> dict[str, Any]:
    """Return the members of a dataclass that have a value."""
    fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, aiortc.RTCRtpCodecCapability | aiortc.RTCRtpCodecParameters):
        # aiortc has the parameters of a format as a mapping.
        fields["sdpFmtpLine"] = parameters_to_sdp(fields.pop("parameters")) or None
    return {name: member for name, member in fields.items() if member is not None}


def codec_from(
    init: Mapping[str, Any],
) -> aiortc.RTCRtpCodecCapability | aiortc.RTCRtpCodecParameters:
    """Return the codec of aiortc's that a dictionary describes."""
    values = {name: init[name] for name in ("mimeType", "clockRate", "channels") if name in init}
    if line := init.get("sdpFmtpLine"):
        values["parameters"] = parameters_from_sdp(line)
    if "payloadType" not in init:
        return aiortc.RTCRtpCodecCapability(**values)
    feedback = [RTCRtcpFeedback(**item) for item in init.get("rtcpFeedback", ())]
    return aiortc.RTCRtpCodecParameters(
        **values, payloadType=init["payloadType"], rtcpFeedback=feedback
    )
