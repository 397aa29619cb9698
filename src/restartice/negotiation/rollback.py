"""The negotiated state of a connection at one moment, and the way back to it."""

import copy
from collections.abc import Iterator
from typing import Any

import aiortc

from ..ice.transport import RTCIceTransport
from ..media.transceiver import RTCRtpTransceiver
from ..seam import NEGOTIATED_STATE, ConnectionView, dissociate, set_controlling

__all__ = ["Snapshot"]


class Snapshot:
    """What negotiation has made of a connection, its transceivers and its transports."""

    def __init__(self, connection: ConnectionView) -> None:
        self._connection = connection
        self._values = [
            (thing, name, _copy(getattr(thing, name)))
            for thing in _things(connection)
            for name in _names(thing)
        ]
        self._controlling = [
            (transport, transport.role == "controlling") for transport in connection.ice_transports
        ]

    def restore(
        self, *, made_by_remote: set[RTCRtpTransceiver], keep_sctp: bool
    ) -> tuple[list[RTCRtpTransceiver], set[aiortc.RTCDtlsTransport]]:
        """Go back. Transceivers that the application added meanwhile stay, but lose their mid.

        Those that a remote offer made, and that addTrack() never gave a track, are removed.
        (RFC 9429 section 4.1.10.2)

        Returns:
            The transceivers that were removed and the transports that nothing uses any more.
        """
        connection = self._connection
        before, sctp = list(connection.transceivers), connection.sctp_transport
        transports = set(connection.dtls_transports)
        for thing, name, value in self._values:
            setattr(thing, name, _copy(value))
        for transport, controlling in self._controlling:
            set_controlling(transport, controlling=controlling)
        added = [t for t in before if t not in connection.transceivers]
        removed = [t for t in added if t in made_by_remote and not t._core.added_by_track]
        self._keep([t for t in added if t not in removed], sctp if keep_sctp else None)
        return removed, transports - connection.dtls_transports

    def _keep(
        self, transceivers: list[RTCRtpTransceiver], sctp: aiortc.RTCSctpTransport | None
    ) -> None:
        connection = self._connection
        for transceiver in transceivers:
            dissociate(transceiver)
            connection.transceivers.append(transceiver)
            self._use(transceiver.receiver.transport)
        if sctp is not None and connection.sctp_transport is None:
            sctp.mid = None
            connection.sctp_transport = sctp
            connection.sctp_mline_index = None
            self._use(sctp.transport)

    def _use(self, transport: aiortc.RTCDtlsTransport) -> None:
        self._connection.dtls_transports.add(transport)
        self._connection.ice_transports.add(transport.transport)


def _things(connection: ConnectionView) -> Iterator[object]:
    yield connection.viewed
    for transceiver in connection.transceivers:
        yield from (transceiver, transceiver.sender, transceiver.receiver)
    if connection.sctp_transport is not None:
        yield connection.sctp_transport
    yield from connection.dtls_transports
    yield from connection.ice_transports


def _names(thing: object) -> tuple[str, ...]:
    names = next(names for owner, names in NEGOTIATED_STATE.items() if isinstance(thing, owner))
    return (*names, "pending_remote") if isinstance(thing, RTCIceTransport) else names


def _copy(value: Any) -> Any:
    return copy.copy(value) if isinstance(value, list | dict | set) else value
