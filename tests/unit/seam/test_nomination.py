"""The number of a nomination, in a message of aioice."""

from typing import TYPE_CHECKING

import pytest
from aioice import stun

from restartice.seam import nomination_of, numbered

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = b"secret"


def request(number: int | None = None) -> stun.Message:
    """Return a request, signed, with a number or without."""
    made = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    made.attributes["USERNAME"] = "remote:local"
    made.attributes["ICE-CONTROLLING"] = 5
    if number is not None:
        made = numbered(made, number)
    made.add_message_integrity(KEY)
    return made


@pytest.mark.parametrize("number", [0, 2, 2**32 - 1])
def test_a_number_goes_along(number: int) -> None:
    datagram = bytes(request(number))
    assert nomination_of(datagram) == number
    parsed = stun.parse_message(datagram)
    assert parsed.attributes["ICE-CONTROLLING"] == 5


def test_the_signature_covers_it() -> None:
    datagram = bytes(request(7))
    parsed = stun.parse_message(datagram)
    if hasattr(parsed, "check_message_integrity"):
        assert parsed.check_message_integrity(KEY)
    else:
        parse: Callable[..., stun.Message] = stun.parse_message
        parse(datagram, integrity_key=KEY)


def test_none_goes_along() -> None:
    assert nomination_of(bytes(request())) is None


def test_what_the_signature_does_not_cover_does_not_count() -> None:
    datagram = bytes(request())
    body = datagram[20:] + b"\xc0\x01\x00\x04\x00\x00\x00\x09"
    forged = datagram[:2] + len(body).to_bytes(2, "big") + datagram[4:20] + body
    assert nomination_of(forged) is None


@pytest.mark.parametrize("size", range(0, 40, 3))
def test_what_is_cut_short(size: int) -> None:
    assert nomination_of(bytes(request(3))[: 20 + size]) in {None, 3}
