"""Decides what is wrong, given what was seen, and what to do about it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from .facts import Facts, ServerAnswer

__all__ = ["Problem", "diagnose"]

UNREACHABLE: Final = 701
CREDENTIALS: Final = frozenset({400, 401, 403, 438, 441})


@dataclass(frozen=True)
class Problem:
    """Something that keeps calls from connecting.

    Attributes:
        name: A word for programs: "no-address", "no-route", "server-silent", "server-refuses",
            "wrong-credentials", "udp-blocked", "symmetric-nat", "no-mdns" or "no-call".
        text: What is wrong, and what to do.
        is_fatal: Whether calls can't connect as long as it lasts; others keep some from connecting.
    """

    name: str
    text: str
    is_fatal: bool = True


def diagnose(facts: Facts) -> list[Problem]:
    """Return the problems, the worst first."""
    problems = [*_of_addresses(facts), *_of_servers(facts), *_of_nat(facts), *_of_this_host(facts)]
    return sorted(problems, key=lambda problem: not problem.is_fatal)


def _of_addresses(facts: Facts) -> Iterator[Problem]:
    if not facts.addresses:
        yield Problem(
            "no-address",
            "This machine has no address except loopback. Connect it to a network: no other "
            "machine can reach it.",
        )


def _of_servers(facts: Facts) -> Iterator[Problem]:
    unreachable = [server for server in facts.servers if not server.has_route]
    if unreachable:
        yield Problem(
            "no-route",
            f"This machine has no route to {_list(unreachable)}. Check its default route: "
            "`ip route get ADDRESS` must name an interface.",
        )
    silent = [server for server in facts.servers if server.has_route and _is_silent(server)]
    over_tcp_only = [server for server in silent if server.way == "udp" and server.accepts_tcp]
    if over_tcp_only and all(s.way != "udp" or _is_silent(s) for s in facts.servers):
        yield Problem(
            "udp-blocked",
            f"Something blocks UDP: {_list(over_tcp_only)} accepts TCP, but doesn't answer over "
            "UDP. Allow UDP in the firewall, or use a TURN server over TCP or TLS "
            "(turns:…?transport=tcp, best on port 443).",
            is_fatal=not any(s.relays and s.seconds is not None for s in facts.servers),
        )
        silent = [server for server in silent if server not in over_tcp_only]
    for server in silent:
        yield Problem(
            "server-silent",
            f"{server.url} doesn't answer over {server.way.upper()}: {server.error}. Check its "
            "name and port, and whether it runs.",
            is_fatal=False,
        )
    yield from map(_refusal, (s for s in facts.servers if s.seconds is None and not _is_silent(s)))


def _refusal(server: ServerAnswer) -> Problem:
    if server.code in CREDENTIALS:
        return Problem(
            "wrong-credentials",
            f"{server.url} refuses the user name or the password: {server.code} {server.error}. "
            "Credentials that are made with a shared secret also expire.",
        )
    return Problem("server-refuses", f"{server.url} refuses: {server.code} {server.error}.")


def _is_silent(server: ServerAnswer) -> bool:
    return server.seconds is None and server.code == UNREACHABLE


def _of_nat(facts: Facts) -> Iterator[Problem]:
    if facts.maps_by_destination and not any(
        s.relays and s.seconds is not None for s in facts.servers
    ):
        yield Problem(
            "symmetric-nat",
            "The NAT uses another port for each destination (a symmetric NAT), so peers behind "
            "another NAT can't reach this machine directly. Add a TURN server.",
            is_fatal=False,
        )


def _of_this_host(facts: Facts) -> Iterator[Problem]:
    if facts.addresses and (facts.connected is None or facts.restarted is None):
        what = "connect" if facts.connected is None else "restart ICE"
        yield Problem(
            "no-call",
            f"A call between two connections in this process doesn't {what}: {facts.call_error}. "
            "Check the firewall of this machine.",
        )
    if facts.addresses and facts.resolved is None:
        yield Problem(
            "no-mdns",
            f"Multicast DNS doesn't work on this machine: {facts.mdns_error}. Browsers in the same "
            "network hide their addresses behind mDNS names, so calls with them need a STUN or "
            "TURN server. Allow multicast to 224.0.0.251, UDP port 5353.",
            is_fatal=False,
        )


def _list(servers: list[ServerAnswer]) -> str:
    return ", ".join(server.url for server in servers)
