"""The documentation, built once for all tests."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from docs.markdown import PAGES, ROOT
from requiring import require


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the documentation, without a warning."""
    require(find_spec("sphinx") and find_spec("myst_parser"), "the dependency group docs")
    folder = tmp_path_factory.mktemp("site")
    pages = PAGES[0].parent
    build = (sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going")
    result = subprocess.run(
        [*build, "-d", f"{folder}.doctrees", pages, folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout + result.stderr) == (0, "")
    return folder
