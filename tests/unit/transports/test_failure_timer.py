"""How long a connection that has failed waits for a restart, by a clock that the test sets."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from restartice.transports.failure_timer import FailureTimer

TIMEOUT = 300.0


class ClockLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only when it is told to."""

    now = 1000.0

    def time(self) -> float:
        return self.now

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and what is due then happen."""
        self.now += seconds

        async def turn() -> None:
            await asyncio.sleep(0)

        self.run_until_complete(turn())

    def do(self, action: Callable[[], None]) -> None:
        """Do something in the loop."""

        async def act() -> None:
            action()

        self.run_until_complete(act())


@pytest.fixture
def loop() -> Iterator[ClockLoop]:
    loop = ClockLoop()
    yield loop
    loop.close()


def test_it_ends_after_the_time(loop: ClockLoop) -> None:
    ended: list[None] = []
    timer = FailureTimer(TIMEOUT, lambda: ended.append(None), "RTCPeerConnection(1)")
    loop.do(lambda: timer.note(failed=True))
    loop.pass_time(TIMEOUT - 1)
    # That it is told again is no news.
    loop.do(lambda: timer.note(failed=True))
    assert ended == []
    loop.pass_time(2)
    assert ended == [None]
    loop.pass_time(2 * TIMEOUT)
    assert ended == [None]


def test_each_request_starts_the_time_again(loop: ClockLoop) -> None:
    ended: list[None] = []
    timer = FailureTimer(TIMEOUT, lambda: ended.append(None), "RTCPeerConnection(1)")
    loop.do(lambda: timer.note(failed=True))
    for _ in range(10):
        loop.pass_time(TIMEOUT - 1)
        loop.do(timer.start_again)
    loop.pass_time(TIMEOUT - 1)
    assert ended == []
    loop.pass_time(2)
    assert ended == [None]


def test_what_recovers_has_all_the_time_the_next_time(loop: ClockLoop) -> None:
    ended: list[None] = []
    timer = FailureTimer(TIMEOUT, lambda: ended.append(None), "RTCPeerConnection(1)")
    for failed in (True, False, True):
        loop.do(lambda failed=failed: timer.note(failed=failed))  # type: ignore[misc]
        loop.pass_time(TIMEOUT - 1)
    assert ended == []
    loop.pass_time(2)
    assert ended == [None]


def test_without_a_failure_nothing_is_counted(loop: ClockLoop) -> None:
    ended: list[None] = []
    timer = FailureTimer(TIMEOUT, lambda: ended.append(None), "RTCPeerConnection(1)")
    timer.note(failed=False)
    loop.do(timer.start_again)
    loop.pass_time(2 * TIMEOUT)
    assert ended == []


def test_none_is_for_ever(loop: ClockLoop) -> None:
    ended: list[None] = []
    timer = FailureTimer(None, lambda: ended.append(None), "RTCPeerConnection(1)")
    loop.do(lambda: timer.note(failed=True))
    loop.do(timer.start_again)
    loop.pass_time(1e9)
    assert ended == []
