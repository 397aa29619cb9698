"""Decides, from a snapshot of the connection, whether negotiation is needed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["NegotiationSnapshot", "Section", "TransceiverSnapshot", "is_negotiation_needed"]

SEND, RECEIVE = 1, 2
DIRECTIONS = {"inactive": 0, "sendonly": SEND, "recvonly": RECEIVE, "sendrecv": SEND | RECEIVE}
REVERSED = {"sendonly": "recvonly", "recvonly": "sendonly"}


@dataclass(frozen=True)
class Section:
    """A media section of a description that isn't rejected."""

    kind: str
    direction: str = "sendrecv"
    # The streams of its msid lines; None if it has no such line.
    streams: tuple[str, ...] | None = None


@dataclass(frozen=True)
class TransceiverSnapshot:
    """A transceiver as the application wants it to be."""

    mid: str | None
    direction: str
    stopping: bool = False
    streams: tuple[str, ...] = ()


@dataclass(frozen=True)
class NegotiationSnapshot:
    """The parts of the connection that decide whether negotiation is needed.

    `local` and `remote` are the sections of the current descriptions, by mid. `we_offered` is
    whether the current local description was the offer.
    """

    restart_requested: bool = False
    data_channel_created: bool = False
    transceivers: tuple[TransceiverSnapshot, ...] = ()
    local: Mapping[str, Section] = field(default_factory=dict)
    remote: Mapping[str, Section] = field(default_factory=dict)
    we_offered: bool = True


def is_negotiation_needed(connection: NegotiationSnapshot) -> bool:
    """Check if negotiation is needed.

    Spec: https://w3c.github.io/webrtc-pc/#dfn-check-if-negotiation-is-needed
    """
    # If [[LocalIceCredentialsToReplace]] is not empty, return true.
    if connection.restart_requested:
        return True
    # If a data channel was created and no m= section has been negotiated for data, return true.
    negotiated = any(section.kind == "application" for section in connection.local.values())
    if connection.data_channel_created and not negotiated:
        return True
    return any(_is_out_of_date(t, connection) for t in connection.transceivers)


def _is_out_of_date(transceiver: TransceiverSnapshot, connection: NegotiationSnapshot) -> bool:
    # If transceiver.[[Stopping]] is true and transceiver.[[Stopped]] is false, return true. Stopped
    # transceivers have left the connection's set.
    if transceiver.stopping:
        return True
    # A transceiver that isn't stopped and isn't associated with an m= section needs one.
    local = None if transceiver.mid is None else connection.local.get(transceiver.mid)
    if local is None:
        return True
    # If it sends, and the section contains no msid line, or its msids differ from the
    # transceiver's, return true.
    if DIRECTIONS[transceiver.direction] & SEND and _streams_differ(transceiver, local):
        return True
    return _direction_differs(transceiver, local, connection)


def _streams_differ(transceiver: TransceiverSnapshot, local: Section) -> bool:
    return local.streams is None or set(local.streams) != set(transceiver.streams)


def _direction_differs(
    transceiver: TransceiverSnapshot, local: Section, connection: NegotiationSnapshot
) -> bool:
    remote = connection.remote.get(transceiver.mid or "")
    offered = "inactive" if remote is None else REVERSED.get(remote.direction, remote.direction)
    # If we offered: return whether the transceiver's direction differs from both the offered one
    # and the answered one.
    if connection.we_offered:
        return transceiver.direction not in (local.direction, offered)
    # If we answered: return whether our answer differs from the transceiver's direction intersected
    # with the offered one.
    answered = DIRECTIONS[transceiver.direction] & DIRECTIONS[offered]
    return DIRECTIONS[local.direction] != answered
