"""Certificates for DTLS, as a program asks for them."""

import datetime as dt
import secrets
from collections.abc import Mapping
from typing import Any, Final

import aiortc
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ..exceptions import NotSupportedError

__all__ = ["generate"]

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

# The seconds for which a certificate is valid unless told otherwise, and at most.
VALIDITY: Final = 30 * 86_400
LONGEST_VALIDITY: Final = 365 * 86_400
# Its clock may be late. In seconds.
BEFORE: Final = 86_400
KEY_SIZES: Final = range(1024, 8193)
EXPONENT: Final = 65537


def generate(algorithm: str | Mapping[str, Any]) -> aiortc.RTCCertificate:
    """Generate a key and a certificate that it signs itself.

    Args:
        algorithm: As RTCPeerConnection.generateCertificate() takes it.

    Raises:
        NotSupportedError: The algorithm is no supported one.
        TypeError: `expires` isn't a number of milliseconds.

    Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-generatecertificate
    """
    wanted = {"name": algorithm} if isinstance(algorithm, str) else dict(algorithm)
    validity = _validity(wanted.get("expires"))
    key = _generate_key(wanted)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, secrets.token_hex(16))])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(seconds=BEFORE))
        .not_valid_after(now + validity)
        .sign(key, hashes.SHA256())
    )
    return aiortc.RTCCertificate(key=key, cert=certificate)  # type: ignore[arg-type]  # RSA, too


def _validity(expires: object) -> dt.timedelta:
    if expires is None:
        return dt.timedelta(seconds=VALIDITY)
    if isinstance(expires, bool) or not isinstance(expires, int) or expires < 0:
        raise TypeError(f"expires must be a number of milliseconds, not {expires!r}")
    return dt.timedelta(milliseconds=min(expires, LONGEST_VALIDITY * 1000))


def _generate_key(wanted: Mapping[str, Any]) -> PrivateKey:
    name = str(wanted.get("name")).upper()
    if name == "ECDSA" and wanted.get("namedCurve") == "P-256":
        return ec.generate_private_key(ec.SECP256R1())
    if name == "RSASSA-PKCS1-V1_5" and _hash_name(wanted.get("hash")) == "SHA-256":
        size, exponent = wanted.get("modulusLength"), wanted.get("publicExponent")
        is_usual = exponent is not None and int.from_bytes(exponent, "big") == EXPONENT
        if isinstance(size, int) and size in KEY_SIZES and is_usual:
            return rsa.generate_private_key(EXPONENT, size)
    raise NotSupportedError(
        "expected ECDSA with P-256, or RSASSA-PKCS1-v1_5 with SHA-256, a modulusLength from "
        f"{KEY_SIZES[0]} to {KEY_SIZES[-1]} and the publicExponent 65537, got {dict(wanted)!r}"
    )


def _hash_name(given: object) -> str:
    return str(given.get("name") if isinstance(given, Mapping) else given).upper()
