"""The benchmark's measurements work. What they come to isn't judged here."""

import sys
from pathlib import Path

import pytest

from benchmarks.figures import Summary
from benchmarks.load import run, table
from benchmarks.measurements import MEASUREMENTS, Measured
from benchmarks.plan import TARGETS, plan
from benchmarks.report import Results, overview, summarize, targets_table
from benchmarks.report import table as report_table
from benchmarks.stacks import load
from kernel import overflowed

TRIES = 3


@pytest.mark.parametrize(
    ("measurement", "stack", "options"),
    [
        ("setup", "restartice", {"count": 1, "trickle": True}),
        ("setup", "aiortc", {"count": 1, "trickle": False}),
        ("setup", "restartice", {"count": 1, "trickle": False, "media": True}),
        ("causes", "restartice", {"count": 1}),
        ("causes", "aiortc", {"count": 1, "media": True}),
        ("restart", "restartice", {"count": 2, "trickle": True}),
        ("apart", "restartice", {"count": 1}),
        ("throughput", "restartice", {"count": 50}),
        ("rtp", "restartice", {"count": 50}),
        ("guard", "restartice", {"count": 20, "rounds": 2}),
        ("soak", "restartice", {"count": 100, "quiet": 0.5}),
        ("growth", "aiortc", {"count": 1, "idle": 0.1}),
        ("relay", "restartice", {"count": 3}),
        ("relayed", "restartice", {"count": 1}),
        ("relayed", "aiortc", {"count": 1}),
        ("addresses", "restartice", {"count": 1, "number": 5, "restarts": 1}),
        ("addresses", "aiortc", {"count": 1, "number": 5, "restarts": 0}),
    ],
)
async def test_each_measurement_measures(
    measurement: str, stack: str, options: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    # For what runs in a process of its own.
    monkeypatch.setenv("RESTARTICE_LOOPBACK", "1")
    measured = await measure(measurement, stack, options)
    assert measured
    for name, values in measured.items():
        assert values, name
    assert measured.get("lost (messages)", [0.0]) == [0.0]
    assert measured.get("received (RTP packets)", [1.0])[0] > 0


async def measure(measurement: str, stack: str, options: dict[str, float]) -> Measured:
    """Measure, once more if the kernel has lost datagrams, which are counted as lost messages."""
    for _ in range(TRIES):
        before = overflowed()
        measured = await MEASUREMENTS[measurement](load(stack), **options)
        if measured.get("lost (messages)", [0.0]) == [0.0] or overflowed() == before:
            break
    return measured


async def test_the_load_on_the_signaling_server_is_measured_beside_an_echo() -> None:
    figures = await run(rooms=3, rates=[20.0], seconds=0.5, rounds=1)
    for of_one in figures.values():
        assert of_one["at most (messages/s)"] > 60
        assert 10 < of_one["of 60 messages/s (messages/s)"] < 70
        assert of_one["of 60 messages/s, latency, median (ms)"] > 0
    assert "ratio" in table(figures)


def test_the_plan_runs_programs_that_are_there() -> None:
    for case in plan(1.0):
        assert case.command[0] == sys.executable
        assert Path(case.command[1]).is_file()


def test_the_targets_are_about_what_is_measured() -> None:
    cases = {(case.name, case.stack) for case in plan(1.0)}
    for target in TARGETS:
        assert {(target.name, "restartice"), (target.name, target.against)} <= cases


def test_tables() -> None:
    results: Results = {
        "restart": {
            "restartice": {"time (ms)": [[1.0, 2.0, 3.0]]},
            "libwebrtc": {"time (ms)": [[100.0], [300.0]]},
        },
        "set-up": {"aiortc": {"time (ms)": [[]]}},
    }
    summaries = summarize(results)
    assert summaries["restart"]["restartice"]["time (ms)"] == Summary(3, 2.0, 3.0, 2.0)
    assert report_table(summaries).splitlines()[2:] == [
        "| restart: time (ms) | restartice | 2 | 3 | 2 | 3 |",
        "| restart: time (ms) | libwebrtc | 200 | 300 | 100 | 2 |",
        "| set-up: time (ms) | aiortc | never | never | never | 0 |",
    ]
    lines = targets_table(summaries).splitlines()
    assert lines[2] == "| restart | libwebrtc | ≤ 0.05 | 0.010 | yes |"
    assert lines[4] == "| set-up | aiortc | ≤ 0.5 | not measured | |"
    assert overview(summaries).splitlines() == [
        "| median (p95) | restartice | libwebrtc | aiortc |",
        "|---|---|---|---|",
        "| set-up: time (ms) | - | - | never |",
        "| restart: time (ms) | 2 (3) | 200 (300) | - |",
    ]
