"""Records of DTLS are encrypted and decrypted, with names of pyOpenSSL's or without them."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
from aiortc.rtcdtlstransport import SRTP_PROFILES, RTCCertificate
from OpenSSL import SSL

from restartice.seam import records
from restartice.seam.records import LONGEST_RECORD, Records

FLIGHTS = 10


def flights(sender: SSL.Connection) -> Iterator[bytes]:
    """Yield what a connection has to send."""
    while True:
        try:
            yield sender.bio_read(LONGEST_RECORD)
        except SSL.WantReadError:
            return


@pytest.fixture(params=[True, False], ids=["with", "without"])
def pair(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> tuple[Records, Records]:
    """The records of two ends after their handshake."""
    certificates = [RTCCertificate.generateCertificate() for _ in range(2)]
    near, far = (SSL.Connection(c._create_ssl_context(SRTP_PROFILES)) for c in certificates)
    near.set_connect_state()
    far.set_accept_state()
    for number in range(FLIGHTS):
        sender, receiver = (near, far) if number % 2 == 0 else (far, near)
        with suppress(SSL.WantReadError):
            sender.do_handshake()
        for flight in flights(sender):
            receiver.bio_write(flight)
    if not request.param:
        monkeypatch.setattr(records, "FUNCTIONS", ("SSL_read_otherwise",))
    ends = Records(near), Records(far)
    assert [end.buffer is not None for end in ends] == [request.param] * 2
    return ends


def test_data_comes_through(pair: tuple[Records, Records]) -> None:
    near, far = pair
    for size in (1, 2, 1189):
        for sender, receiver in ((near, far), (far, near)):
            assert receiver.decrypt(sender.encrypt(b"x" * size)) == b"x" * size


def test_what_was_changed_or_came_before_is_no_data(pair: tuple[Records, Records]) -> None:
    near, far = pair
    record = near.encrypt(b"data")
    for broken in (record[:-1] + bytes([record[-1] ^ 1]), record[:20], b"\x17"):
        with pytest.raises(SSL.WantReadError):
            far.decrypt(broken)
    assert far.decrypt(record) == b"data"
    with pytest.raises(SSL.WantReadError):
        far.decrypt(record)


def test_the_end_is_told(pair: tuple[Records, Records]) -> None:
    near, far = pair
    near.tls.shutdown()
    (alert,) = flights(near.tls)
    with pytest.raises(SSL.ZeroReturnError):
        far.decrypt(alert)
    with pytest.raises(SSL.Error):
        near.encrypt(b"data")
