"""What the specification's interface has no word for."""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

__all__ = ["IceSettings", "InterfaceFilter"]

# The names of interfaces, or a function that is given the name and the address.
InterfaceFilter = Collection[str] | Callable[[str, str], bool]

TIMES: Final = (
    "check_timeout",
    "check_repetition",
    "drain_time",
    "drain_silence",
    "drain_timeout",
    "silence_timeout",
    "probe_timeout",
    "stall_tolerance",
    "gathering_timeout",
    "server_timeout",
    "server_grace",
    "release_timeout",
    "video_patience",
)
OPTIONAL_TIMES: Final = ("consent_interval", "consent_lifetime", "failed_timeout")


COUNTS: Final = ("probes", "drain_limit")
SWITCHES: Final = ("loopback_candidates", "follow_networks")


@dataclass(frozen=True)
class IceSettings:
    """ICE settings. Times are in seconds; the defaults suit most programs.

    Attributes:
        check_timeout: How long the connectivity checks of a generation may take before it has
            failed. It goes on while there are pairs that haven't been checked, one each 5 ms.
        check_repetition: After how long a check that wasn't answered is repeated, again and again,
            once it was sent twice in shorter intervals.
        drain_time: How long the previous generation's sockets stay open, at least, after a restart
            has selected a new pair, so that packets under way still arrive.
        drain_silence: How long they must have been silent, then, before they are closed.
        drain_timeout: How long they stay open at most, where the other end goes on sending there.
            After half of that its requests are no longer answered, so that it takes another pair.
        drain_limit: How many previous generations stay open at a time, each with its sockets. When
            there are more, the one is closed that has been silent longest. No more than a quarter
            of the ports of `port_range`.
        silence_timeout: How long the packets of a connection that had some must have stopped before
            the other end is asked whether it is still there. Half of it is enough where some came
            in each quarter of that time, as those of media do.
        probe_timeout: How long it may take to answer that, and a request for consent. It is more
            where answers have been seen to take longer.
        probes: How many of these questions must go without an answer before the transport is
            `disconnected`; three times as many while packets still come in, and one more where
            they came only now and then.
        consent_interval: From one request for consent to the next, on average. None for aioice's
            CONSENT_INTERVAL, 5 s, which a program may have changed.
        consent_lifetime: How long after the last answer the transport has `failed`. None for that
            times aioice's CONSENT_FAILURES, 30 s.
        failed_timeout: How long a connection that has failed waits for a restart before it closes
            itself, which frees what a peer that has vanished leaves behind; None for ever, even if
            the program has forgotten it, so that close() is needed. Each restartIce(), and each
            description that is set, starts the time again.
        stall_tolerance: How late the event loop may be before what wasn't heard meanwhile is
            put down to the program, not to the network.
        gathering_timeout: How long setLocalDescription() waits, at most, for STUN and TURN servers,
            where it waits for them, which is where nothing listens to `icecandidate`.
        server_timeout: How long they may take to answer otherwise.
        server_grace: How long setLocalDescription() waits for the others when one server of each
            kind has answered.
        release_timeout: How long a TURN server may take to confirm that it has got a relayed
            address back, which is how long close() waits for it at most.
        spares: How many pairs between other networks are kept ready beside the one in use, to take
            over without signaling when that fails; 0 for none. All together are asked if they
            work every 4 s: with the answers, and what the other end asks, that is a packet each
            second. While the traffic on the pair in use has stopped for longer than usual, for a
            second at most, what is sent goes by the best of them, too.
        follow_networks: Whether a pair is left at once when this host loses its address, and an
            address that the host gets joins the candidates in use, without a restart. All
            connections of an event loop watch the host together. Without effect where there are no
            spares.
        video_patience: How long a missing packet of video is waited for before its picture is
            given up and a whole one is asked for.
        port_range: The first and the last of the UDP ports that are used on this host, for host
            candidates and towards TURN servers; None for any that is free. A restart needs another
            one for each address, and for each TURN server, beside the one in use.
        interfaces: The names of the network interfaces that candidates are gathered on and TURN
            servers asked from, or a function that is given the name and an address and says whether
            it is used; None for all. An address that is found on no interface has the empty name.
        loopback_candidates: Whether 127.0.0.1 is a candidate, too, which lets two programs on a
            machine without network talk to each other.

    Raises:
        ValueError: A time isn't a positive finite number, probes or drain_limit isn't a positive
            integer, or the
            ports aren't two in ascending order from 1 to 65535.
        TypeError: A setting has the wrong type.
    """

    check_timeout: float = 15.0
    check_repetition: float = 0.5
    drain_time: float = 3.0
    drain_silence: float = 1.0
    drain_timeout: float = 10.0
    drain_limit: int = 64
    silence_timeout: float = 1.0
    probe_timeout: float = 0.5
    probes: int = 2
    consent_interval: float | None = None
    consent_lifetime: float | None = None
    failed_timeout: float | None = 300.0
    stall_tolerance: float = 0.25
    gathering_timeout: float = 3.0
    server_timeout: float = 10.0
    server_grace: float = 0.25
    release_timeout: float = 2.0
    spares: int = 2
    follow_networks: bool = True
    video_patience: float = 0.6
    port_range: tuple[int, int] | None = None
    interfaces: InterfaceFilter | None = None
    loopback_candidates: bool = False

    def __post_init__(self) -> None:
        given = [name for name in OPTIONAL_TIMES if getattr(self, name) is not None]
        for name in (*TIMES, *given):
            value = getattr(self, name)
            if not (is_number(value) and math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a positive number of seconds, not {value!r}")
        for name in COUNTS:
            value = getattr(self, name)
            if not (is_number(value) and isinstance(value, int) and value > 0):
                raise ValueError(f"{name} must be a positive integer, not {value!r}")
        if not (is_number(self.spares) and isinstance(self.spares, int) and self.spares >= 0):
            raise ValueError(f"spares must be 0 or a positive integer, not {self.spares!r}")
        for name in SWITCHES:
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} must be a bool")
        _check_ports(self.port_range)
        _check_interfaces(self.interfaces)


def is_number(value: object) -> bool:
    """Return whether a value is a number, which a bool isn't."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_ports(ports: object) -> None:
    if ports is None:
        return
    if not (
        isinstance(ports, tuple)
        and len(ports) == 2
        and all(is_number(port) and isinstance(port, int) for port in ports)
    ):
        raise TypeError(f"port_range must be a tuple of two ports or None, not {ports!r}")
    if not 1 <= ports[0] <= ports[1] <= 65535:
        raise ValueError(f"port_range must be two ports in ascending order, not {ports!r}")


def _check_interfaces(interfaces: object) -> None:
    if interfaces is None or callable(interfaces):
        return
    # A string is a collection of strings, too, but hardly meant as one.
    if (
        isinstance(interfaces, str)
        or not isinstance(interfaces, Collection)
        or not all(isinstance(name, str) for name in interfaces)
    ):
        raise TypeError(
            f"interfaces must be a collection of names, a function or None, not {interfaces!r}"
        )
