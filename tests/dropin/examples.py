"""aiortc's examples, from its source distribution, with the one import changed."""

import difflib
import shutil
from importlib.metadata import version
from pathlib import Path

from aiortc_suite.suite import download

BEFORE, AFTER = "from aiortc import ", "from restartice import "


def adopt_examples(cache: Path) -> Path:
    """Return a copy of the examples that imports restartice."""
    original = download(version("aiortc"), cache) / "examples"
    copy = cache / "examples"
    shutil.copytree(original, copy)
    for path in copy.rglob("*.py"):
        path.write_text(path.read_text().replace(BEFORE, AFTER))
    return copy


def changed_lines(original: Path, copy: Path) -> list[str]:
    """Return what two versions of a file differ in, as lines that begin with + or -."""
    before, after = (path.read_text().splitlines() for path in (original, copy))
    return [line for line in difflib.ndiff(before, after) if line[:1] in {"+", "-"}]
