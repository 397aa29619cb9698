"""Counting checks and dividing up traffic, for getStats(). (W28)."""

from restartice.ice.counters import CheckCounter, Traffic, TrafficCounter


def test_round_trips_are_summed_up() -> None:
    checks = CheckCounter()
    checks.asked(10.0)
    checks.answered(10.25)
    checks.took(0.125)
    assert checks.requests_sent == 1
    assert checks.responses_received == 2
    assert checks.round_trip_time == 0.125
    assert checks.total_round_trip_time == 0.375


def test_a_response_that_may_be_to_a_repetition_is_no_measurement() -> None:
    checks = CheckCounter()
    checks.took(0.125)
    checks.took(0.75)
    assert checks.round_trip_time == 0.125
    assert checks.responses_received == 2


def test_a_response_is_counted_once() -> None:
    checks = CheckCounter()
    checks.answered(1.0)
    checks.asked(2.0)
    checks.answered(2.125)
    checks.answered(9.0)
    assert checks.responses_received == 1


def test_traffic_is_the_selected_pairs() -> None:
    total = Traffic()
    counter = TrafficCounter(lambda: total)
    counter.select("first")
    total = Traffic(1, 2, 10, 20)
    assert counter.of("first") == total
    counter.select("second")
    total = Traffic(4, 6, 40, 60)
    assert counter.of("first") == Traffic(1, 2, 10, 20)
    assert counter.of("second") == Traffic(3, 4, 30, 40)
    counter.select(None)
    total = Traffic(9, 9, 90, 90)
    assert counter.of("second") == Traffic(3, 4, 30, 40)
    counter.select("first")
    total = Traffic(10, 10, 100, 100)
    assert counter.of("first") == Traffic(2, 3, 20, 30)


def test_books_are_not_kept_for_ever() -> None:
    total = Traffic()
    counter = TrafficCounter(lambda: total)
    counter.select("first")
    total = Traffic(1, 1, 1, 1)
    counter.select("second")
    total = Traffic(3, 3, 3, 3)
    counter.forget_others({"third"})
    assert counter.of("first") == Traffic()
    assert counter.of("second") == Traffic(2, 2, 2, 2)
