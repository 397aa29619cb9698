"""The event loop that a connection lives in, and the calls from other threads that are refused."""

import asyncio

from aiortc import rtcdatachannel

__all__ = ["Home", "RTCDataChannel", "adopt"]


class Home:
    """The event loop of a connection, known when it is first used in one.

    Nothing here is safe to call from other threads, as nothing of asyncio's is: what it does would
    wait in the loop until something else wakes that up, or be lost. So it is refused.
    """

    def __init__(self) -> None:
        # That in which it is made may be another one, of the program's own.
        self._loop: asyncio.AbstractEventLoop | None = None

    def check(self, name: str) -> None:
        """Raise RuntimeError if this isn't the thread of the event loop, which is running."""
        try:
            running: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is self._loop is not None:
            return
        if self._loop is None or not self._loop.is_running():
            # Nothing runs at the same time, as before the loop is started.
            self._loop = running or self._loop
            return
        raise RuntimeError(
            f"{name} was called outside the thread of the connection's event loop; from there, use "
            "loop.call_soon_threadsafe(), or asyncio.run_coroutine_threadsafe() for coroutines"
        )


class RTCDataChannel(rtcdatachannel.RTCDataChannel):
    """aiortc's data channel, which refuses to be used from other threads.

    Spec: https://w3c.github.io/webrtc-pc/#dom-rtcdatachannel
    """

    _home: Home

    def send(self, data: bytes | str) -> None:
        """Send data to the remote peer.

        Raises:
            InvalidStateError: The channel isn't open.
            RuntimeError: This is not the thread of the connection's event loop.
            ValueError: The data is neither a string nor bytes, or too much for one message.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcdatachannel
        """
        self._home.check("send()")
        super().send(data)

    def close(self) -> None:
        """Close the channel.

        Raises:
            RuntimeError: This is not the thread of the connection's event loop.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcdatachannel
        """
        self._home.check("close()")
        super().close()


def adopt(channel: rtcdatachannel.RTCDataChannel, home: Home) -> None:
    """Make a channel that aiortc has made one of ours, unless it is some program's already."""
    if type(channel) is rtcdatachannel.RTCDataChannel:
        channel.__class__ = RTCDataChannel
        vars(channel)["_home"] = home
