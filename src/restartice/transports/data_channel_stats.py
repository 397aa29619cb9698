"""The statistics of data channels, and of the connection that has them, for getStats()."""

import datetime as dt
from dataclasses import dataclass

import aiortc
from aiortc.stats import RTCStats

__all__ = ["ChannelCounts", "RTCDataChannelStats", "RTCPeerConnectionStats", "channel_statistics"]


@dataclass
class RTCPeerConnectionStats(RTCStats):
    """Statistics of a connection.

    Attributes:
        dataChannelsOpened: The number of data channels that have been open.
        dataChannelsClosed: The number of those that are closed.

    Spec: https://w3c.github.io/webrtc-stats/#pcstats-dict*
    """

    dataChannelsOpened: int
    dataChannelsClosed: int


@dataclass
class RTCDataChannelStats(RTCStats):
    """Statistics of a data channel that isn't closed.

    Attributes:
        label: Its label.
        protocol: The name of its protocol.
        dataChannelIdentifier: Its id, or None before the negotiation.
        state: `"connecting"`, `"open"` or `"closing"`.
        messagesSent: The number of messages that SCTP has taken.
        bytesSent: The number of bytes of these messages.
        messagesReceived: The number of messages that have come in.
        bytesReceived: The number of bytes of these messages.

    Spec: https://w3c.github.io/webrtc-stats/#dcstats-dict*
    """

    label: str
    protocol: str
    dataChannelIdentifier: int | None
    state: str
    messagesSent: int
    bytesSent: int
    messagesReceived: int
    bytesReceived: int


class ChannelCounts:
    """How many data channels have been open, and are closed.

    Attributes:
        opened: Those that have been open.
        closed: Those of them that are closed.
    """

    def __init__(self) -> None:
        self.opened = self.closed = 0

    def follow(self, channel: aiortc.RTCDataChannel) -> None:
        """Count a channel when it opens, and when it closes."""
        channel.once("open", lambda: self._count(channel))

    def _count(self, channel: aiortc.RTCDataChannel) -> None:
        self.opened += 1
        channel.once("close", self._count_closed)

    def _count_closed(self) -> None:
        self.closed += 1


def channel_statistics(
    channel: aiortc.RTCDataChannel, counts: tuple[int, ...], now: dt.datetime
) -> RTCDataChannelStats:
    """Return the statistics of a channel.

    Args:
        channel: The channel.
        counts: The messages and bytes sent, and those received.
        now: The current time.
    """
    sent, bytes_sent, received, bytes_received = counts
    return RTCDataChannelStats(
        timestamp=now,
        type="data-channel",
        id=f"data-channel_{id(channel)}",
        label=channel.label,
        protocol=channel.protocol,
        dataChannelIdentifier=channel.id,
        state=channel.readyState,
        messagesSent=sent,
        bytesSent=bytes_sent,
        messagesReceived=received,
        bytesReceived=bytes_received,
    )
