"""The versions of Python, aiortc and aioice that are tried, and what came of each."""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / ".venv-versions"
UV = Path(sys.executable).with_name("uv")
SUPPORTED = (("1.16.0", "0.13.0"), ("1.16.0", "0.12.1"))
# What is newer than the bounds allow, when there is something, and what is older.
OTHERS = (
    ("", ""),
    ("1.16.0", "0.12.0"),
    ("1.15.0", "0.13.0"),
    ("1.14.0", "0.12.1"),
    ("1.14.0", "0.10.2"),
)
PYTHONS = ("3.11", "3.12", "3.13")
NEEDED = ("ifaddr", "pyee", "PyJWT", "msgspec", "websockets", "redis", "numpy", "hypothesis")
TEST_TOOLS = ("pytest>=8.3", "pytest-asyncio>=1.0", "pytest-timeout>=2.3")
TESTS = (
    "tests/unit/seam/test_seam.py",
    "tests/unit/media/test_jitterbuffer.py",
    "tests/integration/test_restart.py",
    "tests/integration/test_trickle.py",
    "tests/integration/test_media_after_an_outage.py",
    "tests/integration/test_restart_with_aiortc.py",
    "tests/integration/test_negotiator.py",
)
RUN_SECONDS = 900


@dataclass(frozen=True)
class Combination:
    """Versions that are tried together; an empty one is the newest there is."""

    python: str
    aiortc: str
    aioice: str

    @property
    def environment(self) -> Path:
        """The folder of the environment."""
        return ENVIRONMENTS / "-".join(
            (self.python, self.aiortc or "newest", self.aioice or "newest")
        )


def combinations(pythons: list[str]) -> Iterator[Combination]:
    """Yield what is tried: all with the first Python, and one with each other."""
    first, *others = pythons
    for aiortc, aioice in (*SUPPORTED, *OTHERS):
        yield Combination(first, aiortc, aioice)
    for python in others:
        yield Combination(python, *SUPPORTED[0])


def run(*command: str | Path, check: bool = True) -> "subprocess.CompletedProcess[str]":
    """Run a command in the project's folder, and catch what it says."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        check=check,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        env={**os.environ, "UV_PYTHON_DOWNLOADS": "never", "PYTHONWARNINGS": ""},
    )


def interpreter(tried: Combination) -> str:
    """Return the path of one that pyenv has installed, or else the version, for uv to find."""
    installed = sorted((Path.home() / ".pyenv" / "versions").glob(f"{tried.python}.*/bin/python"))
    return str(installed[-1]) if installed else tried.python


def install(tried: Combination) -> str:
    """Make the environment; return nothing, or why that can't be."""
    python = tried.environment / "bin" / "python"
    made = run(
        UV, "venv", "-q", "--clear", "-p", interpreter(tried), tried.environment, check=False
    )
    if made.returncode:
        return "not on this machine"
    wanted = [
        f"{name}=={number}" if number else name
        for name, number in (("aiortc", tried.aiortc), ("aioice", tried.aioice))
    ]
    # restartice's own bounds are what is tried, so they don't count here.
    for what in ((*wanted, *NEEDED, *TEST_TOOLS), ("--no-deps", "-e", ".")):
        installed = run(UV, "pip", "install", "-q", "-p", python, *what, check=False)
        if installed.returncode:
            return f"can't be installed: {installed.stderr.strip().splitlines()[-1]}"
    return ""


def outcome(tried: Combination) -> str:
    """Return what came of a combination, in some words."""
    if problem := install(tried):
        return problem
    python = tried.environment / "bin" / "python"
    imported = run(python, "-c", "import restartice", check=False)
    if imported.returncode:
        return f"refused: {imported.stderr.strip().splitlines()[-1]}"
    pytest = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "default")
    tests = run(python, *pytest, "--disable-warnings", *TESTS, check=False)
    (tried.environment / "tests.log").write_text(tests.stdout + tests.stderr)
    return tests.stdout.strip().splitlines()[-1].strip("= ")


def installed_versions(tried: Combination) -> list[str]:
    """Return the versions that were installed, or those that were asked for."""
    python = tried.environment / "bin" / "python"
    code = (
        "import platform; from importlib.metadata import version as v;"
        "print(platform.python_version(), v('aiortc'), v('aioice'), v('av'))"
    )
    told = run(python, "-c", code, check=False) if python.exists() else None
    if told is None or told.returncode:
        return [tried.python, tried.aiortc, tried.aioice, ""]
    return told.stdout.split()


def main() -> None:
    """Try all and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", action="append", help="a version of Python; may be repeated")
    arguments = parser.parse_args()
    print("| Python | aiortc | aioice | av | outcome |\n|---|---|---|---|---|", flush=True)
    for tried in combinations(arguments.python or list(PYTHONS)):
        result = outcome(tried)
        print(f"| {' | '.join([*installed_versions(tried), result])} |", flush=True)


if __name__ == "__main__":
    main()
