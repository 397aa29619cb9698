"""Looking up the names of servers."""

import asyncio
import os
import socket
import threading
from typing import Any

import pytest

from restartice.gathering import _resolve


async def test_addresses_need_no_name_server() -> None:
    assert await _resolve(("127.0.0.1", 3478)) == {socket.AF_INET: ("127.0.0.1", 3478)}


async def test_names_that_hang_leave_the_threads_of_media_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered = threading.Event()
    resolve = socket.getaddrinfo

    def hang(*args: Any, **kwargs: Any) -> Any:
        assert answered.wait(30)
        return resolve("127.0.0.1", args[1], **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    # As many as asyncio has threads, and more.
    names = [f"stun{n}.example" for n in range((os.cpu_count() or 1) + 40)]
    lookups = [asyncio.ensure_future(_resolve((name, 3478))) for name in names]
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(20):
        assert await loop.run_in_executor(None, threading.get_ident) != threading.get_ident()
        assert not any(lookup.done() for lookup in lookups)
        answered.set()
        assert len(await asyncio.gather(*lookups)) == len(names)
