"""The messages that the troubleshooting page explains are those of the code."""

import ast
import re
from collections.abc import Iterator

from docs.markdown import ROOT

PAGE = ROOT / "examples" / "docs" / "pages" / "troubleshooting.md"
MESSAGE = re.compile(r"^### `(.+)`$", re.MULTILINE)
SOMETHING = "…"


def texts() -> Iterator[str]:
    """Yield all texts in the code, with the same sign in place of what is filled in."""
    for folder in ("src", "signaling"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield re.sub(r"%[sdr]", SOMETHING, node.value)
                elif isinstance(node, ast.JoinedStr):
                    yield "".join(
                        str(part.value) if isinstance(part, ast.Constant) else SOMETHING
                        for part in node.values
                    )


def test_messages_are_those_of_the_code() -> None:
    messages = MESSAGE.findall(PAGE.read_text())
    known = set(texts())
    assert len(messages) > 20
    assert [message for message in messages if message not in known] == []
