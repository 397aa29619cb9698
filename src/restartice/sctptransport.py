"""SCTP that gets over lost packets and lost paths while it is set up."""

import logging
from collections.abc import Iterable
from typing import Final

import aiortc

from .exceptions import RTCError
from .icetransport import RTCIceTransport
from .internals import AiortcSctpTransport
from .listeners import Emitter, tell_error

__all__ = ["RTCSctpTransport"]

logger = logging.getLogger(__name__)

# RTO.Initial. (RFC 9260 section 16)
FIRST_TIMEOUT: Final = 1.0
# The longest time between two attempts to set the association up. RTO.Max would be a minute, in
# which a channel that could open wouldn't.
LONGEST_DELAY: Final = 3.0


class RTCSctpTransport(Emitter, AiortcSctpTransport):
    """aiortc's SCTP transport, which doesn't give up because packets or the path got lost.

    When it ends otherwise than by close(), its data channels emit `error`, with an `RTCError`,
    before `close`.

    Spec: https://w3c.github.io/webrtc-pc/#rtcsctptransport-interface
    """

    def __init__(self, transport: aiortc.RTCDtlsTransport, port: int = 5000) -> None:
        super().__init__(transport, port)
        self.set_first_timeout(FIRST_TIMEOUT)

    def retry_delay(self, failures: int) -> float:
        """Return how long to wait for an answer to what sets the association up, in seconds.

        The time doubles, up to a limit. (RFC 9260 section 6.3.3, E2)
        """
        return float(min(FIRST_TIMEOUT * 2**failures, LONGEST_DELAY))

    def can_be_answered(self) -> bool:
        """Say if there is a path, so that what isn't answered has failed."""
        ice = self.transport.transport
        return not isinstance(ice, RTCIceTransport) or (ice.sendable and not ice.path_lost)

    def setup_failed(self) -> None:
        """Tell all channels that the other side answers nothing."""
        self.tell_failure("The other side doesn't answer, so that SCTP can't be set up")

    def channel_refused(self, channel: aiortc.RTCDataChannel) -> None:
        """Tell a new channel that it can't open."""
        self.tell_failure("The SCTP transport is closed", [channel])

    def tell_failure(
        self,
        message: str,
        channels: Iterable[aiortc.RTCDataChannel] | None = None,
        *,
        detail: str = "sctp-failure",
    ) -> None:
        """Emit `error` on data channels, on all of them if none are given.

        Spec: https://w3c.github.io/webrtc-pc/#rtcerror-interface
        """
        logger.warning("%s", message)
        for channel in self.channels if channels is None else channels:
            tell_error(channel, RTCError(message, detail))
