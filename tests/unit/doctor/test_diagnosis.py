"""What is wrong, given what was seen."""

from dataclasses import replace

import pytest

from restartice.doctor import Facts, ServerAnswer, diagnose
from restartice.doctor.report import lines_of

WELL = Facts(addresses=(("192.0.2.7", "eth0"),), connected=0.1, restarted=0.02, resolved=0.003)
STUN = ServerAnswer("stun:a", "udp", relays=False, seconds=0.02, address="198.51.100.1", port=5000)
TURN = ServerAnswer("turn:b", "udp", relays=True, seconds=0.05, address="203.0.113.5", port=6000)
SILENT = replace(STUN, seconds=None, code=701, error="The server did not answer")
REFUSES = replace(TURN, seconds=None, code=401, error="Unauthorized")


def names(facts: Facts) -> list[str]:
    return [problem.name for problem in diagnose(facts)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"servers": (STUN, TURN)}, []),
        ({"addresses": (), "connected": None, "resolved": None}, ["no-address"]),
        ({"servers": (replace(SILENT, has_route=False),)}, ["no-route"]),
        ({"servers": (STUN, SILENT)}, ["server-silent"]),
        # Another server answers over UDP, so that it isn't blocked.
        ({"servers": (STUN, replace(SILENT, accepts_tcp=True))}, ["server-silent"]),
        ({"servers": (replace(SILENT, accepts_tcp=False),)}, ["server-silent"]),
        ({"servers": (replace(SILENT, accepts_tcp=True),)}, ["udp-blocked"]),
        # One that refuses has answered.
        (
            {"servers": (REFUSES, replace(SILENT, accepts_tcp=True))},
            ["wrong-credentials", "server-silent"],
        ),
        ({"servers": (replace(REFUSES, code=486, error="Quota"),)}, ["server-refuses"]),
        ({"connected": None, "restarted": None}, ["no-call"]),
        ({"restarted": None}, ["no-call"]),
        ({"resolved": None}, ["no-mdns"]),
    ],
)
def test_problems(changes: dict[str, object], expected: list[str]) -> None:
    assert names(replace(WELL, **changes)) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("relay", [False, True])
def test_blocked_udp_is_fatal_without_a_relay_over_tcp(relay: bool) -> None:
    servers = [replace(SILENT, accepts_tcp=True)]
    if relay:
        servers.append(replace(TURN, way="tls"))
    (problem,) = diagnose(replace(WELL, servers=tuple(servers)))
    assert (problem.name, problem.is_fatal) == ("udp-blocked", not relay)


def test_what_a_nat_does() -> None:
    one, other = ("198.51.100.1", 5000), ("198.51.100.1", 5001)
    same = replace(WELL, servers=(STUN, STUN), mappings=(("192.0.2.7", (one,)),), observers=2)
    assert (same.is_behind_nat, same.maps_by_destination, names(same)) == (True, False, [])
    unknown = replace(same, observers=1)
    assert (unknown.maps_by_destination, names(unknown)) == (None, [])
    differs = replace(same, mappings=(("192.0.2.7", (one, other)),))
    assert names(differs) == ["symmetric-nat"]
    assert names(replace(differs, servers=(STUN, TURN))) == []
    none = replace(same, mappings=(("198.51.100.1", (one,)),))
    assert none.is_behind_nat is False
    assert WELL.is_behind_nat is None


def test_the_worst_comes_first() -> None:
    assert names(replace(WELL, resolved=None, connected=None)) == ["no-call", "no-mdns"]


@pytest.mark.parametrize(
    "facts",
    [
        WELL,
        Facts(),
        replace(WELL, servers=(STUN, TURN, SILENT, REFUSES)),
        replace(WELL, restarted=None, call_error="no path worked within 5 s"),
    ],
)
def test_the_report_has_all_that_was_seen(facts: Facts) -> None:
    problems = diagnose(facts)
    text = "\n".join(lines_of(facts, problems))
    for problem in problems:
        assert f"[{problem.name}] {problem.text}" in text
    for server in facts.servers:
        assert server.url in text
        assert str(server.address if server.seconds is not None else server.error) in text
    for address, interface in facts.addresses:
        assert f"{interface}  {address}" in text
    assert ("No problem found." in text) is (not problems)
