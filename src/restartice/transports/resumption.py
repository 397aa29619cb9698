"""Letting media and data go on at once when a path works again, or another one takes over."""

import asyncio
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
from .sctp import RTCSctpTransport

__all__ = ["resume"]

# How long to wait, at least and at most, for the acknowledgement of data that may have been sent in
# vain. In between it is ever longer.
SHORTEST_WAIT: Final = 0.05
LONGEST_WAIT: Final = 4.0


def resume(connection: ConnectionView, transport: RTCIceTransport, *, lossy: bool) -> None:
    """Send again what was lost, instead of waiting for timers that run for a second and more.

    Args:
        connection: The connection.
        transport: The ICE transport that works again, or sends on another pair.
        lossy: Whether it is known that something was lost.
    """
    sctp = connection.sctp_transport
    if sctp is not None and sctp.transport.transport is transport:
        if is_established(sctp):
            _resume_data(sctp, lossy=lossy)
        elif lossy and isinstance(sctp, RTCSctpTransport):
            sctp.repeat_setup()
    if lossy:
        for transceiver in connection.transceivers:
            if transceiver.sender.transport.transport is transport:
                send_keyframe(transceiver.sender)


def _resume_data(sctp: aiortc.RTCSctpTransport, *, lossy: bool) -> None:
    # What we acknowledged last may have been sent in vain.
    acknowledge_data(sctp)
    if lossy:
        repeat_data(sctp)
    # What was measured over the outage says little.
    _look_later(sctp, max(SHORTEST_WAIT, min(2 * round_trip_of(sctp), LONGEST_WAIT / 4)))


def _look_later(sctp: aiortc.RTCSctpTransport, delay: float) -> None:
    waiting = oldest_unacknowledged(sctp)
    if waiting is not None and delay <= LONGEST_WAIT:
        asyncio.get_running_loop().call_later(delay, _look, sctp, waiting, delay)


def _look(sctp: aiortc.RTCSctpTransport, waiting: object, delay: float) -> None:
    """Repeat what still isn't acknowledged: the other side may have been late to come over.

    SCTP would try again after a minute, having measured the outage as a round trip.
    """
    if not is_established(sctp):
        return
    if oldest_unacknowledged(sctp) is waiting:
        repeat_data(sctp)
    _look_later(sctp, 2 * delay)
