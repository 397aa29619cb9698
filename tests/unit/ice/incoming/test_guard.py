"""What is taken for traffic of the other end, what is kept, and what is told of the rest."""

import logging
import struct

import pytest
from aioice import stun

from restartice.ice.incoming.guard import (
    Allowance,
    Discards,
    HeldDatagrams,
    SeenTransactions,
    Shape,
    is_request,
    is_response,
    shape_of,
    transaction_of,
)
from restartice.logs import ObjectLogger

STRANGER = ("192.0.2.1", 9)


def record(kind: int, body: bytes, *, length: int | None = None, version: int = 0xFEFD) -> bytes:
    """Return a record of DTLS 1.2."""
    length = len(body) if length is None else length
    return struct.pack(">BHHHIH", kind, version, 1, 0, 7, length) + body


def binding_request() -> bytes:
    return bytes(stun.Message(stun.Method.BINDING, stun.Class.REQUEST))


@pytest.mark.parametrize(
    "datagram",
    [
        bytes([0x80]) + bytes(11),
        bytes([0x80]) + bytes(1200),
        bytes([0xBF, 200]) + bytes(20),
        record(22, bytes(100)),
        record(22, bytes(100), version=0xFEFF),
        record(23, bytes(1200)) + record(23, bytes(10)),
        record(21, bytes(2**14 + 2048)),
        bytes([0b00101110]) + bytes(30),
    ],
    ids=lambda datagram: datagram[:2].hex(),
)
def test_dtls_rtp_and_rtcp_are_traffic(datagram: bytes) -> None:
    assert shape_of(datagram) is Shape.TRAFFIC


def test_stun_is_known_by_its_cookie_and_its_length() -> None:
    request = binding_request()
    assert shape_of(request) is Shape.STUN
    assert shape_of(request + bytes(4)) is Shape.UNKNOWN
    assert shape_of(request[:4] + bytes(4) + request[8:]) is Shape.UNKNOWN
    longest = 1500 - 20
    assert shape_of(request[:2] + struct.pack(">H", longest) + request[4:] + bytes(longest)) is (
        Shape.STUN
    )
    longer = longest + 4
    assert shape_of(request[:2] + struct.pack(">H", longer) + request[4:] + bytes(longer)) is (
        Shape.UNKNOWN
    )


@pytest.mark.parametrize("first", [*range(4, 20), *range(64, 128), *range(192, 256)])
def test_other_first_bytes_are_nothing_that_ice_carries(first: int) -> None:
    assert shape_of(bytes([first]) + bytes(99)) is Shape.UNKNOWN


@pytest.mark.parametrize(
    "datagram",
    [
        bytes([0x80]) + bytes(10),
        bytes([0x80]) + bytes(60_000),
        record(22, bytes(99), length=100),
        record(22, bytes(100), version=0x0303),
        record(25, bytes(100)),
        record(27, bytes(100)),
        record(22, b"")[:12],
    ],
    ids=lambda datagram: f"{datagram[:1].hex()}-{len(datagram)}",
)
def test_what_is_too_short_or_too_long_for_its_kind_has_no_shape(datagram: bytes) -> None:
    assert shape_of(datagram) is Shape.UNKNOWN


def test_what_was_held_comes_out_in_order_and_once() -> None:
    held = HeldDatagrams()
    for number in range(3):
        assert held.hold("here", bytes([number])) == 0
        assert held.hold("there", bytes([100 + number])) == 0
    assert held.release("here") == [b"\0", b"\1", b"\2"]
    assert held.release("here") == []
    assert held.drop() == 3
    assert held.release("there") == []


def test_what_is_held_is_bounded() -> None:
    held = HeldDatagrams()
    dropped = sum(held.hold(number % 1000, bytes(2048)) for number in range(20_000))
    kept = held.drop()
    assert kept <= held.SOURCES * held.EACH
    assert dropped + kept == 20_000
    assert held.hold("here", bytes(2049)) == 1
    assert held.drop() == 0


def test_a_source_that_sends_much_leaves_room_for_others() -> None:
    held = HeldDatagrams()
    held.hold("other end", b"first")
    for _ in range(1000):
        held.hold("stranger", b"again")
    held.hold("other end", b"second")
    assert held.release("other end") == [b"first", b"second"]
    assert len(held.release("stranger")) == held.EACH


def test_the_oldest_source_gives_way() -> None:
    held = HeldDatagrams()
    for number in range(held.SOURCES):
        held.hold(number, b"one")
        held.hold(number, b"two")
    assert held.hold("new", b"one") == 2
    assert held.release(0) == []
    assert len(held.release(1)) == 2
    assert len(held.release("new")) == 1


def test_a_copy_of_a_request_comes_from_elsewhere() -> None:
    seen = SeenTransactions()
    assert not seen.is_copy(b"1", "here")
    assert not seen.is_copy(b"1", "here")
    assert seen.is_copy(b"1", "there")
    assert not seen.is_copy(b"2", "there")


def test_only_so_many_transactions_are_remembered() -> None:
    seen = SeenTransactions()
    for number in range(10_000):
        seen.is_copy(number.to_bytes(12, "big"), "here")
    assert len(seen._senders) == 256
    assert seen.is_copy((9_999).to_bytes(12, "big"), "there")


def test_the_first_discard_is_told_and_all_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    discards = Discards(ObjectLogger(logging.getLogger("restartice.test"), "RTCIceTransport(1/0)"))
    with caplog.at_level(logging.INFO, "restartice"):
        discards.add("nothing was dropped", STRANGER, 0)
        assert not caplog.records
        for _ in range(100):
            discards.add("it has no shape", STRANGER)
        discards.add("it came too early", datagrams=5)
    assert discards.count == 105
    (line,) = caplog.records
    assert line.getMessage().startswith("RTCIceTransport(1/0) ")
    assert "192.0.2.1" in line.getMessage()
    assert "it has no shape" in line.getMessage()


def test_only_so_many_requests_go_to_addresses_that_have_not_answered() -> None:
    allowance = Allowance()
    assert sum(allowance.take_request() for _ in range(1000)) == 64


def test_refusals_are_limited_by_time() -> None:
    allowance = Allowance()
    assert sum(allowance.take_refusal(10.0 + number / 1000) for number in range(1000)) == 20
    assert sum(allowance.take_refusal(11.0 + number / 1000) for number in range(999)) == 20
    assert allowance.take_refusal(1000.0)


@pytest.mark.parametrize("method", [stun.Method.BINDING, stun.Method.CHANNEL_BIND])
def test_the_class_of_a_stun_message_is_in_its_first_bytes(method: stun.Method) -> None:
    requests, responses = set(), set()
    for kind in stun.Class:
        message = bytes(stun.Message(method, kind, transaction_id=b"twelve bytes"))
        requests |= {kind} if is_request(message) else set()
        responses |= {kind} if is_response(message) else set()
        assert transaction_of(message) == b"twelve bytes"
    assert requests == {stun.Class.REQUEST}
    assert responses == {stun.Class.RESPONSE, stun.Class.ERROR}
