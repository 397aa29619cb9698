"""Reads and writes the streams of media sections, and makes rejected sections."""

import copy
from collections.abc import Collection
from typing import Final

from aiortc import RTCIceParameters
from aiortc.rtcdtlstransport import RTCDtlsParameters
from aiortc.sdp import SessionDescription

from ..ice.credentials import IceCredentials
from .section import DISCARD_HOST, Section

__all__ = [
    "MSID_SEPARATOR",
    "described_streams",
    "rejected_section",
    "remote_streams",
    "remote_track_id",
    "streams_as_msid",
]

# aiortc has one field for all msid lines, and writes it unchanged.
MSID_SEPARATOR: Final = "\r\na=msid:"
NO_STREAM: Final = "-"


def described_streams(msid: str | None) -> tuple[str, ...] | None:
    """Return the stream ids in these lines, or None without lines. (RFC 9429 section 4.1.5)."""
    if msid is None:
        return None
    ids = [value.split()[0] for value in msid.split(MSID_SEPARATOR)]
    return tuple(dict.fromkeys(stream_id for stream_id in ids if stream_id != NO_STREAM))


def remote_streams(section: Section) -> tuple[str, ...] | None:
    """Return the stream ids of a remote section, or None if it names no stream."""
    return described_streams(section.msid or _msid_of_source(section))


def remote_track_id(description: SessionDescription, section: Section) -> str | None:
    """Return the track id of a remote section, or None."""
    if section.msid is not None:
        return description.webrtc_track_id(section)
    return next(iter((_msid_of_source(section) or "").split()[1:]), None)


def _msid_of_source(section: Section) -> str | None:
    """Return the msid of the first source, which old peers write instead of the section's."""
    return next((source.msid for source in section.ssrc if source.msid), None)


def streams_as_msid(stream_ids: Collection[str], track_id: str) -> str:
    """Return the lines that announce a track in its streams."""
    return MSID_SEPARATOR.join(f"{stream_id} {track_id}" for stream_id in stream_ids or [NO_STREAM])


def rejected_section(
    model: Section, credentials: IceCredentials, dtls: RTCDtlsParameters
) -> Section:
    """Return a rejected copy of a section.

    It keeps everything except the port, because plain aiortc parses rejected sections like live
    ones.
    """
    media = copy.copy(model)
    media.port, media.host, media.bundle_only = 0, DISCARD_HOST, False
    media.fmt = model.fmt or model.formats or [0]
    media.direction = "inactive" if model.kind != "application" else model.direction
    media.msid = None
    media.ssrc, media.ssrc_group = [], []
    media.ice, media.dtls = RTCIceParameters(), None
    media.ice_candidates, media.ice_candidates_complete = [], False
    if model.is_supported:
        media.ice, media.dtls = RTCIceParameters(credentials.ufrag, credentials.password), dtls
    if model.is_rtp:
        media.rtcp_mux = True
    return media
