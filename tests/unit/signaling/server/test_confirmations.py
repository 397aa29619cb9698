"""How many replicas must confirm."""

from restartice_signaling.server.rooms.confirmations import GRACE, Confirmations


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_all_that_have_confirmed_are_needed() -> None:
    confirmations = Confirmations(1, Clock())
    assert confirmations.are_enough(1, 1)
    assert confirmations.are_enough(3, 1)
    assert confirmations.needed == 3
    assert not confirmations.are_enough(2, 3)


def test_one_that_is_silent_is_needed_for_a_while() -> None:
    clock = Clock()
    confirmations = Confirmations(1, clock)
    assert confirmations.are_enough(2, 1)
    clock.now += GRACE
    assert not confirmations.are_enough(1, 2)
    clock.now += 0.1
    assert confirmations.are_enough(1, 2)
    assert confirmations.needed == 1


def test_it_counts_from_the_last_time_that_there_were_enough() -> None:
    clock = Clock()
    confirmations = Confirmations(1, clock)
    for _ in range(3):
        assert confirmations.are_enough(2, 1)
        clock.now += GRACE - 1
    assert not confirmations.are_enough(1, 2)


def test_never_fewer_than_the_least() -> None:
    clock = Clock()
    confirmations = Confirmations(2, clock)
    assert confirmations.are_enough(3, 2)
    clock.now += GRACE + 1
    assert not confirmations.are_enough(1, 3)
    assert confirmations.needed == 2
    clock.now += GRACE + 1
    assert not confirmations.are_enough(1, 2)
    assert confirmations.are_enough(2, 2)


def test_steps_that_began_before_one_more_was_counted() -> None:
    clock = Clock()
    confirmations = Confirmations(1, clock)
    assert confirmations.are_enough(2, 1)
    clock.now += GRACE + 1
    # WAIT 1 says one as soon as one has confirmed: the other one isn't silent.
    assert confirmations.are_enough(1, 1)
    assert confirmations.needed == 2
