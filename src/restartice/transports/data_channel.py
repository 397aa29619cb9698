"""aiortc's data channel, which refuses calls from other threads."""

from typing import TYPE_CHECKING

from aiortc import rtcdatachannel

if TYPE_CHECKING:
    from ..event_loop import LoopAffinity

__all__ = ["RTCDataChannel", "adopt"]


class RTCDataChannel(rtcdatachannel.RTCDataChannel):
    """aiortc's data channel. Calls from other threads raise RuntimeError.

    Spec: https://w3c.github.io/webrtc-pc/#dom-rtcdatachannel
    """

    _affinity: "LoopAffinity"

    def send(self, data: bytes | str) -> None:
        """Send a message. It is queued, and this returns at once.

        Args:
            data: The message.

        Raises:
            InvalidStateError: The channel isn't open.
            RuntimeError: This is not the thread of the connection's event loop.
            ValueError: The data is neither a string nor bytes, or too long for one message.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcdatachannel
        """
        self._affinity.check("send()")
        super().send(data)

    def close(self) -> None:
        """Close the channel.

        Raises:
            RuntimeError: This is not the thread of the connection's event loop.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcdatachannel
        """
        self._affinity.check("close()")
        super().close()


def adopt(channel: rtcdatachannel.RTCDataChannel, affinity: "LoopAffinity") -> None:
    """Give one of aiortc's channels our class, unless a program has given it another."""
    if type(channel) is rtcdatachannel.RTCDataChannel:
        channel.__class__ = RTCDataChannel
        vars(channel)["_affinity"] = affinity
