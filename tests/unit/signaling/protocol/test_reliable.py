import pytest
from hypothesis import given
from hypothesis import strategies as st

from restartice_signaling.errors import BadMessage
from restartice_signaling.protocol.reliable import Inbox, Outbox


def test_numbers_count_from_one() -> None:
    outbox = Outbox(10, 100)
    assert [outbox.append(text) for text in "abc"] == [1, 2, 3]
    assert list(outbox.after(0)) == [(1, "a"), (2, "b"), (3, "c")]
    assert list(outbox.after(2)) == [(3, "c")]
    assert list(outbox.after(3)) == []


def test_what_is_acknowledged_is_forgotten() -> None:
    outbox = Outbox(10, 100)
    for text in "abc":
        outbox.append(text)
    outbox.acknowledge(2)
    outbox.acknowledge(1)
    assert (len(outbox), outbox.size, list(outbox.after(0))) == (1, 1, [(3, "c")])
    assert [outbox.covers(seq) for seq in range(5)] == [False, False, True, True, False]


def test_what_was_never_sent_cannot_be_acknowledged() -> None:
    outbox = Outbox(10, 100)
    outbox.append("a")
    with pytest.raises(BadMessage, match="expected an acknowledgment up to"):
        outbox.acknowledge(2)
    assert len(outbox) == 1


def test_is_bounded_in_count_and_size() -> None:
    outbox = Outbox(2, 10)
    assert outbox.has_room("x" * 100)  # one is always taken
    outbox.append("12345678")
    assert outbox.has_room("12")
    assert not outbox.has_room("123")
    outbox.append("1")
    assert not outbox.has_room("")
    outbox.acknowledge(outbox.last)
    assert outbox.has_room("12345678")


def test_one_message_too_early_is_noticed() -> None:
    inbox = Inbox()
    assert inbox.take(1, 0.0)
    assert not inbox.take(1, 0.0)
    with pytest.raises(BadMessage, match="seq 3 came after 1"):
        inbox.take(3, 0.0)
    assert inbox.take(2, 0.0)


def test_what_has_come_is_acknowledged_only_when_it_is_dealt_with() -> None:
    inbox = Inbox()
    for seq in range(1, 20):
        assert inbox.take(seq, 0.0)
    # It came again, over another connection.
    assert not inbox.take(1, 0.0)
    assert not inbox.ack_due(100.0)
    assert (inbox.taken, inbox.last, inbox.take_ack()) == (19, 0, None)
    inbox.note(3, 100.0)
    assert (inbox.taken, inbox.last) == (19, 3)
    assert not inbox.take(2, 100.0)
    assert inbox.take_ack() == 3


def test_acknowledges_every_second_or_sixteen_messages() -> None:
    inbox = Inbox()
    assert not inbox.ack_due(100.0)
    inbox.note(1, 100.0)
    assert not inbox.ack_due(100.9)
    assert inbox.ack_due(101.0)
    assert inbox.take_ack() == 1
    assert inbox.take_ack() is None
    assert not inbox.ack_due(200.0)
    for seq in range(2, 18):
        assert not inbox.ack_due(200.0)
        inbox.note(seq, 200.0)
    assert inbox.ack_due(200.0)
    assert inbox.take_ack() == 17


def test_what_came_again_is_acknowledged_again() -> None:
    inbox = Inbox(5)
    assert not inbox.take(3, 0.0)
    assert (inbox.last, inbox.ack_due(1.0), inbox.take_ack()) == (5, True, 5)


@given(
    st.lists(st.tuples(st.sampled_from(["send", "carry", "take", "cut", "ack"]), st.integers(1, 5)))
)
def test_everything_arrives_once_and_in_order(steps: list[tuple[str, int]]) -> None:
    """Whatever is cut off, and whenever."""
    outbox, inbox = Outbox(10_000, 10_000), Inbox()
    sent, numbers = 0, 0
    waiting: list[tuple[int, int]] = []
    received: list[int] = []
    for step, count in [*steps, ("cut", 1), ("carry", 10_000), ("take", 10_000)]:
        if step == "send":
            for _ in range(count):
                numbers += 1
                outbox.append(str(numbers))
        elif step == "carry":
            carried = list(outbox.after(sent))[:count]
            sent += len(carried)
            waiting += [(seq, int(text)) for seq, text in carried if inbox.take(seq, 0.0)]
        elif step == "take":
            for seq, number in waiting[:count]:
                received.append(number)
                inbox.note(seq, 0.0)
            del waiting[:count]
        elif step == "cut":
            # The receiver says what it has dealt with, and the sender goes on from there.
            assert outbox.covers(inbox.last)
            sent = inbox.last
        elif (ack := inbox.take_ack()) is not None:
            outbox.acknowledge(ack)
    assert received == list(range(1, numbers + 1))
