"""The private names of aiortc's SCTP transport, as far as it is subclassed."""

import asyncio

import aiortc
from aiortc import rtcdatachannel, rtcdtlstransport, rtcsctptransport
from aiortc.rtcsctptransport import InitChunk, serialize_packet

from .seam import require

__all__ = ["AiortcSctpTransport"]

_SCTP = rtcsctptransport.RTCSctpTransport

for _name in (
    "_data_channel_queue",
    "_data_channels",
    "_local_port",
    "_reconfig_in_progress",
    "_remote_port",
    "_rto",
    "_t1_chunk",
    "_t1_failures",
    "_t1_handle",
):
    require(_SCTP, _name)
for _method in (
    "_data_channel_add_negotiated",
    "_data_channel_open",
    "_reconfig_timer_expired",
    "_send_chunk",
    "_set_state",
    "_t1_expired",
):
    require(_SCTP, _method)
require(rtcdtlstransport.RTCDtlsTransport, "_send_data")
require(rtcdatachannel.RTCDataChannel, "_setReadyState")
require(rtcsctptransport, "SCTP_MAX_INIT_RETRANS")


class AiortcSctpTransport(rtcsctptransport.RTCSctpTransport):
    """aiortc's SCTP transport, which asks a subclass what to do when an answer doesn't come."""

    setup_task: asyncio.Task[None] | None = None

    # What a subclass overrides.

    def retry_delay(self, failures: int) -> float:
        """Return how long to wait for an answer to what sets the association up, in seconds.

        Args:
            failures: How many times an answer has failed to come.
        """
        raise NotImplementedError

    def can_be_answered(self) -> bool:
        """Say if there is a path, so that what isn't answered has failed."""
        raise NotImplementedError

    def setup_failed(self) -> None:
        """Take note that the other side answers nothing, before the association is closed."""

    def channel_refused(self, channel: aiortc.RTCDataChannel) -> None:
        """Take note of a new channel that can't open, because the association is closed."""

    # What a subclass calls.

    @property
    def channels(self) -> list[aiortc.RTCDataChannel]:
        """All data channels, those without an id included, which are only to be announced."""
        queued = (channel for channel, _, _ in self._data_channel_queue)
        return list(dict.fromkeys([*self._data_channels.values(), *queued]))

    def set_first_timeout(self, timeout: float) -> None:
        """Set how long an answer may take while no round trip was measured, in seconds."""
        self._rto = timeout

    def repeat_setup(self) -> None:
        """Repeat what sets the association up, if it wasn't answered, and begin to count anew."""
        if self._t1_handle is not None:
            self._t1_handle.cancel()
            self._t1_failures = 0
            _repeat_setup(self)

    # What aiortc calls.

    def _t1_expired(self) -> None:
        if self.can_be_answered():
            self._t1_failures += 1
        if self._t1_failures > rtcsctptransport.SCTP_MAX_INIT_RETRANS:
            self._t1_handle = None
            self.setup_failed()
            self._set_state(self.State.CLOSED)
        else:
            _repeat_setup(self)

    def _reconfig_timer_expired(self) -> None:
        # What is sent again for another reason isn't counted. (RFC 6525 section 5.2.7 H2)
        self._reconfig_in_progress |= not self.can_be_answered()
        super()._reconfig_timer_expired()

    def _set_state(self, state: rtcsctptransport.RTCSctpTransport.State) -> None:
        if state == self.State.CLOSED:
            # aiortc forgets those which have no id yet.
            queued = {channel for channel, _, _ in self._data_channel_queue}
            self._data_channel_queue.clear()
            super()._set_state(state)
            for channel in queued:
                channel._setReadyState("closed")
        else:
            super()._set_state(state)

    def _data_channel_open(self, channel: aiortc.RTCDataChannel) -> None:
        if self.state == "closed":
            _refuse(self, channel)
        else:
            super()._data_channel_open(channel)

    def _data_channel_add_negotiated(self, channel: aiortc.RTCDataChannel) -> None:
        if self.state == "closed":
            _refuse(self, channel)
        else:
            super()._data_channel_add_negotiated(channel)


def _repeat_setup(sctp: AiortcSctpTransport) -> None:
    """Send what sets the association up again, and wait for the answer."""
    sctp.setup_task = asyncio.ensure_future(_send_setup(sctp))
    delay = sctp.retry_delay(sctp._t1_failures)
    sctp._t1_handle = asyncio.get_running_loop().call_later(delay, sctp._t1_expired)


async def _send_setup(sctp: AiortcSctpTransport) -> None:
    """Send a chunk of the handshake.

    aiortc repeats an INIT with the tag of the other side, if that has sent its own meanwhile. The
    tag has to be 0, and each other one is ignored. (RFC 9260 section 8.5.1)
    """
    chunk = sctp._t1_chunk
    try:
        if isinstance(chunk, InitChunk):
            assert sctp._remote_port is not None
            packet = serialize_packet(sctp._local_port, sctp._remote_port, 0, chunk)
            await sctp.transport._send_data(packet)
        elif chunk is not None:
            await sctp._send_chunk(chunk)
    except ConnectionError:
        pass  # DTLS has ended, and what runs on it is about to


def _refuse(sctp: AiortcSctpTransport, channel: aiortc.RTCDataChannel) -> None:
    """Close a new data channel in a later turn, when who makes it may have begun to listen."""

    def close() -> None:
        sctp.channel_refused(channel)
        channel._setReadyState("closed")

    asyncio.get_running_loop().call_soon(close)
