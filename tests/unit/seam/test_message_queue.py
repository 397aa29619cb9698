"""Messages of data channels take turns."""

from typing import Any

import pytest

from restartice.seam.message_queue import MessageQueue, amount, content_of

BULK, QUICK, THIRD = (object() for _ in range(3))


def queue_of(*messages: tuple[object, bytes]) -> Any:
    queue: Any = MessageQueue()
    for channel, content in messages:
        queue.append((channel, 53, content))
    return queue


def drain(queue: Any) -> list[bytes]:
    contents = []
    while queue:
        contents.append(queue.popleft()[2])
    return contents


def test_the_messages_of_one_channel_stay_in_order() -> None:
    assert drain(queue_of((BULK, b"1"), (BULK, b"2"), (BULK, b"3"))) == [b"1", b"2", b"3"]


def test_no_channel_waits_for_all_messages_of_another() -> None:
    queue = queue_of(*((BULK, b"%d" % n) for n in range(100)), (QUICK, b"q1"), (QUICK, b"q2"))
    assert drain(queue)[:5] == [b"0", b"q1", b"1", b"q2", b"2"]


def test_one_that_has_had_its_turn_waits_for_the_others() -> None:
    queue = queue_of((BULK, b"1"), (BULK, b"2"), (QUICK, b"q"))
    assert queue.popleft()[2] == b"1"
    queue.append((THIRD, 53, b"t"))
    assert drain(queue) == [b"q", b"2", b"t"]


def test_it_is_empty_when_all_are_taken_or_dropped() -> None:
    queue = queue_of((BULK, b"1"), (QUICK, b"q"))
    assert len(queue) == 2
    assert [content for _, _, content in queue] == [b"1", b"q"]
    queue.drop_head(BULK)
    assert [content for _, _, content in queue.heads()] == [b"q"]
    queue.clear()
    assert not queue
    with pytest.raises(StopIteration):
        queue.popleft()


@pytest.mark.parametrize(
    ("data", "protocol", "content", "counted"),
    [("", 56, b"\0", 0), (b"", 57, b"\0", 0), ("ä", 51, b"\xc3\xa4", 2), (b"\0", 53, b"\0", 1)],
)
def test_an_empty_message_is_sent_as_a_byte_that_does_not_count(
    data: bytes | str, protocol: int, content: bytes, counted: int
) -> None:
    assert content_of(data) == (protocol, content)
    assert amount(protocol, content) == counted
