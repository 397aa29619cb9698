"""The operations chain: one after the other, whatever happens to them. (W1, W2, W3)."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from restartice import InvalidStateError
from restartice.negotiation.operations import OperationsChain


def steps(log: list[str], name: str, gate: asyncio.Event) -> Callable[[], Awaitable[str]]:
    async def operation() -> str:
        log.append(f"{name} starts")
        await gate.wait()
        log.append(f"{name} ends")
        return name

    return operation


async def started(log: list[str], entry: str) -> None:
    async with asyncio.timeout(60):
        while entry not in log:  # noqa: ASYNC110  a list has no event
            await asyncio.sleep(0)


async def test_one_after_the_other() -> None:
    emptied: list[bool] = []
    chain = OperationsChain(lambda: emptied.append(chain.empty))
    log: list[str] = []
    gate = asyncio.Event()
    tasks = [asyncio.create_task(chain.run(steps(log, name, gate))) for name in "abc"]
    await started(log, "a starts")
    assert log == ["a starts"]
    assert not chain.empty
    gate.set()
    assert await asyncio.gather(*tasks) == ["a", "b", "c"]
    assert log == [f"{name} {what}" for name in "abc" for what in ("starts", "ends")]
    assert emptied == [True]


async def test_goes_on_after_a_failure() -> None:
    chain = OperationsChain(lambda: None)

    async def fail() -> None:
        raise ValueError("no")

    async def succeed() -> int:
        return 1

    results = await asyncio.gather(chain.run(fail), chain.run(succeed), return_exceptions=True)
    assert isinstance(results[0], ValueError)
    assert results[1] == 1
    assert chain.empty


@pytest.mark.parametrize("cancelled", [0, 1, 2])
async def test_a_cancelled_caller_takes_its_operation_along(cancelled: int) -> None:
    chain = OperationsChain(lambda: None)
    log: list[str] = []
    gate = asyncio.Event()
    tasks = [asyncio.create_task(chain.run(steps(log, name, gate))) for name in "abc"]
    await started(log, "a starts")
    tasks[cancelled].cancel()
    await asyncio.wait([tasks[cancelled]])
    assert tasks[cancelled].cancelled()
    gate.set()
    rest = [task for task in tasks if task is not tasks[cancelled]]
    assert await asyncio.gather(*rest) == [n for n in "abc" if n != "abc"[cancelled]]
    assert f"{'abc'[cancelled]} ends" not in log


async def test_close_cuts_off_what_runs_and_what_waits() -> None:
    chain = OperationsChain(lambda: None)
    log: list[str] = []
    tasks = [asyncio.create_task(chain.run(steps(log, name, asyncio.Event()))) for name in "ab"]
    await started(log, "a starts")
    chain.close()
    await chain.wait_ended()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [InvalidStateError, InvalidStateError]
    assert log == ["a starts"]
    with pytest.raises(InvalidStateError):
        await chain.run(steps(log, "c", asyncio.Event()))


async def test_cancelled_twice_over_it_is_cancelled() -> None:
    chain = OperationsChain(lambda: None)
    log: list[str] = []
    task = asyncio.create_task(chain.run(steps(log, "a", asyncio.Event())))
    await started(log, "a starts")
    task.cancel()
    chain.close()
    await chain.wait_ended()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_what_is_left_for_afterwards_comes_behind_the_caller_and_before_the_next_one() -> (
    None
):
    chain = OperationsChain(lambda: None)
    log: list[str] = []
    gate = asyncio.Event()

    async def first() -> None:
        chain.afterwards(lambda: log.append("afterwards"))
        await gate.wait()

    async def call() -> None:
        await chain.run(first)
        log.append("caller")

    tasks = [asyncio.create_task(call()), asyncio.create_task(chain.run(steps(log, "b", gate)))]
    await asyncio.sleep(0)
    assert log == []
    gate.set()
    await asyncio.gather(*tasks)
    assert log == ["caller", "afterwards", "b starts", "b ends"]
    chain.afterwards(lambda: log.append("at once"))
    assert log[-1] == "at once"


async def test_nothing_is_done_afterwards_on_a_closed_connection() -> None:
    chain = OperationsChain(lambda: None)
    log: list[str] = []
    gate = asyncio.Event()
    task = asyncio.create_task(chain.run(steps(log, "a", gate)))
    await started(log, "a starts")
    chain.afterwards(lambda: log.append("afterwards"))
    chain.close()
    with pytest.raises(InvalidStateError):
        await task
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert log == ["a starts"]
