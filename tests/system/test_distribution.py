"""What is released: a wheel with the two packages only, and a source to test it from."""

import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from email.message import Message
from importlib.util import find_spec
from pathlib import Path

import pytest

import restartice
from requiring import require

ROOT = Path(__file__).parents[2]
PACKAGES = (ROOT / "src" / "restartice", ROOT / "signaling" / "restartice_signaling")
NEEDED = ("build", "hatchling", "twine")


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build both distributions, the wheel from the source distribution, as a packager does."""
    require(all(map(find_spec, NEEDED)), f"the packages {', '.join(NEEDED)}")
    folder = tmp_path_factory.mktemp("dist")
    command = [
        sys.executable,
        "-m",
        "build",
        "-q",
        "--no-isolation",
        f"--outdir={folder}",
        str(ROOT),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=280)
    return folder


@pytest.fixture
def wheel(dist: Path) -> zipfile.ZipFile:
    (path,) = dist.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.fixture
def metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = [name for name in wheel.namelist() if name.endswith("/METADATA")]
    return message_from_bytes(wheel.read(name))


def files_of(package: Path) -> set[str]:
    found = {path for path in package.rglob("*") if path.is_file()}
    return {
        path.relative_to(package.parent).as_posix()
        for path in found
        if "__pycache__" not in path.parts
    }


def test_wheel_has_the_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == set().union(*map(files_of, PACKAGES))
    assert {"restartice/py.typed", "restartice_signaling/py.typed"} <= names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel.namelist())


def test_metadata(metadata: Message) -> None:
    assert metadata["Name"] == "restartice"
    assert metadata["Version"] == restartice.__version__
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata["Requires-Python"] == ">=3.11"
    bounds = {line.split(";")[0] for line in metadata.get_all("Requires-Dist", [])}
    # Private names of these are used, so that a newer one may not fit.
    assert all("<" in bound for bound in bounds if bound.startswith(("aiortc", "aioice")))


def test_description_can_be_shown(dist: Path) -> None:
    files = [str(path) for path in dist.iterdir()]
    command = [sys.executable, "-m", "twine", "check", "--strict", *files]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_source_distribution_can_be_tested(dist: Path) -> None:
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "pyproject.toml",
        ".ci/run",
        "tests/conftest.py",
    }
    wanted |= {
        "examples/demo",
        "examples/docs/pages/conf.py",
        "signaling/restartice_signaling/files/rtc-signal.js",
        "signaling/package.json",
    }
    assert wanted - names == set()
    unwanted = ("__pycache__", "node_modules", ".venv", "site/", ".mypy_cache")
    assert not [name for name in names if any(part in name for part in unwanted)]
