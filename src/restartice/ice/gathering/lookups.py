"""Resolves names in daemon threads, so that a dead name server blocks neither media nor exit."""

import asyncio
import queue
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

__all__ = ["look_up"]

THREADS: Final = 4

Address = tuple[str, int]
Job = Callable[[], None]

_jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
_threads: list[threading.Thread] = []


async def look_up(address: Address) -> dict[int, Address]:
    """Return the first address of each family of a host, the preferred family first.

    Without a working name server, a look-up blocks its thread for many seconds. asyncio's own
    threads aren't used: aiortc encodes media in them, and the interpreter waits for them at exit.

    Raises:
        OSError: The name has no address, or no name server answers.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[Any]] = loop.create_future()

    def settle(result: list[Any] | OSError) -> None:
        if found.done():
            return
        if isinstance(result, OSError):
            found.set_exception(result)
        else:
            found.set_result(result)

    def job() -> None:
        result: list[Any] | OSError
        try:
            result = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)
        except OSError as error:
            result = error
        except UnicodeError as error:  # an invalid name
            result = OSError(str(error))
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(settle, result)

    _submit(job)
    addresses: dict[int, Address] = {}
    for family, _, _, _, to in await found:
        addresses.setdefault(family, (str(to[0]), int(to[1])))
    return addresses


def _submit(job: Job) -> None:
    _jobs.put(job)
    if len(_threads) < THREADS:
        thread = threading.Thread(target=_work, name="restartice-lookup", daemon=True)
        _threads.append(thread)
        thread.start()


def _work() -> None:
    while True:
        _jobs.get()()
