"""How the runs of tests in CI are added up."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def lanes() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lanes", ROOT / ".ci" / "lanes.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def outcome(lanes: ModuleType, status: int, summary: str) -> object:
    return lanes.Outcome(lanes.Lane("some", ()), status, f"...\n{summary}\n")


@pytest.mark.parametrize(
    ("status", "summary", "line"),
    [
        (0, "88 passed in 61.53s (0:01:01)", "90 passed, 0 failed"),
        (0, "===== 88 passed, 2 xfailed in 0.5s =====", "90 passed, 0 failed, 2 xfailed"),
        (1, "1 failed, 88 passed in 61.53s", "90 passed, 1 failed"),
        (1, "1 failed, 88 passed, 2 errors in 61.53s", "90 passed, 1 failed, 2 error"),
        (-9, "Killed", "2 passed, 0 failed"),
        (0, "no tests ran in 0.1s", "2 passed, 0 failed"),
    ],
)
def test_sum(
    lanes: ModuleType,
    capsys: pytest.CaptureFixture[str],
    status: int,
    summary: str,
    line: str,
) -> None:
    good = outcome(lanes, 0, "2 passed in 1.00s")
    found = lanes.conclude([good, outcome(lanes, status, summary)])
    assert capsys.readouterr().out.splitlines()[-1] == line
    assert found == (0 if status == 0 and "passed" in summary else 1)


def test_the_end_repeats_what_failed(lanes: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    bad = outcome(lanes, 1, "FAILED tests/a.py::test_it - assert 1 == 2\n1 failed in 1.00s")
    lanes.conclude([bad, outcome(lanes, 0, "2 passed in 1.00s")])
    assert capsys.readouterr().out.splitlines() == [
        "FAILED tests/a.py::test_it - assert 1 == 2",
        "not well: some",
        "2 passed, 1 failed",
    ]


def test_skipping_is_failing_in_ci(lanes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    some = outcome(lanes, 0, "2 passed, 1 skipped in 1.00s")
    monkeypatch.setenv("CI", "")
    assert lanes.conclude([some]) == 0
    monkeypatch.setenv("CI", "true")
    assert lanes.conclude([some]) == 1


def test_each_test_is_in_one_lane(lanes: ModuleType) -> None:
    commands = [lane.command for stage in lanes.stages() for lane in stage]
    for path in (ROOT / "tests").glob("**/test_*.py"):
        name = path.relative_to(ROOT)
        around = {str(name), *map(str, name.parents)}
        runs = [c for c in commands if around & {part.removesuffix("/run") for part in c}]
        taken = [c for c in runs if not any(f"--ignore={one}" in c for one in around)]
        assert len(taken) == 1, name


def test_the_time_of_a_lane_is_told(
    lanes: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    program = "print('3 passed in 1.00s'); exit({})"
    both = [lanes.Lane(str(n), (sys.executable, "-c", program.format(n))) for n in range(2)]
    outcomes = list(lanes.run(both, tmp_path))
    assert {found.lane.name: found.status for found in outcomes} == {"0": 0, "1": 1}
    assert [found.counts()["passed"] for found in outcomes] == [3, 3]
    assert len(re.findall(r"processor \d+ s, exit status", capsys.readouterr().out)) == 2
