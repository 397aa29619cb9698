"""What a DTLS handshake offers, sends and says."""

import asyncio
import functools
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import aiortc
import pytest
from aiortc.rtcdtlstransport import SRTP_PROFILES, RTCDtlsFingerprint
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from certificates import rsa_certificate, with_suites
from restartice.exceptions import tls_reason
from restartice.seam import PreparedCertificate
from restartice.transports.handshake import (
    DATAGRAM_LIMIT,
    RECORD_HEADER,
    Flight,
    cipher_suites,
    datagrams,
    fingerprint_fault,
    first_pause,
    shake_hands,
)

EC = aiortc.RTCCertificate.generateCertificate()
SUITES = b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"


def connection(certificate: aiortc.RTCCertificate, suites: bytes = SUITES) -> SSL.Connection:
    context = with_suites(certificate, suites)._create_ssl_context(SRTP_PROFILES)
    return SSL.Connection(context)


def test_each_suite_with_forward_secrecy_and_aead_is_there_for_rsa_too() -> None:
    enabled = SSL.Connection(EC._create_ssl_context(SRTP_PROFILES)).get_cipher_list()
    before = [name for name in enabled if not name.startswith("TLS_")]
    after = cipher_suites(enabled).decode().split(":")
    # What aiortc enables comes first, as it did.
    assert after[: len(before)] == before
    assert after[len(before) :] == ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305"]


def handed_over(certificate: aiortc.RTCCertificate) -> list[str]:
    """Return the suites that a context is prepared with."""
    handed: list[str] = []
    prepared = PreparedCertificate(certificate, lambda _, enabled: handed.extend(enabled))
    prepared._create_ssl_context(SRTP_PROFILES)
    return handed


def test_what_aiortc_enables_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    before = handed_over(EC)
    made: list[SSL.Context] = []
    init = SSL.Context.__init__

    def count(self: SSL.Context, method: int) -> None:
        made.append(self)
        init(self, method)

    monkeypatch.setattr(SSL.Context, "__init__", count)
    assert handed_over(EC) == before
    # Each takes a third of a millisecond.
    assert len(made) == 1


def test_what_a_program_enables_is_read_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    before = handed_over(EC)
    make = aiortc.RTCCertificate._create_ssl_context
    suites = SUITES

    @functools.wraps(make)
    def make_with_suites(*args: Any, **kwargs: Any) -> SSL.Context:
        context = make(*args, **kwargs)
        context.set_cipher_list(suites)
        return context

    monkeypatch.setattr(aiortc.RTCCertificate, "_create_ssl_context", make_with_suites)
    for suites in (b"ECDHE-ECDSA-AES256-GCM-SHA384", b"ECDHE-ECDSA-AES128-GCM-SHA256"):
        assert [s for s in handed_over(EC) if not s.startswith("TLS_")] == [suites.decode()]
    monkeypatch.undo()
    assert handed_over(EC) == before


def test_what_a_program_has_enabled_stays_enabled() -> None:
    enabled = ["TLS_AES_128_GCM_SHA256", "ECDHE-RSA-AES256-SHA", "ECDHE-ECDSA-AES256-GCM-SHA384"]
    expected = b"ECDHE-RSA-AES256-SHA:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
    assert cipher_suites(enabled) == expected
    both = ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"]
    assert cipher_suites(both) == ":".join(both).encode()


def record(length: int) -> bytes:
    return bytes(11) + length.to_bytes(2, "big") + bytes([length % 251]) * length


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([], []),
        ([100], [[100]]),
        ([300, 300, 300, 300], [[300, 300, 300], [300]]),
        ([DATAGRAM_LIMIT - RECORD_HEADER, 1], [[DATAGRAM_LIMIT - RECORD_HEADER], [1]]),
        # One that is too long goes by itself.
        ([1, DATAGRAM_LIMIT, 1], [[1], [DATAGRAM_LIMIT], [1]]),
    ],
)
def test_no_record_is_divided(lengths: list[int], expected: list[list[int]]) -> None:
    flight = b"".join(map(record, lengths))
    assert list(datagrams(flight)) == [b"".join(map(record, group)) for group in expected]


@pytest.mark.parametrize("certificate", [EC, rsa_certificate(4096)], ids=["EC", "RSA"])
def test_all_fingerprints_have_to_match(certificate: aiortc.RTCCertificate) -> None:
    right = certificate.getFingerprints()
    wrong = RTCDtlsFingerprint("sha-512", ":".join(["AB"] * 64))
    unknown = RTCDtlsFingerprint("md5", ":".join(["AB"] * 16))
    weak = RTCDtlsFingerprint("sha-1", ":".join(["AB"] * 20))
    lower = [RTCDtlsFingerprint(f.algorithm.upper(), f.value.lower()) for f in right]
    for expected in (right, lower, right[:1], [unknown, *right], [weak, *right]):
        assert fingerprint_fault(certificate._cert, expected) is None
    for expected in ([wrong], [*right, wrong], [wrong, *right], [weak], [weak, unknown]):
        fault = fingerprint_fault(certificate._cert, expected)
        assert fault is not None
        assert "another fingerprint" in fault
    for expected in ([], [unknown]):
        fault = fingerprint_fault(certificate._cert, expected)
        assert fault is not None
        assert "known hash function" in fault


@pytest.mark.parametrize(("name", "function"), [("sha-1", "sha1"), ("SHA-224", "sha224")])
def test_a_weaker_fingerprint_counts_if_there_is_no_other(name: str, function: str) -> None:
    digest = hashlib.new(function, EC._cert.public_bytes(Encoding.DER)).digest()
    right = RTCDtlsFingerprint(name, digest.hex(":"))
    wrong = RTCDtlsFingerprint("sha-256", ":".join(["AB"] * 32))
    assert fingerprint_fault(EC._cert, [right]) is None
    assert "another fingerprint" in str(fingerprint_fault(EC._cert, [right, wrong]))


class Pair:
    """Two sides, between which each datagram goes through `deliver`, which may lose it."""

    def __init__(self, server: SSL.Connection, client: SSL.Connection) -> None:
        server.set_accept_state()
        client.set_connect_state()
        self.sides = server, client
        self.queues: tuple[asyncio.Queue[bytes], ...] = (asyncio.Queue(), asyncio.Queue())
        self.sent: tuple[list[bytes], ...] = ([], [])
        self.lose: Callable[[bytes], bool] = lambda _: False
        self.round_trips: list[float | None] = [None, None]

    def side(self, place: int) -> Awaitable[None]:
        async def send(datagram: bytes) -> None:
            self.sent[place].append(datagram)
            if not self.lose(datagram):
                self.queues[1 - place].put_nowait(datagram)

        flight = Flight(lambda: self.round_trips[place])
        return shake_hands(self.sides[place], self.queues[place].get, send, flight)

    async def shake_hands(self) -> list[BaseException | None]:
        """Return what each side raises, or None."""
        async with asyncio.timeout(20):
            ends = await asyncio.gather(self.side(0), self.side(1), return_exceptions=True)
        return [end if isinstance(end, BaseException) else None for end in ends]


async def test_no_datagram_is_too_long_for_a_network() -> None:
    large = rsa_certificate(4096)
    pair = Pair(connection(large), connection(large))
    assert await pair.shake_hands() == [None, None]
    for sent in pair.sent:
        assert sum(map(len, sent)) > DATAGRAM_LIMIT
        assert max(map(len, sent)) <= DATAGRAM_LIMIT


async def test_what_is_lost_is_sent_again() -> None:
    pair = Pair(connection(EC), connection(EC))
    lost: list[bytes] = []

    def lose(datagram: bytes) -> bool:
        first = not lost
        lost.append(datagram)
        return first

    pair.lose = lose
    assert await pair.shake_hands() == [None, None]
    assert len(pair.sent[1]) >= 3


@pytest.mark.parametrize("sender", [0, 1], ids=["server", "client"])
@pytest.mark.parametrize("number", [0, 1])
async def test_where_the_round_trip_is_known_a_flight_is_soon_sent_as_it_was(
    sender: int, number: int
) -> None:
    # So large that a flight takes more than one datagram.
    large = rsa_certificate(4096)
    pair = Pair(connection(large), connection(large))
    pair.round_trips = [0.001, 0.001]
    lost: list[bytes] = []

    def lose(datagram: bytes) -> bool:
        if pair.sent[sender][number:] == [datagram] and not lost:
            lost.append(datagram)
            return True
        return False

    pair.lose = lose
    assert await pair.shake_hands() == [None, None]
    # OpenSSL would give it another number.
    assert pair.sent[sender].count(lost[0]) >= 2


@pytest.mark.parametrize("sender", [0, 1], ids=["server", "client"])
async def test_a_repeated_flight_is_answered_at_once(sender: int) -> None:
    pair = Pair(connection(EC), connection(EC))
    # The side whose flight gets lost would wait for a second, the other one asks sooner.
    pair.round_trips[1 - sender] = 0.02
    lost: list[bytes] = []

    def lose(datagram: bytes) -> bool:
        # The server's first flight, or the client's second one.
        if pair.sent[sender][sender:] == [datagram] and not lost:
            lost.append(datagram)
            return True
        return False

    pair.lose = lose
    began = asyncio.get_running_loop().time()
    assert await pair.shake_hands() == [None, None]
    assert asyncio.get_running_loop().time() - began < 0.9
    assert pair.sent[sender].count(lost[0]) == 2


async def test_a_repeated_flight_that_has_met_ours_is_not_answered() -> None:
    flight = Flight(lambda: 0.08)
    hello = b"\x16\xfe\xfd" + bytes(8) + b"\x00\x0c" + b"\x01" + bytes(11)
    assert not flight.is_lacking(hello)
    flight.began([b"flight"])
    assert not flight.is_lacking(hello)
    await asyncio.sleep(0.1)
    assert flight.is_lacking(hello)
    # Encrypted ones can't be told apart.
    finished = b"\x16\xfe\xfd\x00\x01" + hello[5:]
    assert not flight.is_lacking(finished)
    assert not flight.is_lacking(finished)


async def test_the_pause_follows_the_round_trip_as_it_is_measured() -> None:
    round_trips: list[float | None] = [None]
    flight = Flight(lambda: round_trips[-1])
    assert flight.rest is None
    flight.began([b"flight"])
    assert flight.rest == pytest.approx(1.0, abs=0.1)
    round_trips.append(0.1)
    rests = [flight.rest]
    for _ in range(5):
        flight.repeated()
        rests.append(flight.rest)
    assert rests == [pytest.approx(rest, abs=0.05) for rest in (0.2, 0.2, 0.4, 0.8, 1.0, 1.0)]


def test_how_soon_a_flight_is_sent_again() -> None:
    assert first_pause(None) == 1.0
    assert first_pause(0.0001) == 0.05
    assert first_pause(0.2) == pytest.approx(0.4)
    assert first_pause(5.0) == 1.0


async def test_what_is_no_dtls_is_passed_over() -> None:
    pair = Pair(connection(EC), connection(EC))
    for queue in pair.queues:
        for datagram in (b"", b"\x80" + bytes(30), b"\x00\x01"):
            queue.put_nowait(datagram)
    assert await pair.shake_hands() == [None, None]


async def test_both_sides_learn_why_it_has_failed() -> None:
    """Where OpenSSL goes on with the handshake as data is read, one side learns nothing."""
    server = connection(EC, b"ECDHE-ECDSA-AES128-GCM-SHA256")
    client = connection(EC, b"ECDHE-ECDSA-AES256-GCM-SHA384")
    faults = await Pair(server, client).shake_hands()
    assert all(isinstance(fault, SSL.Error) for fault in faults)
    said, heard = (tls_reason(fault) for fault in faults if isinstance(fault, SSL.Error))
    assert said == "OpenSSL says: no shared cipher"
    assert heard.startswith("the peer has refused it (")
    assert "alert handshake failure" in heard


async def test_the_peer_ends_it() -> None:
    pair = Pair(connection(EC), connection(EC))
    # A record with the alert close_notify, before there are keys. (RFC 5246 section 7.2.1)
    pair.queues[1].put_nowait(b"\x15\xfe\xfd" + bytes(8) + b"\x00\x02" + b"\x01\x00")
    with pytest.raises(SSL.Error) as caught:
        await pair.side(1)
    assert "ended" in tls_reason(caught.value)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SSL.ZeroReturnError(), "the peer has ended it"),
        (SSL.SysCallError(-1, "Unexpected EOF"), "OpenSSL can't continue"),
        (SSL.Error(), "OpenSSL can't continue"),
        (SSL.Error([]), "OpenSSL can't continue"),
        (SSL.Error([("SSL routines", "", "read timeout expired")]), "the peer hasn't answered"),
        (
            SSL.Error([("a", "", "one"), ("b", "", "one"), ("c", "", "two")]),
            "OpenSSL says: one, two",
        ),
    ],
)
def test_what_openssl_says(error: SSL.Error, said: str) -> None:
    assert tls_reason(error) == said
