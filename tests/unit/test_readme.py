"""What the README files say is true as far as a program can tell."""

import ast
import re
from pathlib import Path

import pytest

from docs.markdown import READMES, ROOT

LINK = re.compile(r"\]\((?!https?:)([^)#]+)[^)]*\)")
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def name_of(readme: Path) -> str:
    return str(readme.relative_to(ROOT))


@pytest.mark.parametrize("readme", READMES, ids=name_of)
def test_links_lead_somewhere(readme: Path) -> None:
    missing = [
        link for link in LINK.findall(readme.read_text()) if not (readme.parent / link).exists()
    ]
    assert missing == []


@pytest.mark.parametrize("readme", READMES, ids=name_of)
def test_python_is_python(readme: Path) -> None:
    for number, block in enumerate(PYTHON.findall(readme.read_text())):
        name = f"{readme.name}, block {number}"
        compile(block, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_each_test_of_the_signaling_is_listed() -> None:
    text = (ROOT / "tests" / "README.md").read_text()
    paths = sorted((ROOT / "tests" / "integration").glob("test_signaling_*.py"))
    assert [path.name for path in paths if f"{path.name}`" not in text] == []
    assert len(paths) > 15


def test_each_example_is_described() -> None:
    text = (ROOT / "examples" / "README.md").read_text()
    programs = sorted((ROOT / "examples").glob("*.py"))
    assert [path.name for path in programs if f"`{path.name}`" not in text] == []
    assert len(programs) > 3
