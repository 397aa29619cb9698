"""What the README files say is true as far as a program can tell."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
READMES = [
    ROOT / "README.md",
    *(
        path
        for folder in ("examples", "signaling", "tests")
        for path in sorted((ROOT / folder).rglob("README.md"))
        if "node_modules" not in path.parts
    ),
]
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


def test_the_program_in_the_readme_runs() -> None:
    programs = [
        block
        for block in PYTHON.findall((ROOT / "README.md").read_text())
        if "asyncio.run(" in block
    ]
    assert programs
    for program in programs:
        result = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout.splitlines() == ["hello", "hello again, on the same channel"]
