import pytest

from restartice_signaling.server.admission import SHORT_STAY, AdmissionQueue, source_of


def churning(rate: float = 10.0) -> AdmissionQueue[str]:
    """Return turns of a server where many have just come and gone."""
    turns = AdmissionQueue[str](rate)
    for _ in range(100):
        turns.note_end(0.1, 0.0)
    return turns


def take_all(turns: AdmissionQueue[str], now: float) -> list[str]:
    return [guest for _ in range(len(turns)) if (guest := turns.take_next(now)) is not None]


def test_who_comes_and_stays_never_waits() -> None:
    turns = AdmissionQueue[str](10.0)
    assert all(turns.ask(f"{number}", "a", 0.0) for number in range(400))
    for _ in range(400):
        turns.note_end(SHORT_STAY, 0.0)
    assert turns.ask("another", "a", 0.0)


def test_who_comes_waits_while_many_come_and_go() -> None:
    turns = churning()
    assert turns.ask("first", "a", 0.0)
    assert not turns.ask("second", "a", 0.0)
    assert turns.delay(0.0) == pytest.approx(0.1)
    assert turns.delay(0.2) <= 0
    # Nobody overtakes.
    assert not turns.ask("third", "a", 0.2)
    assert turns.take_next(0.2) == "second"
    assert turns.delay(0.2) == pytest.approx(0.1)
    assert turns.take_next(0.3) == "third"
    assert turns.take_next(0.4) is None


def test_it_is_over_soon_however_many_came_and_went() -> None:
    turns = churning()
    turns.ask("first", "a", 0.0)
    assert turns.delay(1.9) <= 0
    assert turns.ask("second", "a", 2.1)
    assert turns.ask("third", "a", 2.1)


def test_addresses_take_turns() -> None:
    turns = churning()
    turns.ask("first", "a", 0.0)
    for number in range(3):
        turns.ask(f"a{number}", "a", 0.0)
    turns.ask("b0", "b", 0.0)
    turns.ask("c0", "c", 0.0)
    assert turns.newest_of_most() == "a2"
    assert take_all(turns, 0.0) == ["a0", "b0", "c0", "a1", "a2"]
    assert turns.newest_of_most() is None


def test_who_has_gone_is_not_waited_for() -> None:
    turns = churning()
    turns.ask("first", "a", 0.0)
    turns.ask("second", "a", 0.0)
    turns.ask("third", "b", 0.0)
    turns.forget("second", "a")
    turns.forget("nobody", "z")
    assert take_all(turns, 0.0) == ["third"]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        (("192.0.2.1", 50000), "192.0.2.1"),
        (("2001:db8:0:1:2:3:4:5", 50000, 0, 0), "2001:db8:0:1::/64"),
        (("fe80::1%eth0", 50000, 0, 2), "fe80::/64"),
        (("::ffff:192.0.2.1", 50000, 0, 0), "192.0.2.1"),
        ("/run/socket", ""),
        (None, ""),
    ],
)
def test_a_host_is_one_source(name: object, source: str) -> None:
    assert source_of(name) == source
