"""The kinds of event loops that tests run on, beside the one that pytest-asyncio makes."""

import asyncio
import warnings
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop

__all__ = ["LOOPS", "run_on"]

LOOPS: dict[str, Callable[[], asyncio.Runner]] = {
    "asyncio": asyncio.Runner,
    "debug": lambda: asyncio.Runner(debug=True),
    "uvloop": lambda: asyncio.Runner(loop_factory=uvloop.new_event_loop),
}


def run_on(loop: str, job: Coroutine[Any, Any, None]) -> None:
    """Run on an event loop, and see that nothing is open when that is closed.

    A test that fails leaves sockets. uvloop can't close them where its warning about that is an
    error, so it is looked at afterwards.
    """
    runner = LOOPS[loop]()
    try:
        runner.run(job)
    finally:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            runner.close()
    assert [str(warning.message) for warning in caught] == []
