"""Letting media and data go on at once when a path works again, or another one takes over."""

import asyncio
from typing import Final

import aiortc

from .icetransport import RTCIceTransport
from .internals import (
    AiortcPeerConnection,
    acknowledge_data,
    is_established,
    oldest_unacknowledged,
    repeat_data,
    round_trip_of,
)
from .rtp import RTCRtpSender

__all__ = ["resume"]

# How long to wait, at least, for the acknowledgement of data that may have been sent in vain.
SHORTEST_WAIT: Final = 0.05


def resume(connection: AiortcPeerConnection, transport: RTCIceTransport, *, lossy: bool) -> None:
    """Send again what was lost, instead of waiting for timers that run for a second and more.

    Args:
        connection: The connection.
        transport: The ICE transport that works again, or sends on another pair.
        lossy: Whether it is known that something was lost.
    """
    sctp = connection.sctp_transport
    if sctp is not None and sctp.transport.transport is transport and is_established(sctp):
        _resume_data(sctp, lossy=lossy)
    if lossy:
        for transceiver in connection.transceivers:
            sender = transceiver.sender
            if sender.transport.transport is transport and isinstance(sender, RTCRtpSender):
                sender.send_keyframe()


def _resume_data(sctp: aiortc.RTCSctpTransport, *, lossy: bool) -> None:
    # What we acknowledged last may have been sent in vain.
    acknowledge_data(sctp)
    if lossy:
        repeat_data(sctp)
        return
    waiting = oldest_unacknowledged(sctp)
    if waiting is not None:
        delay = max(SHORTEST_WAIT, 2 * round_trip_of(sctp))
        asyncio.get_running_loop().call_later(delay, _repeat_if_waiting, sctp, waiting)


def _repeat_if_waiting(sctp: aiortc.RTCSctpTransport, waiting: object) -> None:
    if is_established(sctp) and oldest_unacknowledged(sctp) is waiting:
        repeat_data(sctp)
