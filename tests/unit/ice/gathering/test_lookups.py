"""Looking up the names of servers."""

import asyncio
import os
import socket
import sys
import threading
from typing import Any

import pytest

from restartice.ice.gathering.lookups import look_up


async def test_addresses_need_no_name_server() -> None:
    assert await look_up(("127.0.0.1", 3478)) == {socket.AF_INET: ("127.0.0.1", 3478)}


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
    lookups = [asyncio.ensure_future(look_up((name, 3478))) for name in names]
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(20):
        assert await loop.run_in_executor(None, threading.get_ident) != threading.get_ident()
        assert not any(lookup.done() for lookup in lookups)
        answered.set()
        assert len(await asyncio.gather(*lookups)) == len(names)


async def test_names_that_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise UnicodeError("label too long")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for _ in range(10):
        with pytest.raises(OSError, match="label too long"):
            await look_up(("x" * 64, 3478))


PROGRAM = """
import asyncio, socket, threading
from restartice.ice.gathering.lookups import look_up

socket.getaddrinfo = lambda *_, **__: threading.Event().wait()

async def main():
    try:
        async with asyncio.timeout(0.1):
            await look_up(("stun.example", 3478))
    except TimeoutError:
        print("given up", flush=True)

asyncio.run(main())
"""


async def test_a_name_that_hangs_does_not_keep_a_program_from_ending() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(30):
            told, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert told.strip() == b"given up"
    assert process.returncode == 0


async def test_the_loop_may_be_closed_before_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answered = threading.Event(), threading.Event()
    resolve = socket.getaddrinfo

    def hang(*args: Any, **kwargs: Any) -> Any:
        asked.set()
        assert answered.wait(30)
        return resolve("127.0.0.1", args[1], **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", hang)

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await look_up(("stun.example", 3478))

    await asyncio.to_thread(asyncio.run, give_up())
    assert asked.wait(30)
    answered.set()
    # The thread has survived that.
    assert await look_up(("127.0.0.1", 1)) == {socket.AF_INET: ("127.0.0.1", 1)}
