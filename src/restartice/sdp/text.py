"""What we write into media sections: the streams of a track, and that a section is rejected."""

import copy
from collections.abc import Collection
from typing import Final

from aiortc import RTCIceParameters
from aiortc.rtcdtlstransport import RTCDtlsParameters

from ..ice.credentials import IceCredentials
from .section import DISCARD_HOST, Section

__all__ = ["MSID_SEPARATOR", "described_streams", "rejected_section", "streams_as_msid"]

# aiortc has place for one such line, and writes what it is given.
MSID_SEPARATOR: Final = "\r\na=msid:"
NO_STREAM: Final = "-"


def described_streams(msid: str | None) -> tuple[str, ...] | None:
    """Return the ids of the streams in these lines, or None without lines. (RFC 9429 4.1.5)."""
    if msid is None:
        return None
    ids = [value.split()[0] for value in msid.split(MSID_SEPARATOR)]
    return tuple(dict.fromkeys(stream_id for stream_id in ids if stream_id != NO_STREAM))


def streams_as_msid(stream_ids: Collection[str], track_id: str) -> str:
    """Return the lines that announce a track in its streams."""
    return MSID_SEPARATOR.join(f"{stream_id} {track_id}" for stream_id in stream_ids or [NO_STREAM])


def rejected_section(
    model: Section, credentials: IceCredentials, dtls: RTCDtlsParameters
) -> Section:
    """Return a section like another one, but rejected.

    Everything but the port is there, because plain aiortc reads rejected sections like others. It
    reads no others than those that it knows.
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
