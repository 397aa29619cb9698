"""What the application hasn't taken yet."""

import asyncio

from restartice_signaling import (
    CustomReceived,
    Disconnected,
    Event,
    IceServersReceived,
    Reconnected,
)
from restartice_signaling.client.event_queue import EventQueue

LOST, RESUMED, ANEW = Disconnected("lost"), Reconnected(resumed=True), Reconnected(resumed=False)
SERVERS = IceServersReceived(())


def message(number: int) -> CustomReceived:
    return CustomReceived("a", number)


class Taken(list[int]):
    """Notes which messages have been taken."""

    def put(self, queue: EventQueue, number: int, event: Event | None) -> None:
        queue.put_message(event, 10, lambda: self.append(number))


async def take_all(queue: EventQueue) -> list[Event]:
    queue.end()
    events = []
    while (event := await queue.take()) is not None:
        events.append(event)
    return events


async def test_all_comes_in_order_and_is_noted_when_it_is_taken() -> None:
    queue, taken = EventQueue(), Taken()
    taken.put(queue, 1, message(1))
    queue.put(LOST)
    taken.put(queue, 2, message(2))
    assert (taken, len(queue), queue.size) == ([], 3, 20)
    assert await queue.take() == message(1)
    assert (taken, len(queue), queue.size) == ([1], 2, 10)
    assert await take_all(queue) == [LOST, message(2)]
    assert (taken, queue.size) == ([1, 2], 0)
    # Whoever comes later sees the end, too.
    assert await queue.take() is None


async def test_a_message_that_means_nothing_is_noted_in_its_turn() -> None:
    queue, taken = EventQueue(), Taken()
    taken.put(queue, 1, None)
    assert taken == [1]
    taken.put(queue, 2, message(2))
    taken.put(queue, 3, None)
    taken.put(queue, 4, message(4))
    assert taken == [1]
    assert await take_all(queue) == [message(2), message(4)]
    assert taken == [1, 2, 3, 4]


async def test_outages_without_a_loss_do_not_pile_up() -> None:
    queue = EventQueue()
    for _ in range(3):
        for event in (LOST, RESUMED, SERVERS):
            queue.put(event)
    assert await take_all(queue) == [LOST, RESUMED, SERVERS]


async def test_outages_with_a_loss_or_with_messages_between_are_all_told() -> None:
    events: list[Event] = [LOST, ANEW, LOST, RESUMED, message(1), LOST, RESUMED, LOST]
    queue = EventQueue()
    for event in events:
        queue.put(event)
    assert await take_all(queue) == [LOST, ANEW, LOST, RESUMED, message(1), LOST]


async def test_those_who_wait_get_one_each() -> None:
    queue = EventQueue()
    readers = [asyncio.create_task(queue.take()) for _ in range(3)]
    await asyncio.sleep(0)
    queue.put(message(1))
    queue.put(message(2))
    queue.end()
    events = await asyncio.gather(*readers)
    assert sorted(events, key=repr) == [message(1), message(2), None]


async def test_canceling_takes_nothing() -> None:
    queue, taken = EventQueue(), Taken()
    reader = asyncio.create_task(queue.take())
    await asyncio.sleep(0)
    taken.put(queue, 1, message(1))
    reader.cancel()
    await asyncio.wait([reader])
    assert reader.cancelled()
    assert taken == []
    assert await queue.take() == message(1)
