"""The data channels of a connection, and the SCTP transport below them."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import aiortc
from aiortc import clock
from aiortc.stats import RTCStats

from ..event_loop import LoopAffinity
from ..events import shield
from ..exceptions import DataChannelIdError
from ..seam import ConnectionView, follow_listeners
from .aggregate_states import AggregateStates
from .background import BackgroundTasks
from .bundle import ice_transport
from .data_channel import adopt
from .data_channel_stats import ChannelCounts, RTCPeerConnectionStats, channel_statistics
from .sctp import RTCSctpTransport

__all__ = ["DataChannels"]


@dataclass(eq=False, repr=False)
class DataChannels:
    """Creates the SCTP transport, and keeps track of data channels."""

    view: ConnectionView
    states: AggregateStates
    background: BackgroundTasks
    # The event loop that channels belong to.
    home: LoopAffinity
    # The connection's number, for the log.
    label: str
    # Whether the application has created a channel since SCTP was last rejected.
    created: bool = field(default=False, init=False)
    _counts: ChannelCounts = field(default_factory=ChannelCounts, init=False)

    def create_sctp_transport(self) -> None:
        """Create the SCTP transport. Errors of its channels' listeners don't end the connection."""
        self.view.place_sctp(self._make_sctp_transport)

    def _make_sctp_transport(self, transport: aiortc.RTCDtlsTransport) -> RTCSctpTransport:
        sctp = RTCSctpTransport(transport, label=self.label)

        @sctp.on("datachannel")
        def announce(channel: aiortc.RTCDataChannel) -> None:
            self._take(channel)
            self.view.emit("datachannel", channel)

        return sctp

    def agree(self, ours: str | None, theirs: str | None) -> None:
        """Note the INITs of SCTP that are told in the descriptions of either side."""
        sctp = self.view.sctp_transport
        if isinstance(sctp, RTCSctpTransport):
            sctp._core.agree(ours, theirs)
            if sctp.mid is not None and ice_transport(sctp).remote is not None:
                sctp._core.negotiated(self.view.sctp_remote_caps)

    def number(self) -> None:
        """Give the channels ids if the DTLS role is negotiated, as after each answer.

        It isn't after the rollback of a first offer.

        Spec: https://w3c.github.io/webrtc-pc/#set-description
        """
        sctp = self.view.sctp_transport
        if isinstance(sctp, RTCSctpTransport) and ice_transport(sctp).remote is not None:
            sctp._core.number_channels()

    def check_id(self, stream: int | None) -> None:
        """Raise OperationError if this id is in use, or none is left where it is None."""
        sctp = self.view.sctp_transport
        if not isinstance(sctp, RTCSctpTransport):
            return
        if stream is not None and sctp._core.channel_on(stream) is not None:
            raise DataChannelIdError(f"Data channel with ID {stream} already registered")
        if stream is None and sctp._core.numbers_channels:
            sctp._core.check_stream_left()

    def add(self, channel: aiortc.RTCDataChannel) -> None:
        """Add a channel that the application has created."""
        self._take(channel)
        self.created = True
        sctp = self.view.sctp_transport
        if isinstance(sctp, RTCSctpTransport) and sctp._core.numbers_channels:
            sctp._core.number_channel(channel)

    def _take(self, channel: aiortc.RTCDataChannel) -> None:
        """Protect a data channel from errors, slowness, and calls from other threads."""
        shield(channel)
        self._counts.follow(channel)
        adopt(channel, self.home)
        if isinstance(channel.transport, RTCSctpTransport):
            follow_listeners(channel, channel.transport._core)

    def statistics(self) -> Iterator[RTCStats]:
        """Yield the statistics of the connection, and of its data channels."""
        now = clock.current_datetime()
        yield RTCPeerConnectionStats(
            timestamp=now,
            type="peer-connection",
            id=f"peer-connection_{self.label}",
            dataChannelsOpened=self._counts.opened,
            dataChannelsClosed=self._counts.closed,
        )
        sctp = self.view.sctp_transport
        if isinstance(sctp, RTCSctpTransport):
            for channel in sctp._core.channels:
                yield channel_statistics(channel, sctp._core.counts_of(channel), now)

    @contextmanager
    def sctp_if_needed(self) -> Iterator[None]:
        """Remove the SCTP transport created inside this statement if creating the channel fails."""
        view = self.view
        sctp, dtls, ice = view.sctp_transport, {*view.dtls_transports}, {*view.ice_transports}
        try:
            yield
        except Exception:
            view.sctp_transport = sctp
            view.dtls_transports.intersection_update(dtls)
            view.ice_transports.intersection_update(ice)
            self.states.update()
            raise

    def stop_rejected(self, mids: Collection[str | None]) -> None:
        """Stop SCTP if its media section is rejected."""
        sctp = self.view.sctp_transport
        if sctp is not None and sctp.mid in mids:
            self.background.run(sctp.stop())
            self.view.sctp_transport, self.created = None, False
