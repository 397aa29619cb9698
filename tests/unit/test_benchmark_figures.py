import math

import pytest

from benchmarks.figures import Summary, percentile, ratio, silence


def test_summary_of_rounds() -> None:
    summary = Summary.of([[3.0, 1.0, 2.0], [], [10.0, 12.0, 11.0]])
    assert summary == Summary(count=6, median=6.5, p95=12.0, best=2.0)


def test_summary_of_one_value() -> None:
    assert Summary.of([[4.0]]) == Summary(count=1, median=4.0, p95=4.0, best=4.0)


@pytest.mark.parametrize("rounds", [[], [[]], [[1.0, math.nan]], [[math.inf]]])
def test_summary_of_nothing_measurable(rounds: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="measured"):
        Summary.of(rounds)


@pytest.mark.parametrize(
    ("percent", "value"), [(0, 1), (5, 1), (6, 2), (50, 10), (95, 19), (100, 20)]
)
def test_percentile(percent: float, value: float) -> None:
    assert percentile(range(20, 0, -1), percent) == value


def test_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="no value"):
        percentile([], 50)
    with pytest.raises(ValueError, match="within 0 and 100"):
        percentile([1.0], 101)


def test_ratio() -> None:
    ours, theirs = Summary.of([[1.0]]), Summary.of([[4.0]])
    assert ratio(ours, theirs) == 0.25
    assert ratio(ours, None) is None
    assert ratio(None, theirs) is None
    assert ratio(ours, Summary.of([[0.0]])) is None


def test_silence_ends_with_the_first_arrival_by_the_new_path() -> None:
    arrivals = [8.0, 9.99, 10.01, 12.51, 12.52, 12.53]
    assert silence(arrivals, lost=10.0, now=12.6) == pytest.approx(2.5)


def test_silence_of_before_does_not_count() -> None:
    assert silence([1.0, 9.9, 10.1, 10.2], lost=10.0, now=10.3) == pytest.approx(0.2)


@pytest.mark.parametrize("arrivals", [[], [9.99], [9.99, 10.05]])
def test_silence_that_lasts(arrivals: list[float]) -> None:
    assert silence(arrivals, lost=10.0, now=11.0) is None
