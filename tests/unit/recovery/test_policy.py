"""When ICE is restarted without anybody asking for it, at times that the tests make up."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from restartice import (
    RecoverySettings,
    RestartEvent,
    RestartFailed,
    RestartStarted,
    RestartSucceeded,
)
from restartice.recovery.policy import GRACE, Observation, Recovery

SETTINGS = RecoverySettings()
WIFI, LTE = "10.0.0.1", "10.1.0.1"


class World:
    """A connection that the recovery sees, and what becomes of it."""

    def __init__(self, *, polite: bool = False) -> None:
        self.now = 100.0
        self.recovery = Recovery(SETTINGS)
        self.events: list[RestartEvent] = []
        self.seen = Observation(
            ice_state="completed",
            negotiating=False,
            generation=("g0",),
            on_newest=True,
            selected=frozenset({WIFI}),
            addresses=frozenset({WIFI}),
            polite=polite,
        )
        self.see()

    def see(self, **changes: Any) -> list[RestartEvent]:
        """Let something change; return what followed at once."""
        self.seen = replace(self.seen, **changes)
        events = self.recovery.advance(self.now, self.seen)
        self.events += events
        return events

    def wait(self, seconds: float) -> list[RestartEvent]:
        """Let time pass; return what followed."""
        end, events = self.now + seconds, []
        while self.recovery.wake_at <= end:
            self.now = max(self.now, self.recovery.wake_at)
            events += self.see()
            assert self.recovery.wake_at > self.now
        self.now = end
        return events

    def negotiate(self, generation: str, state: str = "checking") -> None:
        """Offer, answer, and checks that have begun."""
        self.see(negotiating=True, generation=(generation,), on_newest=False)
        self.now += 0.1
        self.see(negotiating=False)
        self.see(ice_state=state)

    def succeed(self, address: str = WIFI) -> list[RestartEvent]:
        return self.see(ice_state="completed", on_newest=True, selected=frozenset({address}))


def reasons(events: list[RestartEvent]) -> list[str]:
    return [event.reason for event in events if isinstance(event, RestartStarted)]


def test_nothing_to_do() -> None:
    world = World()
    assert world.wait(1000) == []
    assert world.see(ice_state="connected") == []
    assert world.wait(1000) == []


def test_failed_is_restarted_at_once() -> None:
    world = World()
    assert world.see(ice_state="failed", selected=frozenset()) == [RestartStarted("failed", 1)]
    world.negotiate("g1")
    world.now += 0.2
    (succeeded,) = world.succeed()
    assert isinstance(succeeded, RestartSucceeded)
    assert succeeded.seconds == pytest.approx(0.3)
    assert world.wait(100) == []


def test_the_polite_peer_gives_way() -> None:
    world = World(polite=True)
    assert world.see(ice_state="failed") == []
    assert world.wait(SETTINGS.give_way - 0.01) == []
    assert reasons(world.wait(0.02)) == ["failed"]


def test_a_restart_by_the_other_peer_serves_both() -> None:
    world = World(polite=True)
    world.see(ice_state="failed")
    world.now += 0.1
    world.negotiate("g1")
    assert reasons(world.events) == ["requested"]
    world.succeed()
    assert world.wait(100) == []
    assert isinstance(world.events[-1], RestartSucceeded)


def test_disconnected_must_last() -> None:
    world = World()
    world.see(ice_state="disconnected")
    assert world.wait(SETTINGS.disconnected_for - 0.01) == []
    world.see(ice_state="completed")
    assert world.wait(10) == []
    world.see(ice_state="disconnected")
    assert reasons(world.wait(SETTINGS.disconnected_for)) == ["disconnected"]


def test_the_address_in_use_is_gone() -> None:
    world = World()
    world.see(addresses=frozenset({WIFI, LTE}))
    assert reasons(world.wait(1)) == ["network changed"]
    world.negotiate("g1", "connected")
    world.succeed()
    world.wait(10)
    assert reasons(world.see(addresses=frozenset({LTE}))) == ["address lost"]
    world.negotiate("g2", "connected")
    world.succeed(LTE)
    assert world.wait(100) == []


def on_two_networks() -> World:
    """Return a world whose generation knows of both, and has a pair ready on the other one."""
    world = World()
    world.see(addresses=frozenset({WIFI, LTE}), generation=("g1",))
    world.succeed()
    world.see(spares=frozenset({LTE}))
    world.wait(10)
    return world


def test_a_spare_takes_over_when_the_address_is_gone() -> None:
    world = on_two_networks()
    before = len(world.events)
    assert world.see(addresses=frozenset({LTE})) == []
    assert world.wait(SETTINGS.spare_time - 0.01) == []
    world.see(selected=frozenset({LTE}), spares=frozenset())
    assert world.wait(100) == []
    assert len(world.events) == before


def test_a_spare_that_does_not_take_over_is_not_waited_for() -> None:
    world = on_two_networks()
    world.see(addresses=frozenset({LTE}))
    assert world.wait(SETTINGS.spare_time - 0.01) == []
    assert reasons(world.wait(0.02)) == ["address lost"]


def test_a_spare_at_an_address_that_is_gone_is_none() -> None:
    world = on_two_networks()
    assert reasons(world.see(addresses=frozenset({"10.2.0.1"}))) == ["address lost"]


@pytest.mark.parametrize("prefers", [True, False])
def test_a_network_that_has_joined_is_restarted_for_unless_one_is_preferred(
    *, prefers: bool
) -> None:
    """Where the program ranks networks, the call goes over when a better one has proved itself."""
    world = World()
    world.see(prefers=prefers)
    world.see(addresses=frozenset({WIFI, LTE}))
    world.wait(SETTINGS.settle_time / 2)
    world.see(spares=frozenset({LTE}))
    assert reasons(world.wait(10)) == ([] if prefers else ["network changed"])
    if prefers:
        # It has as good as been gathered.
        world.see(selected=frozenset({LTE}), spares=frozenset({WIFI}))
        assert world.wait(100) == []
        world.see(addresses=frozenset({WIFI}), spares=frozenset())
        assert reasons(world.events) == ["address lost"]


def test_an_address_that_is_not_in_use_may_go() -> None:
    world = World()
    world.see(addresses=frozenset({WIFI, LTE}))
    world.wait(1)
    world.negotiate("g1", "connected")
    world.succeed()
    world.see(addresses=frozenset({WIFI}))
    assert world.wait(100) == []


def test_addresses_that_come_one_by_one_make_one_restart() -> None:
    world = World()
    for number in range(5):
        addresses = world.seen.addresses | {f"10.2.0.{number}"}
        assert world.see(addresses=addresses) == []
        assert world.wait(SETTINGS.settle_time / 2) == []
    assert reasons(world.wait(1)) == ["network changed"]
    world.negotiate("g1", "connected")
    world.succeed()
    assert world.wait(100) == []


def test_a_relayed_pair_may_stand_on_what_is_gone() -> None:
    world = World()
    world.see(addresses=frozenset({WIFI, LTE}), generation=("g1",))
    world.succeed("192.0.2.1")
    world.see(addresses=frozenset({LTE}))
    assert reasons(world.wait(1)) == ["network changed"]


def test_failures_are_repeated_ever_later_at_first() -> None:
    world = World()
    world.see(ice_state="failed", on_newest=False)
    begins = [world.now]
    for number in range(1, 8):
        world.negotiate(f"g{number}")
        world.now += 0.1
        world.see(ice_state="failed")
        before = len(reasons(world.events))
        while len(reasons(world.events)) == before:
            world.wait(0.1)
        begins.append(world.now)
    waits = [after - before for before, after in itertools.pairwise(begins)]
    assert waits == pytest.approx([GRACE + 0.2, 2, 4, 8, 15, 15, 15], abs=0.3)
    attempts = [event.attempt for event in world.events if isinstance(event, RestartStarted)]
    assert attempts == list(range(1, 9))


def test_a_restart_on_an_old_network_is_not_waited_for() -> None:
    world = World()
    world.see(ice_state="failed", selected=frozenset(), on_newest=False)
    world.negotiate("g1")
    world.now += 3
    events = world.see(addresses=frozenset({WIFI, LTE})) + world.wait(SETTINGS.settle_time)
    assert [type(event) for event in events] == [RestartFailed, RestartStarted]
    world.negotiate("g2")
    world.succeed(LTE)
    assert world.wait(100) == []


def test_a_peer_that_ignores_restarts() -> None:
    world = World()
    world.see(ice_state="disconnected")
    world.wait(SETTINGS.disconnected_for)
    world.see(negotiating=True, generation=("g1",), on_newest=False)
    # The answer has the credentials that it always had, and so our generation is discarded.
    world.see(negotiating=False, generation=("g0",), on_newest=True)
    events = world.wait(GRACE)
    assert isinstance(events[0], RestartFailed)
    assert events[0].reason == "ignored"


def test_a_restart_that_fails_beside_a_pair_that_works() -> None:
    world = World()
    world.see(generation=("g1",), on_newest=False, negotiating=True)
    world.see(negotiating=False)
    world.see(ice_state="connected")
    world.now += 15
    world.see(ice_state="completed")
    events = world.wait(GRACE)
    assert [(type(event), getattr(event, "reason", "")) for event in events] == [
        (RestartFailed, "no pair works")
    ]
    assert world.wait(100) == []


def test_no_answer() -> None:
    world = World()
    world.see(ice_state="failed")
    world.see(negotiating=True, generation=("g1",), on_newest=False)
    (failed,) = world.wait(SETTINGS.attempt_timeout + 60)
    assert isinstance(failed, RestartFailed)
    assert failed.reason == "no answer"
    # The answer comes after all.
    world.see(negotiating=False, ice_state="checking")
    world.succeed()
    assert world.wait(100) == []


def test_a_network_that_flaps_makes_no_storm() -> None:
    world = World()
    count = 0
    for number in range(200):
        addresses = frozenset({LTE}) if number % 2 else frozenset({WIFI})
        events = world.see(addresses=addresses) + world.wait(0.05)
        for _ in reasons(events):
            count += 1
            world.negotiate(f"g{count}", "connected")
            world.succeed(next(iter(addresses)))
    assert count <= 200 * 0.2 / SETTINGS.first_wait


@pytest.mark.parametrize("done", [False, True], ids=["under way", "done"])
def test_an_address_that_is_gone_right_after_another_restart(*, done: bool) -> None:
    world = World()
    world.see(addresses=frozenset({WIFI, LTE}))
    assert reasons(world.wait(SETTINGS.settle_time)) == ["network changed"]
    world.negotiate("g1", "connected")
    if done:
        world.succeed()
    assert reasons(world.see(addresses=frozenset({LTE}))) == ["address lost"]
    world.negotiate("g2", "connected")
    world.succeed(LTE)
    # The next one waits.
    assert world.see(addresses=frozenset({WIFI})) == []
    assert reasons(world.wait(SETTINGS.first_wait)) == ["address lost"]


def test_an_address_that_is_gone_waits_after_failures() -> None:
    world = World()
    world.see(ice_state="failed", on_newest=False)
    for generation in ("g1", "g2"):
        world.negotiate(generation)
        world.see(ice_state="failed")
        world.wait(GRACE)
    failed = world.events[-1]
    assert isinstance(failed, RestartFailed)
    assert failed.retry_in > 0.5
    assert world.see(ice_state="disconnected", addresses=frozenset({LTE})) == []
    assert reasons(world.wait(failed.retry_in)) == ["address lost"]


@pytest.mark.parametrize("state", ["new", "closed"])
def test_not_before_and_not_after(state: str) -> None:
    world = World()
    world.see(ice_state=state, addresses=frozenset({LTE}))
    assert world.wait(100) == []


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "1", None, True])
def test_settings_are_numbers(value: Any) -> None:
    with pytest.raises(ValueError, match="give_way"):
        RecoverySettings(give_way=value)
