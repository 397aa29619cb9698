import contextlib
import logging
import os
import select
import time
from collections.abc import Iterator

import pytest

from connecting import DEADLINE
from restartice_signaling.server.log_writer import MAX_WAITING, LogWriter
from restartice_signaling.server.logs import JsonFormatter


@contextlib.contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    try:
        yield ends
    finally:
        for end in ends:
            with contextlib.suppress(OSError):
                os.close(end)


def record(text: str) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": text, "levelname": "INFO"})


def read_lines(descriptor: int, last: str) -> list[str]:
    """Read until a line has a word."""
    text = ""
    while last not in text or not text.endswith("\n"):
        text += os.read(descriptor, 65_536).decode()
    return text.splitlines()


def test_what_is_logged_is_written_before_the_end() -> None:
    with pipe() as (reader, writer):
        log = LogWriter(writer)
        for number in range(100):
            log.handle(record(f"line {number}"))
        log.close()
        os.close(writer)
        assert os.read(reader, 65_536).decode().splitlines() == [f"line {n}" for n in range(100)]


def test_nobody_waits_for_a_reader_that_stands_still() -> None:
    with pipe() as (reader, writer):
        log = LogWriter(writer)
        log.setFormatter(JsonFormatter())
        began = time.monotonic()
        for _ in range(2 * MAX_WAITING):
            log.handle(record("x" * 1_000))
        assert time.monotonic() - began < DEADLINE
        # As soon as it reads, it is told what it has missed.
        read_lines(reader, "xx")
        deadline = time.monotonic() + DEADLINE
        text = ""
        while '"dropped"' not in text and time.monotonic() < deadline:
            log.handle(record("more"))
            # Without waiting for something to read, we would keep the other thread from writing.
            if select.select([reader], [], [], 0.1)[0]:
                text += os.read(reader, 65_536).decode()
        assert '"event": "lines dropped"' in text
        log.close()


@pytest.mark.parametrize("closed", [True, False])
def test_the_end_waits_only_for_a_moment(closed: bool) -> None:
    with pipe() as (reader, writer):
        log = LogWriter(writer)
        if closed:
            os.close(reader)
        for _ in range(200):
            log.handle(record("x" * 1_000))
        began = time.monotonic()
        log.close()
        assert time.monotonic() - began < DEADLINE
