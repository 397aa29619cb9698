"""What the messages of rtc-signal v1 are made of."""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .fields import JsonObject

__all__ = [
    "Candidate",
    "Custom",
    "Data",
    "Description",
    "Heartbeat",
    "Limits",
    "PeerInfo",
    "Resume",
]


@dataclass(frozen=True)
class Description:
    """A session description in the browser's form."""

    type: str
    sdp: str

    def to_json(self) -> JsonObject:
        """Return `{description: {type, sdp}}`."""
        return {"description": {"type": self.type, "sdp": self.sdp}}


@dataclass(frozen=True)
class Candidate:
    """An ICE candidate in the browser's form; None means the end of candidates."""

    init: JsonObject | None

    def to_json(self) -> JsonObject:
        """Return `{candidate: {candidate, sdpMid, sdpMLineIndex, usernameFragment}}`."""
        return {"candidate": self.init}


@dataclass(frozen=True)
class Custom:
    """Anything that the application sends."""

    value: Any

    def to_json(self) -> JsonObject:
        """Return `{custom: …}`."""
        return {"custom": self.value}


Data: TypeAlias = Description | Candidate | Custom


@dataclass(frozen=True)
class Resume:
    """Which session a client goes on with, what proves that it is its own, and what it has seen."""

    session: str
    key: str = field(repr=False)
    last: int

    def to_json(self) -> JsonObject:
        """Return the field `resume`."""
        return {"session": self.session, "key": self.key, "last": self.last}


@dataclass(frozen=True)
class PeerInfo:
    """Another peer of the room.

    Attributes:
        peer: Its id in the room.
        instance: Names this stay of it, another one when its program is started anew.
        polite: Whether we, who are told this, are the polite one of the two.
        meta: What it wants others to know.
        state: `"joined"`, or `"away"` while its connection to the server is lost.
    """

    peer: str
    instance: str
    polite: bool
    meta: JsonObject = field(default_factory=dict)
    state: str = "joined"

    def to_json(self) -> JsonObject:
        """Return the entry as JSON."""
        return {
            "peer": self.peer,
            "instance": self.instance,
            "polite": self.polite,
            "meta": self.meta,
            "state": self.state,
        }


@dataclass(frozen=True)
class Heartbeat:
    """How often something must be heard, and when to give up, in seconds.

    Attributes:
        interval: From one `ping` to the next.
        timeout: After how long a silence the other side is given up.
    """

    interval: float = 10.0
    timeout: float = 25.0

    def to_json(self) -> JsonObject:
        """Return the field `heartbeat`."""
        return {"interval": self.interval, "timeout": self.timeout}


@dataclass(frozen=True)
class Limits:
    """What a client must keep to.

    Attributes:
        max_message_size: The size of a message, in bytes.
        max_unacknowledged: How many messages may wait for an acknowledgment.
        max_buffered: The size of those, in characters.
        rate: How many messages a second may be sent in the long run.
        burst: How many at once.
    """

    max_message_size: int = 65536
    max_unacknowledged: int = 1024
    max_buffered: int = 1048576
    rate: float = 200.0
    burst: int = 400

    def to_json(self) -> JsonObject:
        """Return the field `limits`."""
        return {
            "maxMessageSize": self.max_message_size,
            "maxUnacknowledged": self.max_unacknowledged,
            "maxBuffered": self.max_buffered,
            "rate": self.rate,
            "burst": self.burst,
        }
