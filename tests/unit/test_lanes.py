"""How the runs of tests in CI are added up."""

import importlib.util
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


def test_skipping_is_failing_in_ci(lanes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    some = outcome(lanes, 0, "2 passed, 1 skipped in 1.00s")
    monkeypatch.setenv("CI", "")
    assert lanes.conclude([some]) == 0
    monkeypatch.setenv("CI", "true")
    assert lanes.conclude([some]) == 1


def test_each_folder_of_tests_is_in_one_lane(lanes: ModuleType) -> None:
    commands = [lane.command for stage in lanes.stages() for lane in stage]
    rest = next(command for command in commands if "tests" in command)
    for folder in (path.parent for path in (ROOT / "tests").glob("*/test_*.py")):
        name = f"tests/{folder.name}"
        named = [c for c in commands if name in c or f"{name}/run" in c]
        assert len(named) == (f"--ignore={name}" in rest), name
