import asyncio

import pytest

from restartice.ice.checks import time as checktime
from restartice.ice.checks.time import finish_checks

DEADLINE = 60.0


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checktime, "ANSWER", 0.01)


async def forever(ended: asyncio.Event) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.set()


async def succeed() -> None:
    await asyncio.sleep(0)


async def fail() -> None:
    raise ConnectionError("no pair")


async def test_it_ends_with_the_checks() -> None:
    await finish_checks(succeed(), DEADLINE, lambda: False)
    with pytest.raises(ConnectionError, match="no pair"):
        await finish_checks(fail(), DEADLINE, lambda: False)


async def test_it_ends_after_the_time() -> None:
    ended = asyncio.Event()
    with pytest.raises(TimeoutError):
        await finish_checks(forever(ended), 0.01, lambda: False)
    assert ended.is_set()


async def test_it_goes_on_while_checks_are_unsent_and_for_the_last_answer() -> None:
    left, ended = [True, True, True], asyncio.Event()
    with pytest.raises(TimeoutError):
        await finish_checks(forever(ended), 0.01, lambda: bool(left) and left.pop())
    assert left == []
    assert ended.is_set()


async def test_the_last_check_may_succeed_after_the_time() -> None:
    sent = asyncio.Event()

    def is_unsent() -> bool:
        unsent = not sent.is_set()
        sent.set()
        return unsent

    async def answered() -> None:
        await sent.wait()

    await finish_checks(answered(), 0.01, is_unsent)


async def test_who_cancels_it_cancels_the_checks() -> None:
    ended = asyncio.Event()
    task = asyncio.ensure_future(finish_checks(forever(ended), DEADLINE, lambda: False))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert ended.is_set()
