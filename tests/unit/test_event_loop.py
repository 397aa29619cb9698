"""The event loop that a connection belongs to."""

import asyncio
import threading

import pytest

from restartice.event_loop import LoopAffinity


def test_nothing_is_refused_before_a_loop_runs() -> None:
    affinity = LoopAffinity()
    affinity.check("call()")
    in_thread(affinity)


async def test_the_loop_of_the_first_use_is_the_only_one() -> None:
    affinity = LoopAffinity()
    affinity.check("call()")
    affinity.check("call()")
    with pytest.raises(RuntimeError, match=r"call\(\) was called outside the thread"):
        await asyncio.to_thread(affinity.check, "call()")
    with pytest.raises(RuntimeError, match="run_coroutine_threadsafe"):
        await asyncio.to_thread(asyncio.run, use(affinity))


def test_another_loop_may_follow_one_that_has_stopped() -> None:
    affinity = LoopAffinity()
    asyncio.run(use(affinity))
    in_thread(affinity)
    asyncio.run(use(affinity))
    asyncio.run(refuse_elsewhere(affinity))


async def use(affinity: LoopAffinity) -> None:
    affinity.check("call()")


async def refuse_elsewhere(affinity: LoopAffinity) -> None:
    affinity.check("call()")
    with pytest.raises(RuntimeError):
        await asyncio.to_thread(affinity.check, "call()")


def in_thread(affinity: LoopAffinity) -> None:
    """Check from another thread, which has no event loop."""
    errors: list[Exception] = []

    def check() -> None:
        try:
            affinity.check("call()")
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=check)
    thread.start()
    thread.join()
    assert errors == []
