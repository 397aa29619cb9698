"""What the first start of the demo installs, and the second doesn't."""

import os
import shutil
import subprocess
from pathlib import Path

ENVIRONMENT = Path(__file__).parents[2] / ".ci" / "environment"
PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "an-example"
version = "1"

[tool.hatch.build.targets.wheel]
packages = ["src/example"]
"""
# An index that refuses each connection, as if there were no network.
UNREACHABLE = {
    "PIP_INDEX_URL": "http://127.0.0.1:9",
    "PIP_EXTRA_INDEX_URL": "",
    "PIP_FIND_LINKS": "",
    "PIP_RETRIES": "0",
    "PIP_CONFIG_FILE": os.devnull,
}


def set_up(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    script = "set -euo pipefail; . .ci/environment; make_environment ."
    inherited = {k: v for k, v in os.environ.items() if k not in ("RESTARTICE_VENV", "PYTHONPATH")}
    return subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=inherited | environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=280,
    )


def test_only_what_has_changed_is_installed_again(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ENVIRONMENT, tmp_path / ".ci")
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    for name in ("README.md", "LICENSE"):
        (tmp_path / name).touch()
    (tmp_path / "signaling").mkdir()
    source = tmp_path / "src" / "example" / "__init__.py"
    source.parent.mkdir(parents=True)
    source.write_text("value = 1\n")

    first = set_up(tmp_path)
    assert first.returncode == 0, first.stderr
    second = set_up(tmp_path, **UNREACHABLE)
    assert (second.returncode, second.stderr) == (0, "")
    source.write_text("value = 2\n")
    changed = set_up(tmp_path, **UNREACHABLE)
    assert changed.returncode != 0
    assert "hatchling" in changed.stderr
    again = set_up(tmp_path)
    assert again.returncode == 0, again.stderr
    python = tmp_path / ".venv" / "bin" / "python"
    command = [str(python), "-c", "import example; print(example.value)"]
    assert subprocess.run(command, check=True, capture_output=True).stdout == b"2\n"
