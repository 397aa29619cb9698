"""The settings of ICE that the specification doesn't have."""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import Field, dataclass, field, fields
from types import NoneType
from typing import Any, Final, TypeVar, get_args

__all__ = ["IceSettings", "InterfaceFilter", "NetworkPreference", "or_default"]

T = TypeVar("T")

# The names of interfaces, or a function of the name and the address.
InterfaceFilter = Collection[str] | Callable[[str, str], bool]
# Patterns of the names of interfaces, best first, or a function of the name and the address.
NetworkPreference = Sequence[str] | Callable[[str, str], float]
Setting = Field[Any]


@dataclass(frozen=True)
class IceSettings:
    """ICE settings. Times are in seconds; the defaults suit most programs.

    Attributes:
        check_timeout: How long the connectivity checks of a generation may take before it fails.
            They continue while there are unchecked pairs, one every 5 ms.
        check_repetition: The interval at which an unanswered check is repeated, after three shorter
            ones.
        drain_time: How long, at least, the sockets of the previous generation stay open after a
            restart has selected a new pair, so that packets on their way still arrive.
        drain_silence: How long these sockets must be silent after that before they are closed.
        drain_timeout: How long, at most, these sockets stay open if the peer still sends on them.
            After half of it they answer no requests, so the peer changes its pair.
        drain_limit: The number of previous generations that stay open, each with its sockets. If
            there are more, the one that has been silent longest is closed. At most a quarter of the
            ports of `port_range`.
        silence_timeout: The silence after which the peer is probed, on a connection that was
            receiving. Half of it is enough if packets came in each quarter of that time, as with
            media.
        probe_timeout: How long the answer to a probe, or to a request for consent, may take. It
            grows if answers have taken longer.
        probes: The number of unanswered probes after which the transport is `disconnected`; three
            times as many while packets still come in, and one more if traffic was sporadic.
        consent_interval: The average interval between requests for consent. None for aioice's
            CONSENT_INTERVAL, 5 s, which a program may have changed.
        consent_lifetime: How long after the last answer the transport is `failed`. None for the
            interval times aioice's CONSENT_FAILURES, 30 s.
        failed_timeout: How long a failed connection waits for a restart before it closes itself
            and frees its sockets and tasks. None for no limit: then close() is needed, even if the
            program has dropped the connection. Each restartIce(), and each new description,
            restarts the time.
        stall_tolerance: How late the event loop may be. If it is later, silence meanwhile doesn't
            count as a loss of the network.
        gathering_timeout: How long, at most, setLocalDescription() waits for STUN and TURN servers.
            It doesn't wait if there is a listener for `icecandidate`. For a STUN server that didn't
            answer, all connections of the process wait only 0.75 s the next time on the same
            network, and not at all for one that has found no NAT there.
        server_timeout: How long the servers may take to answer with trickle ICE.
        server_grace: How long setLocalDescription() waits for the other servers when one of each
            kind has answered.
        release_timeout: How long a TURN server may take to confirm the release of a relayed
            address. close() waits so long at most.
        spares: The number of pairs between other networks that are kept ready besides the pair in
            use, to take over without signaling when it fails; 0 for none. They are probed in turn,
            one every 4 s; with answers and the peer's probes, that is a packet per second. While
            the traffic on the pair in use pauses for longer than usual, packets are also sent on
            the best spare, for a second at most.
        follow_networks: Whether the connection leaves a pair at once when this host loses its
            address, and adds a new address of the host to its candidates, without a restart. All
            connections of an event loop share one watcher. It has no effect without spares.
        turn_mobility: Whether TURN servers are asked, by UDP, to let a relayed address follow this
            host to another network, when it loses the address that the server knows (RFC 8016).
            The peer notices nothing of that. coturn supports it with its option `mobility`. A
            server that refuses is asked for an address once more, which takes a round trip. It has
            no effect without follow_networks.
        prefer: Which of this host's networks to use if there is a choice: patterns for the names of
            interfaces, best first, such as `["eth*", "wlan*", "wwan*"]` (other interfaces come
            last); or a function that gets a name and an address and returns a number, the lowest
            for the best. The call switches to a better network when a pair there has answered all
            probes for 5 s. Each time that the call has to leave this network within 5 minutes, this
            time doubles, up to 5 minutes. None for no preference. It has no effect without spares.
        video_patience: How long to wait for a missing video packet. After that its frame is
            dropped, and a key frame is requested.
        port_range: The first and the last UDP port for host candidates and for TURN servers on this
            host; None for any free port. A restart needs another port for each address, and for
            each TURN server, besides those in use.
        interfaces: The names of the network interfaces for candidates and TURN servers, or a
            function that gets a name and an address and returns whether to use it; None for all.
            An address that is on no interface has the empty name.
        loopback_candidates: Whether 127.0.0.1 is a candidate, too, so that two programs on a
            machine without a network can connect.

    Raises:
        ValueError: A time isn't a positive finite number, a count isn't a positive integer (spares
            may be 0), or the ports aren't two in ascending order from 1 to 65535.
        TypeError: A setting has the wrong type.
    """

    check_timeout: float = 15.0
    check_repetition: float = 0.5
    drain_time: float = 3.0
    drain_silence: float = 1.0
    drain_timeout: float = 10.0
    drain_limit: int = field(default=64, metadata={"unit": "generations"})
    silence_timeout: float = 1.0
    probe_timeout: float = 0.5
    probes: int = field(default=2, metadata={"unit": "requests"})
    consent_interval: float | None = None
    consent_lifetime: float | None = None
    failed_timeout: float | None = 300.0
    stall_tolerance: float = 0.25
    gathering_timeout: float = 3.0
    server_timeout: float = 10.0
    server_grace: float = 0.25
    release_timeout: float = 2.0
    spares: int = field(default=2, metadata={"unit": "pairs", "least": 0})
    follow_networks: bool = True
    turn_mobility: bool = False
    prefer: NetworkPreference | None = None
    video_patience: float = 0.6
    port_range: tuple[int, int] | None = field(default=None, metadata={"unit": "UDP ports"})
    interfaces: InterfaceFilter | None = None
    loopback_candidates: bool = False

    def __post_init__(self) -> None:
        for setting in fields(self):
            value = getattr(self, setting.name)
            if value is setting.default or (value is None and NoneType in get_args(setting.type)):
                continue
            CHECKS[setting.type](setting, value)


def or_default(settings: T | None, kind: type[T]) -> T:
    """Return settings, or the defaults for None.

    Raises:
        TypeError: The settings are of another kind.
    """
    if settings is None:
        return kind()
    if not isinstance(settings, kind):
        raise TypeError(f"expected {kind.__name__}, got {settings!r}")
    return settings


def is_number(value: object) -> bool:
    """Return whether a value is a number; a bool doesn't count."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: object) -> bool:
    return is_number(value) and isinstance(value, int)


def _check_time(setting: Setting, value: Any) -> None:
    if not (is_number(value) and math.isfinite(value) and value > 0):
        raise ValueError(f"{setting.name} must be a positive number of seconds, not {value!r}")


def _check_count(setting: Setting, value: Any) -> None:
    least = setting.metadata.get("least", 1)
    if not (_is_integer(value) and value >= least):
        what = "a positive integer" if least else "0 or a positive integer"
        raise ValueError(f"{setting.name} must be {what}, not {value!r}")


def _check_switch(setting: Setting, value: Any) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"{setting.name} must be a bool, not {value!r}")


def _check_ports(setting: Setting, value: Any) -> None:
    if not (isinstance(value, tuple) and len(value) == 2 and all(map(_is_integer, value))):
        raise TypeError(f"{setting.name} must be a tuple of two ports or None, not {value!r}")
    if not 1 <= value[0] <= value[1] <= 65535:
        raise ValueError(f"{setting.name} must be two ports in ascending order, not {value!r}")


def _check_interfaces(setting: Setting, value: Any) -> None:
    # A string is a collection of strings, too, but probably a mistake.
    is_names = isinstance(value, Collection) and not isinstance(value, str)
    if not (callable(value) or (is_names and all(isinstance(name, str) for name in value))):
        raise TypeError(
            f"{setting.name} must be a collection of names, a function or None, not {value!r}"
        )


def _check_preference(setting: Setting, value: Any) -> None:
    # A set has no order.
    is_patterns = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    if not (callable(value) or (is_patterns and all(isinstance(name, str) for name in value))):
        raise TypeError(
            f"{setting.name} must be a sequence of patterns, a function or None, not {value!r}"
        )


# A setting is checked by its type, unless it is None.
CHECKS: Final[dict[Any, Callable[[Setting, Any], None]]] = {
    float: _check_time,
    float | None: _check_time,
    int: _check_count,
    bool: _check_switch,
    tuple[int, int] | None: _check_ports,
    InterfaceFilter | None: _check_interfaces,
    NetworkPreference | None: _check_preference,
}
