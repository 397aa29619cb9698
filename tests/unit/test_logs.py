"""Log lines that begin with an object's name."""

import ast
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from restartice.logs import ObjectLogger, next_number

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "src" / "restartice"
SIGNALING = ROOT / "signaling" / "restartice_signaling"
METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
# What a logger is called that puts an object's name before each line.
NAMED = {"log", "_log", "_MDNS_LOG"}
SECRET = re.compile(r"password|credential(?!s\.ufrag)|token|secret|\bkey\b", re.IGNORECASE)


class Unprintable:
    def __str__(self) -> str:
        raise AssertionError("this was put into a line that isn't logged")


def test_each_line_begins_with_the_name(caplog: pytest.LogCaptureFixture) -> None:
    log = ObjectLogger(logging.getLogger("restartice.test"), "RTCIceTransport(3/0)")
    with caplog.at_level(logging.INFO, "restartice.test"):
        log.info("%s -> %s", "checking", "connected")
    assert caplog.messages == ["RTCIceTransport(3/0) checking -> connected"]


def test_a_line_that_is_not_logged_is_not_put_together(caplog: pytest.LogCaptureFixture) -> None:
    log = ObjectLogger(logging.getLogger("restartice.test"), "RTCPeerConnection(1)")
    with caplog.at_level(logging.INFO, "restartice.test"):
        log.debug("%s", Unprintable())
    assert caplog.messages == []


def test_numbers_differ() -> None:
    assert next_number() != next_number()


def log_calls(path: Path) -> Iterator[ast.Call]:
    """Yield the calls of a module that log something."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            receiver = ast.unparse(node.func.value).split(".")[-1]
            if node.func.attr in METHODS and "log" in receiver.lower():
                yield node


def test_each_line_of_the_library_goes_through_the_logger_of_an_object() -> None:
    calls = {
        f"{path.relative_to(LIBRARY)}: {ast.unparse(call)}": ast.unparse(call.func).split(".")[-2]
        for path in LIBRARY.rglob("*.py")
        for call in log_calls(path)
    }
    assert len(calls) > 50
    assert [call for call, name in calls.items() if name not in NAMED] == []


def test_only_an_object_logger_has_their_name() -> None:
    for path in LIBRARY.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Assign) and "getLogger" in ast.unparse(node.value):
                names = {ast.unparse(target).split(".")[-1] for target in node.targets}
                assert "ObjectLogger" in ast.unparse(node.value) or not names & NAMED, path


def test_each_line_of_the_signaling_begins_with_a_name() -> None:
    texts = [
        ast.unparse(call.args[0])
        for folder in ("client", "negotiation")
        for path in (SIGNALING / folder).rglob("*.py")
        for call in log_calls(path)
    ]
    assert len(texts) > 8
    assert [text for text in texts if not (text[1:].startswith("%s: ") or text.isupper())] == []


def test_no_line_has_a_secret() -> None:
    for folder in (LIBRARY, SIGNALING):
        for path in folder.rglob("*.py"):
            for call in log_calls(path):
                assert not SECRET.search(ast.unparse(call)), f"{path.stem}: {ast.unparse(call)}"
