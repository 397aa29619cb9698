"""Ending tasks that lose a cancellation."""

import asyncio

import pytest

from restartice_signaling.cancellation import AGAIN, end, finish_within


async def lose(cancellations: int, then: asyncio.Event | None = None) -> str:
    """Go on after so many cancellations, as who is called through wait_for may do."""
    for _ in range(cancellations):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue
    await (then or asyncio.Event()).wait()
    return "done"


@pytest.mark.parametrize("cancellations", [0, 1, 3])
async def test_a_lost_cancellation_is_followed_by_another_one(cancellations: int) -> None:
    task = asyncio.create_task(lose(cancellations))
    await asyncio.sleep(0)
    assert await end([task])
    assert task.cancelled()


async def test_who_never_ends_is_not_waited_for() -> None:
    release = asyncio.Event()
    stubborn = asyncio.create_task(lose(10, release))
    quick = asyncio.create_task(lose(0))
    await asyncio.sleep(0)
    assert not await end([stubborn, quick], within=AGAIN)
    assert quick.done()
    assert not stubborn.done()
    release.set()
    while not stubborn.done():
        stubborn.cancel()
        await asyncio.sleep(0)


async def test_what_a_task_ends_with_is_no_news() -> None:
    async def fail() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError

    tasks = [asyncio.create_task(fail()), asyncio.create_task(asyncio.sleep(0))]
    await asyncio.sleep(0)
    assert await end(tasks)
    assert await end([])


async def test_a_step_that_is_in_time() -> None:
    done = asyncio.Event()
    done.set()
    assert await finish_within(10, lose(0, done)) == "done"
    with pytest.raises(ZeroDivisionError):
        await finish_within(10, divide())


async def divide() -> float:
    return 1 / 0


@pytest.mark.parametrize("cancellations", [0, 1])
async def test_a_step_that_takes_too_long(cancellations: int) -> None:
    with pytest.raises(TimeoutError):
        await finish_within(0.01, lose(cancellations))


async def test_who_waits_for_a_step_may_be_canceled() -> None:
    waiting = asyncio.create_task(finish_within(10, lose(1)))
    await asyncio.sleep(0.01)
    assert await end([waiting])
    assert waiting.cancelled()
