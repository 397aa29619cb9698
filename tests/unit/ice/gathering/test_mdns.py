"""Leaving out what multicast DNS answers have besides the answer."""

import dns.exception
import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from restartice.ice.gathering.mdns import answers_only

NAME = b"\x04host\x05local\x00"
ANSWER = NAME + bytes.fromhex("0001 8001 00000078 0004 0a4e0002")
# Whose "next name" is a pointer to the name before, as Chromium writes it.
NSEC = NAME + bytes.fromhex("002f 8001 00000078 0005") + b"\xc0\x27\x00\x01\x40"


def message(counts: str, *parts: bytes) -> bytes:
    return bytes.fromhex("0000 8400" + counts) + b"".join(parts)


def test_an_answer_of_chromium_can_be_read() -> None:
    told = message("0000 0001 0000 0001", ANSWER, NSEC)
    with pytest.raises(dns.exception.FormError):
        dns.message.from_wire(told)
    kept = answers_only(told)
    assert kept == message("0000 0001 0000 0000", ANSWER)
    ((record,),) = dns.message.from_wire(kept).answer
    assert record.to_generic().data == bytes([10, 78, 0, 2])


def test_questions_and_compressed_names_are_kept() -> None:
    question = NAME + bytes.fromhex("0001 0001")
    compressed = b"\xc0\x0c" + ANSWER[len(NAME) :]
    told = message("0001 0001 0000 0000", question, compressed)
    assert answers_only(told) == told


@given(st.binary(max_size=80))
def test_what_is_malformed_is_left_alone(data: bytes) -> None:
    kept = answers_only(data)
    assert kept == data or len(kept) <= len(data)


def test_what_is_cut_short_is_left_alone() -> None:
    whole = message("0000 0001 0000 0001", ANSWER, NSEC)
    for length in range(12 + len(ANSWER)):
        assert answers_only(whole[:length]) == whole[:length]
