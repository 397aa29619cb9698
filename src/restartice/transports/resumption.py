"""Resumes media and data at once when a path works again, or another one takes over."""

import asyncio
import weakref
from typing import Final

import aiortc

from ..ice.transport import RTCIceTransport
from ..seam import (
    ConnectionView,
    acknowledge_data,
    is_established,
    oldest_unacknowledged,
    repeat_data,
    round_trip_of,
    send_keyframe,
)
from .dtls import RTCDtlsTransport
from .sctp import RTCSctpTransport

__all__ = ["resume"]

# How long to wait for the acknowledgement of data that may be lost, in seconds: at least and at
# most. The wait doubles each time.
SHORTEST_WAIT: Final = 0.05
LONGEST_WAIT: Final = 4.0


def resume(connection: ConnectionView, transport: RTCIceTransport, *, lossy: bool) -> None:
    """Repeat lost packets at once, instead of waiting for timers of a second or more.

    Args:
        connection: The connection.
        transport: The ICE transport that works again, or has switched to another pair.
        lossy: Whether packets were probably lost.
    """
    for dtls in connection.dtls_transports:
        if dtls.transport is transport and isinstance(dtls, RTCDtlsTransport):
            dtls._core.repeat_beginning()
    sctp = connection.sctp_transport
    if sctp is not None and sctp.transport.transport is transport:
        if is_established(sctp):
            _resume_data(sctp, lossy=lossy)
        elif lossy and isinstance(sctp, RTCSctpTransport):
            sctp._core.repeat_setup()
    if lossy:
        for transceiver in connection.transceivers:
            if transceiver.sender.transport.transport is transport:
                send_keyframe(transceiver.sender)


def _resume_data(sctp: aiortc.RTCSctpTransport, *, lossy: bool) -> None:
    # Our last acknowledgement may be lost.
    acknowledge_data(sctp)
    if lossy:
        repeat_data(sctp)
    # The limit is needed because the outage may have been measured as a round trip.
    _look_later(sctp, max(SHORTEST_WAIT, min(2 * round_trip_of(sctp), LONGEST_WAIT / 4)))


def _look_later(sctp: aiortc.RTCSctpTransport, delay: float) -> None:
    waiting = oldest_unacknowledged(sctp)
    if waiting is not None and delay <= LONGEST_WAIT:
        loop = asyncio.get_running_loop()
        # The event loop must not keep a connection that is closed meanwhile.
        loop.call_later(delay, _look, weakref.ref(sctp), waiting, delay)


def _look(known: weakref.ref[aiortc.RTCSctpTransport], waiting: object, delay: float) -> None:
    """Repeat unacknowledged data: the peer may have switched later than we did.

    SCTP would wait for up to a minute, because it measured the outage as a round trip.
    """
    sctp = known()
    if sctp is None or not is_established(sctp):
        return
    if oldest_unacknowledged(sctp) is waiting:
        repeat_data(sctp)
    _look_later(sctp, 2 * delay)
