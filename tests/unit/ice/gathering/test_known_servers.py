"""What is remembered of STUN servers, and for how long."""

from restartice.ice.gathering.known_servers import LIFETIME, LIMIT, KnownServers, Verdict

SERVER = ("192.0.2.1", 3478)
HOME, WORK = frozenset({"192.0.2.5"}), frozenset({"198.51.100.5"})


def test_each_network_has_its_own_verdict() -> None:
    known = KnownServers()
    known.note(SERVER, HOME, Verdict.SILENT, now=0)
    known.note(SERVER, WORK, Verdict.NO_NAT, now=0)
    assert known.verdict(SERVER, HOME, now=1) is Verdict.SILENT
    assert known.verdict(SERVER, WORK, now=1) is Verdict.NO_NAT
    assert known.verdict(("192.0.2.2", 3478), HOME, now=1) is None


def test_the_last_one_counts_for_a_while() -> None:
    known = KnownServers()
    known.note(SERVER, HOME, Verdict.SILENT, now=0)
    known.note(SERVER, HOME, Verdict.NO_NAT, now=10)
    assert known.verdict(SERVER, HOME, now=9 + LIFETIME) is Verdict.NO_NAT
    assert known.verdict(SERVER, HOME, now=10 + LIFETIME) is None


def test_forgotten() -> None:
    known = KnownServers()
    known.note(SERVER, HOME, Verdict.SILENT, now=0)
    known.forget(SERVER, HOME)
    known.forget(SERVER, WORK)
    assert known.verdict(SERVER, HOME, now=0) is None


def test_only_the_latest_are_kept() -> None:
    known = KnownServers()
    for port in range(LIMIT + 1):
        known.note((SERVER[0], port), HOME, Verdict.SILENT, now=port)
        known.note((SERVER[0], 0), HOME, Verdict.SILENT, now=port)
    kept = [known.verdict((SERVER[0], port), HOME, now=LIMIT) for port in range(LIMIT + 1)]
    assert kept[:3] == [Verdict.SILENT, None, Verdict.SILENT]
    assert kept.count(None) == 1
