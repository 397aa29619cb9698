"""The commands in the documentation exist, and take the options that they are shown with."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

from docs.markdown import PAGES, READMES, ROOT, commands

OPTION = re.compile(r"--[a-z][\w-]*")
FILES = [path for path in (*READMES, *PAGES) if commands(path)]
# Programs of others, which the documentation of this one needn't explain.
OTHERS = {
    *("redis-server", "sphinx", "pytest", "python3", "ruff", "apt-get", "install", "systemctl"),
    *("git", "set", "venv"),
}
SUBCOMMANDS = {"check", "files", "record", "token"}
# What scripts start that make a virtual environment first.
STARTED = {
    "./examples/demo": "examples/two_peers.py",
    "./examples/browser/run": "examples/browser/serve.py",
}


def words_of(command: str) -> list[str]:
    """Return the words of a command, without the variables before it and what comes after it."""
    if command.startswith("export "):
        return []
    words = shlex.split(re.split(r"\s[>|]\s?|\s#", command)[0].replace("…", "x"))
    while words and re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    # In a virtual environment elsewhere.
    return [re.sub(r"^/opt/\S+/bin/", "", word) for word in words]


@cache
def help_of(*program: str) -> str:
    result = subprocess.run(
        [*program, "--help"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["tests", *sys.path])},
        capture_output=True,
        text=True,
        timeout=250,
        check=True,
    )
    return result.stdout


def program_of(words: list[str]) -> tuple[str, ...]:
    """Return how to start the program that a command runs, to ask it for help."""
    if words[:2] == ["python", "-m"]:
        subcommand = words[3:4] if words[3:4] and words[3] in SUBCOMMANDS else []
        return (sys.executable, "-m", words[2], *subcommand)
    return (sys.executable, STARTED.get(words[0]) or words[1])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_exist_and_have_their_options(path: Path) -> None:
    for command in commands(path):
        words = words_of(command)
        if (
            not words
            or words[0] in OTHERS
            or (words[:2] == ["python", "-m"] and words[2] in OTHERS)
        ):
            continue
        options = OPTION.findall(command)
        if words[0] == "pip":
            check_extras(command)
            continue
        if "/" in words[0]:
            assert (ROOT / words[0]).exists(), command
        if options or words[0] == "python":
            known = OPTION.findall(help_of(*program_of(words)))
            assert set(options) <= set(known), command


def check_extras(command: str) -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    assert "install" in command
    for extra in re.findall(r"\[(\w+)\]", command):
        assert extra in project["optional-dependencies"], command


def test_there_are_commands() -> None:
    assert sum(len(commands(path)) for path in FILES) > 15


def test_a_fresh_machine_runs_all_of_them() -> None:
    table = tomllib.loads((ROOT / "tests" / "fresh" / "commands.toml").read_text())["command"]
    run = {(command["page"], command["shown"]) for command in table}
    shown = {(path.relative_to(ROOT).as_posix(), line) for path in FILES for line in commands(path)}
    # A page may also name a command in its text.
    in_text = {(p, c) for p, c in run - shown if f"`{c}`" in (ROOT / p).read_text()}
    assert (shown - run, run - shown - in_text) == (set(), set())
