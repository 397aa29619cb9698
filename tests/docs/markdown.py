"""What there is of code in the project's Markdown files."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "examples" / "docs" / "pages").glob("*.md"))
READMES = [
    ROOT / "README.md",
    *sorted((ROOT / ".github").glob("*.md")),
    *(
        path
        for folder in ("examples", "signaling", "tests")
        for path in sorted((ROOT / folder).rglob("README.md"))
        if "node_modules" not in path.parts
    ),
]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^    .+\n)+", re.MULTILINE)
STARTS = (
    *("./", ".ci/", "python ", "python3 ", "pip ", "ruff ", "export ", "set ", "tests/", "/opt/"),
    *("redis-server", "apt-get ", "install ", "systemctl ", "git ", "RESTARTICE_", "PYTHONPATH="),
)
ENVIRONMENT = ".venv/bin/"


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        path: The file it is in.
        line: That of its first line, counted from 1.
        text: Its lines.
    """

    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


def blocks(path: Path, language: str) -> list[Block]:
    """Return the fenced blocks in a language."""
    text = path.read_text(encoding="utf-8")
    return [
        Block(path, text.count("\n", 0, match.start(2)) + 1, match[2])
        for match in FENCE.finditer(text)
        if match[1] == language
    ]


def commands(path: Path) -> list[str]:
    """Return the lines of the fenced and the indented blocks that are commands."""
    text = path.read_text(encoding="utf-8")
    indented = INDENTED.findall(FENCE.sub("", text))
    lines = "".join(block.text for block in blocks(path, "bash")).splitlines()
    lines += [line.strip() for part in indented for line in part.splitlines()]
    lines = [line.partition("$ ")[2].strip() if "$ " in line else line for line in lines]
    lines = [line.removeprefix(ENVIRONMENT) for line in lines]
    return [line for line in lines if line.startswith(STARTS)]
