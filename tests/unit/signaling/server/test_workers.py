"""The memory that worker processes share, and their counters."""

import os

import pytest

from restartice_signaling.server.metrics import Metrics
from restartice_signaling.server.workers import HEAD, SLOT, Board, Workers


def test_each_worker_tells_its_own() -> None:
    board = Board(2)
    assert (board.read(0), board.read(1)) == ({}, {})
    board.write(1, {"joined": 5})
    board.write(1, {"joined": 12})
    assert (board.read(0), board.read(1)) == ({}, {"joined": 12})


def test_other_processes_see_it() -> None:
    board = Board(2)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        board.write(0, {"joined": 7})
        os.write(writing, b"x")
        os._exit(0)
    assert os.read(reading, 1) == b"x"
    assert board.read(0) == {"joined": 7}
    os.waitpid(child, 0)
    os.close(reading)
    os.close(writing)


def test_what_was_written_in_part_is_not_read() -> None:
    board = Board(1)
    board.write(0, {"joined": 7})
    version, size = HEAD.unpack_from(board._memory, 0)
    HEAD.pack_into(board._memory, 0, version + 1, size)  # its writer was killed
    assert board.read(0) == {}
    board.write(0, {"joined": 8})
    assert board.read(0) == {"joined": 8}


def test_what_is_too_long_is_left_out() -> None:
    board = Board(2)
    board.write(0, {"joined": 7})
    board.write(0, {"x": "x" * SLOT})
    assert (board.read(0), board.read(1)) == ({"joined": 7}, {})


def test_all_are_ready_when_each_is(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board(2)
    told: list[int] = []
    monkeypatch.setattr(os, "getppid", os.getpid)
    monkeypatch.setattr(os, "kill", lambda pid, _: told.append(pid))
    for number, expected in ((1, False), (0, True)):
        Workers(number, board, None).set_ready()
        assert board.ready is expected
    assert told == [os.getpid()] * 2
    board.set_ready(1, ready=False)
    assert not board.ready


def test_only_the_parent_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board(1)
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("told another process"))
    Workers(0, board, None).set_ready()
    assert board.ready


def test_the_counters_of_all_are_added() -> None:
    board = Board(2)
    for number in range(2):
        metrics = Metrics()
        metrics.connections, metrics.joined = 3, 5 + number
        metrics.refused["auth"] += 1
        metrics.closed[4001] += 2
        Workers(number, board, None).tell(metrics)
    text = Workers(0, board, None).total().render()
    for line in ("connections 6", "joined_total 11", "relayed_total 0"):
        assert f"\nrtc_signal_{line}\n" in text
    assert 'rtc_signal_refused_total{code="auth"} 2' in text
    assert 'rtc_signal_closed_total{code="4001"} 4' in text


def test_the_counters_of_a_worker_go_on_in_the_next_one() -> None:
    board = Board(1)
    before, after = Metrics(), Metrics()
    before.joined, before.connections = 7, 4
    Workers(0, board, None).tell(before)
    Workers(0, board, None).begin(after)
    assert (after.joined, after.connections) == (7, 0)
