"""Saves the negotiated state of a connection, and restores it in a rollback."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import aiortc

from ..ice.handover import IceTransportCore
from ..ice.transport import RTCIceTransport
from ..media.transceiver import RTCRtpTransceiver
from ..seam import NEGOTIATED_STATE, ConnectionView, dissociate, set_controlling

__all__ = ["Snapshot"]


class Snapshot:
    """The negotiated state of a connection, its transceivers and its transports."""

    def __init__(self, state: ConnectionView) -> None:
        self._state = state
        self._values = [
            (thing, name, _copy(getattr(thing, name)))
            for thing in _things(state)
            for name in _names(type(thing))  # type: ignore[arg-type]  # a class is hashable
        ]
        self._controlling = [
            (transport, transport.role == "controlling") for transport in state.ice_transports
        ]

    def restore(
        self, *, made_by_remote: set[RTCRtpTransceiver], keep_sctp: bool
    ) -> tuple[list[RTCRtpTransceiver], set[aiortc.RTCDtlsTransport]]:
        """Restore the state. Transceivers that the application added since stay, without a mid.

        Transceivers that a remote offer made are removed, unless addTrack() gave them a track.
        (RFC 9429 section 4.1.10.2)

        Returns:
            The removed transceivers, and the transports that are no longer used.
        """
        state = self._state
        before, sctp = list(state.transceivers), state.sctp_transport
        transports = set(state.dtls_transports)
        for thing, name, value in self._values:
            setattr(thing, name, _copy(value))
        for transport, controlling in self._controlling:
            set_controlling(transport, controlling=controlling)
        added = [t for t in before if t not in state.transceivers]
        removed = [t for t in added if t in made_by_remote and not t._core.added_by_track]
        self._keep([t for t in added if t not in removed], sctp if keep_sctp else None)
        return removed, transports - state.dtls_transports

    def _keep(
        self, transceivers: list[RTCRtpTransceiver], sctp: aiortc.RTCSctpTransport | None
    ) -> None:
        state = self._state
        for transceiver in transceivers:
            dissociate(transceiver)
            state.transceivers.append(transceiver)
            self._use(transceiver.receiver.transport)
        if sctp is not None and state.sctp_transport is None:
            sctp.mid = None
            state.sctp_transport = sctp
            state.sctp_mline_index = None
            self._use(sctp.transport)

    def _use(self, transport: aiortc.RTCDtlsTransport) -> None:
        self._state.dtls_transports.add(transport)
        self._state.ice_transports.add(transport.transport)


def _things(state: ConnectionView) -> Iterator[object]:
    yield state.viewed
    for transceiver in state.transceivers:
        yield from (transceiver, transceiver.sender, transceiver.receiver)
    if state.sctp_transport is not None:
        yield state.sctp_transport
    yield from state.dtls_transports
    for transport in state.ice_transports:
        yield transport
        if isinstance(transport, RTCIceTransport):
            yield transport._core


@lru_cache
def _names(kind: type) -> tuple[str, ...]:
    """Return the names of the negotiated state of objects of a class."""
    if issubclass(kind, IceTransportCore):
        return ("pending_remote",)
    return next(names for owner, names in NEGOTIATED_STATE.items() if issubclass(kind, owner))


def _copy(value: Any) -> Any:
    return value.copy() if isinstance(value, list | dict | set) else value
