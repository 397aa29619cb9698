"""Writes the report: the facts and the problems, as text."""

from collections.abc import Iterator

from .diagnosis import Problem
from .facts import Facts, ServerAnswer

__all__ = ["lines_of"]


def lines_of(facts: Facts, problems: list[Problem]) -> Iterator[str]:
    """Yield the lines of a report."""
    yield "Addresses for ICE:"
    for address, interface in facts.addresses:
        yield f"  {interface}  {address}"
    if not facts.addresses:
        yield "  none"
    if facts.servers:
        yield "Servers:"
        yield from (f"  {_line_of(server)}" for server in facts.servers)
        yield f"NAT: {_nat(facts)}"
    yield f"A call inside this process: {_call(facts)}"
    yield f"Multicast DNS: {_mdns(facts)}"
    yield "Problems:" if problems else "No problem found."
    for number, problem in enumerate(problems, 1):
        yield f"  {number}. [{problem.name}] {problem.text}"


def _line_of(server: ServerAnswer) -> str:
    asked = f"{server.url} over {server.way.upper()}"
    if server.seconds is None:
        return f"{asked}: {server.code} {server.error}"
    what = "relays at" if server.relays else "sees this machine at"
    return f"{asked}: {what} {server.address} port {server.port}, after {_ms(server.seconds)}"


def _nat(facts: Facts) -> str:
    if facts.is_behind_nat is None:
        return "unknown, as no server told how it sees this machine"
    if not facts.is_behind_nat:
        return "none"
    if facts.maps_by_destination is None:
        return "yes; give a second STUN server to find out which kind"
    if facts.maps_by_destination:
        return "yes, with another port for each destination (symmetric)"
    return "yes, with the same port for each destination"


def _call(facts: Facts) -> str:
    if facts.connected is None:
        return f"failed: {facts.call_error}"
    connected = f"connected after {_ms(facts.connected)}"
    if facts.restarted is None:
        return f"{connected}, but its ICE restart failed: {facts.call_error}"
    return f"{connected}, restarted ICE in {_ms(facts.restarted)}"


def _mdns(facts: Facts) -> str:
    if facts.resolved is None:
        return f"failed: {facts.mdns_error}"
    return f"a name was resolved after {_ms(facts.resolved)}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
