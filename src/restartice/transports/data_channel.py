"""aiortc's data channel, which refuses to be used from other threads."""

from typing import TYPE_CHECKING

from aiortc import rtcdatachannel

if TYPE_CHECKING:
    from ..event_loop import LoopAffinity

__all__ = ["RTCDataChannel", "adopt"]


class RTCDataChannel(rtcdatachannel.RTCDataChannel):
    """aiortc's data channel, which refuses to be used from other threads.

    Spec: https://w3c.github.io/webrtc-pc/#dom-rtcdatachannel
    """

    _affinity: "LoopAffinity"

    def send(self, data: bytes | str) -> None:
        """Send data to the remote peer.

        Raises:
            InvalidStateError: The channel isn't open.
            RuntimeError: This is not the thread of the connection's event loop.
            ValueError: The data is neither a string nor bytes, or too much for one message.

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
    """Make a channel of aiortc's one of ours, unless a program has made its own class of it."""
    if type(channel) is rtcdatachannel.RTCDataChannel:
        channel.__class__ = RTCDataChannel
        vars(channel)["_affinity"] = affinity
