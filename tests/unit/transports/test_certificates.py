"""Certificates that a program asks for."""

import datetime as dt

import aiortc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from conftest import Factory
from connecting import connect
from restartice import NotSupportedError, RTCConfiguration, RTCPeerConnection
from restartice.transports.certificates import generate
from restartice.transports.dtls import RTCDtlsTransport

ECDSA = {"name": "ECDSA", "namedCurve": "P-256"}
RSA = {
    "name": "RSASSA-PKCS1-v1_5",
    "modulusLength": 2048,
    "publicExponent": b"\x01\x00\x01",
    "hash": "SHA-256",
}
YEAR = 365 * 86_400_000
SLACK = dt.timedelta(seconds=5)


@pytest.mark.parametrize("ours", [ECDSA, RSA], ids=["ecdsa", "rsa"])
@pytest.mark.parametrize("theirs", [ECDSA, RSA], ids=["ecdsa", "rsa"])
async def test_both_sides_use_them(
    make_pc: Factory, ours: dict[str, object], theirs: dict[str, object]
) -> None:
    made = [await RTCPeerConnection.generateCertificate(algorithm) for algorithm in (ours, theirs)]
    near, far = (make_pc(RTCConfiguration(certificates=[certificate])) for certificate in made)
    await connect(near, far)
    assert near.sctp is not None
    assert far.sctp is not None
    kinds = [type(certificate._key).__name__ for certificate in made]
    assert kinds[0].startswith("EC" if ours is ECDSA else "RSA")
    for sctp, certificate in ((near.sctp, made[1]), (far.sctp, made[0])):
        assert isinstance(sctp.transport, RTCDtlsTransport)
        (der,) = sctp.transport.getRemoteCertificates()
        assert der == certificate._cert.public_bytes(Encoding.DER)


def test_keys_are_of_the_wanted_kind() -> None:
    assert isinstance(generate(ECDSA)._key, ec.EllipticCurvePrivateKey)
    key: object = generate({**RSA, "hash": {"name": "sha-256"}})._key
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == 2048


@pytest.mark.parametrize(
    ("told", "milliseconds"), [(None, 30 * 86_400_000), (0, 0), (2000, 2000), (2 * YEAR, YEAR)]
)
def test_they_are_valid_for_as_long_as_asked(told: int | None, milliseconds: int) -> None:
    certificate = generate({**ECDSA, "expires": told})
    expected = dt.datetime.now(dt.UTC) + dt.timedelta(milliseconds=milliseconds)
    assert abs(certificate.expires - expected) < SLACK


@pytest.mark.parametrize("expires", [-1, "soon", 1.5, True])
def test_an_impossible_time_is_refused(expires: object) -> None:
    with pytest.raises(TypeError, match="expires"):
        generate({**ECDSA, "expires": expires})


@pytest.mark.parametrize(
    "algorithm",
    [
        "ECDSA",
        "unknown",
        {},
        {"name": "ECDSA", "namedCurve": "P-521"},
        {**RSA, "hash": "SHA-1"},
        {**RSA, "modulusLength": 512},
        {**RSA, "modulusLength": "2048"},
        {**RSA, "publicExponent": b"\x03"},
        {"name": RSA["name"]},
    ],
    ids=str,
)
def test_other_algorithms_are_refused(algorithm: str | dict[str, object]) -> None:
    with pytest.raises(NotSupportedError):
        generate(algorithm)


async def test_there_is_no_remote_certificate_before_the_handshake(make_pc: Factory) -> None:
    pc = make_pc()
    pc.createDataChannel("")
    assert isinstance(pc.sctp, aiortc.RTCSctpTransport)
    assert isinstance(pc.sctp.transport, RTCDtlsTransport)
    assert pc.sctp.transport.getRemoteCertificates() == []


async def test_the_first_of_several_is_used(make_pc: Factory) -> None:
    made = [generate(ECDSA), generate(ECDSA)]
    near, far = make_pc(RTCConfiguration(certificates=made)), make_pc()
    await connect(near, far)
    assert far.sctp is not None
    assert isinstance(far.sctp.transport, RTCDtlsTransport)
    (der,) = far.sctp.transport.getRemoteCertificates()
    assert der == made[0]._cert.public_bytes(Encoding.DER)
