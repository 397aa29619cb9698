"""What the application hasn't taken yet."""

import asyncio

from restartice_signaling import (
    CustomReceived,
    Disconnected,
    Event,
    IceServersReceived,
    Reconnected,
)
from restartice_signaling.backlog import Backlog

LOST, RESUMED, ANEW = Disconnected("lost"), Reconnected(resumed=True), Reconnected(resumed=False)
SERVERS = IceServersReceived(())


def message(number: int) -> CustomReceived:
    return CustomReceived("a", number)


class Taken(list[int]):
    """Notes which messages have been taken."""

    def put(self, backlog: Backlog, number: int, event: Event | None) -> None:
        backlog.put_message(event, 10, lambda: self.append(number))


async def take_all(backlog: Backlog) -> list[Event]:
    backlog.end()
    events = []
    while (event := await backlog.take()) is not None:
        events.append(event)
    return events


async def test_all_comes_in_order_and_is_noted_when_it_is_taken() -> None:
    backlog, taken = Backlog(), Taken()
    taken.put(backlog, 1, message(1))
    backlog.put(LOST)
    taken.put(backlog, 2, message(2))
    assert (taken, len(backlog), backlog.size) == ([], 3, 20)
    assert await backlog.take() == message(1)
    assert (taken, len(backlog), backlog.size) == ([1], 2, 10)
    assert await take_all(backlog) == [LOST, message(2)]
    assert (taken, backlog.size) == ([1, 2], 0)
    # Whoever comes later sees the end, too.
    assert await backlog.take() is None


async def test_a_message_that_means_nothing_is_noted_in_its_turn() -> None:
    backlog, taken = Backlog(), Taken()
    taken.put(backlog, 1, None)
    assert taken == [1]
    taken.put(backlog, 2, message(2))
    taken.put(backlog, 3, None)
    taken.put(backlog, 4, message(4))
    assert taken == [1]
    assert await take_all(backlog) == [message(2), message(4)]
    assert taken == [1, 2, 3, 4]


async def test_outages_without_a_loss_do_not_pile_up() -> None:
    backlog = Backlog()
    for _ in range(3):
        for event in (LOST, RESUMED, SERVERS):
            backlog.put(event)
    assert await take_all(backlog) == [LOST, RESUMED, SERVERS]


async def test_outages_with_a_loss_or_with_messages_between_are_all_told() -> None:
    events: list[Event] = [LOST, ANEW, LOST, RESUMED, message(1), LOST, RESUMED, LOST]
    backlog = Backlog()
    for event in events:
        backlog.put(event)
    assert await take_all(backlog) == [LOST, ANEW, LOST, RESUMED, message(1), LOST]


async def test_those_who_wait_get_one_each() -> None:
    backlog = Backlog()
    readers = [asyncio.create_task(backlog.take()) for _ in range(3)]
    await asyncio.sleep(0)
    backlog.put(message(1))
    backlog.put(message(2))
    backlog.end()
    events = await asyncio.gather(*readers)
    assert sorted(events, key=repr) == [message(1), message(2), None]


async def test_canceling_takes_nothing() -> None:
    backlog, taken = Backlog(), Taken()
    reader = asyncio.create_task(backlog.take())
    await asyncio.sleep(0)
    taken.put(backlog, 1, message(1))
    reader.cancel()
    await asyncio.wait([reader])
    assert reader.cancelled()
    assert taken == []
    assert await backlog.take() == message(1)
