"""Runs aiortc's own tests, from its source distribution, in processes of their own."""

import os
import subprocess
import sys
import tarfile
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import restartice

HERE = Path(__file__).parent
DOWNLOAD_SECONDS = 300
RUN_SECONDS = 600
# The plugins, and the package under test, which needn't be the one that is installed.
ENVIRONMENT = {
    "PATH": "",
    "PYTHONPATH": os.pathsep.join([str(HERE), str(Path(restartice.__file__).parents[1])]),
}
# These take longest, as they play media in real time, so each has a process of its own.
SLOW = ("test_contrib_media.py", "test_rtcpeerconnection.py")


@dataclass(frozen=True)
class Difference:
    """A test of aiortc that restartice doesn't pass, and why it doesn't."""

    test: str
    reason: str
    source: str


def differences() -> dict[str, Difference]:
    """Return the listed differences by test."""
    listed = tomllib.loads((HERE / "differences.toml").read_text())["difference"]
    return {entry["test"]: Difference(**entry) for entry in listed}


def download(version: str, cache: Path) -> Path:
    """Return the folder of aiortc's source distribution, which is downloaded once."""
    folder = cache / f"aiortc-{version}"
    if not folder.exists():
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        source = ["--no-binary", "aiortc", f"aiortc=={version}", "--dest", str(cache)]
        subprocess.run([*pip, *source], check=True, timeout=DOWNLOAD_SECONDS)
        with tarfile.open(cache / f"aiortc-{version}.tar.gz") as archive:
            # Debian's Python 3.11 has no filters yet.
            if hasattr(tarfile, "data_filter"):
                archive.extraction_filter = tarfile.data_filter
            archive.extractall(cache / "unpacked")  # noqa: S202  from the package index
        (cache / "unpacked" / folder.name).rename(folder)
    return folder


@dataclass
class Results:
    """What became of each test, and what to tell about it."""

    passed: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def of(self, file: str) -> set[str]:
        """Return the tests of a file."""
        return {test for test in {*self.passed, *self.failed} if test.split("::")[0] == file}

    def update(self, other: "Results") -> None:
        """Take over the results of a later run of some of the tests."""
        self.passed = (self.passed - other.failed.keys()) | other.passed
        for test in other.passed:
            self.failed.pop(test, None)
        self.failed |= other.failed


class Suite:
    """The tests of an unpacked source distribution."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def files(self) -> list[str]:
        """Return the names of the test files."""
        return sorted(path.name for path in (self.folder / "tests").glob("test_*.py"))

    def run_all(self) -> Results:
        """Run all tests on restartice's classes; those that surprise are run once more.

        The tests have deadlines for a machine that has nothing else to do.
        """
        results = self._run_in_parallel()
        listed = differences()
        if surprising := surprises(results, listed):
            again = self.run(surprising)
            cured = surprising - surprises(again, listed)
            results.notes += [f"{test}: as expected when run again" for test in sorted(cured)]
            results.update(again)
        return results

    def _run_in_parallel(self) -> Results:
        rest = [name for name in self.files() if name not in SLOW]
        results = Results()
        with ThreadPoolExecutor() as executor:
            for part in executor.map(self.run, [*([name] for name in SLOW), rest]):
                results.update(part)
        return results

    def run(self, tests: Iterable[str], *, plain: bool = False) -> Results:
        """Run tests, on restartice's classes unless `plain`."""
        names = [f"tests/{test}" for test in sorted(tests)]
        report = self.folder / f"{Path(names[0].split('::')[0]).stem}{len(names)}.xml"
        report.unlink(missing_ok=True)
        process = subprocess.run(
            [*self._pytest(plain=plain), f"--junitxml={report}", *names],
            cwd=self.folder,
            env=ENVIRONMENT,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
        )
        if process.returncode not in {0, 1} or not report.exists():
            raise AssertionError(f"aiortc's tests didn't run:\n{process.stdout}{process.stderr}")
        return read_report(report)

    def _pytest(self, *, plain: bool) -> list[str]:
        plugins = ["no:cacheprovider", "no:asyncio", "no:cov", "on_loopback"]
        if not plain:
            plugins.append("substitution")
        options = [part for plugin in plugins for part in ("-p", plugin)]
        # Neither this project's configuration nor a conftest.py of it applies there.
        alone = ["-c", "pyproject.toml", "--rootdir", ".", "--confcutdir", "."]
        return [sys.executable, "-m", "pytest", "-q", "--timeout=300", *alone, *options]


def surprises(results: Results, listed: dict[str, Difference]) -> set[str]:
    """Return the tests that failed although they aren't listed, or passed although they are."""
    return (results.failed.keys() - listed.keys()) | (results.passed & listed.keys())


def read_report(report: Path) -> Results:
    """Read what JUnit's format says of each test; skipped ones are left out."""
    results = Results()
    for case in ET.parse(report).iter("testcase"):  # noqa: S314  written by our own process
        test = test_id(case.get("classname", ""), case.get("name", ""))
        problems = [entry for entry in case if entry.tag in {"failure", "error"}]
        if problems:
            results.failed[test] = "\n".join(problem.text or "" for problem in problems)
        elif case.find("skipped") is None:
            results.passed.add(test)
    return results


def test_id(class_name: str, name: str) -> str:
    """Return `test_x.py::Case::test_y` for `tests.test_x.Case` and `test_y`."""
    # A file that can't be imported has no class name.
    parts = (class_name or name).split(".")[1:]
    return "::".join([f"{parts[0]}.py", *parts[1:], *([name] if class_name else [])])
