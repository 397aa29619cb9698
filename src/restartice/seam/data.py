"""The private names of aiortc's DTLS and SCTP transports."""

import asyncio

import aiortc
from aiortc import rtcdtlstransport, rtcsctptransport
from aiortc.rtcsctptransport import DataChunk
from aiortc.stats import RTCTransportStats

from .names import require
from .recovering import RecoveringSctpTransport

__all__ = [
    "acknowledge_data",
    "is_established",
    "oldest_unacknowledged",
    "repeat_data",
    "round_trip_of",
    "transport_stats",
]

require(rtcdtlstransport.RTCDtlsTransport, "_get_stats")


def transport_stats(transport: aiortc.RTCDtlsTransport) -> aiortc.RTCTransportStats:
    """Return aiortc's statistics of a transport."""
    (stats,) = transport._get_stats().values()
    assert isinstance(stats, RTCTransportStats)
    return stats


_SCTP = rtcsctptransport.RTCSctpTransport

for _name in ("_last_received_tsn", "_sent_queue", "_srtt", "_t3_handle"):
    require(_SCTP, _name)
for _method in ("_send_sack", "_t3_cancel", "_t3_expired"):
    require(_SCTP, _method)


def is_established(sctp: aiortc.RTCSctpTransport) -> bool:
    """Return whether data can be sent, and data was received."""
    connected = sctp.state == "connected" and sctp.transport.state == "connected"
    return connected and sctp._last_received_tsn is not None


def acknowledge_data(sctp: aiortc.RTCSctpTransport) -> None:
    """Say again what data was received."""
    task = asyncio.ensure_future(sctp._send_sack())
    task.add_done_callback(lambda done: done.cancelled() or done.exception())


def oldest_unacknowledged(sctp: aiortc.RTCSctpTransport) -> DataChunk | None:
    """Return the first chunk of data that wasn't acknowledged, or None."""
    return sctp._sent_queue[0] if sctp._sent_queue else None


def repeat_data(sctp: aiortc.RTCSctpTransport) -> None:
    """Repeat what wasn't acknowledged, as if the timer for that had expired."""
    if sctp._t3_handle is not None:
        sctp._t3_cancel()
        sctp._t3_expired()
    open_window(sctp)


def open_window(sctp: aiortc.RTCSctpTransport) -> None:
    """Let several packets be in flight, as on a path of which nothing is known yet."""
    if isinstance(sctp, RecoveringSctpTransport):
        sctp._core.open_window()


def round_trip_of(sctp: aiortc.RTCSctpTransport) -> float:
    """Return the round trip time that SCTP has measured, in seconds, or 0 if it hasn't."""
    return sctp._srtt or 0.0
