"""Certificates for DTLS that aiortc doesn't make, and peers that use all that OpenSSL has."""

import functools
from typing import Any

import aiortc
from aiortc.rtcdtlstransport import generate_certificate
from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL


@functools.cache
def rsa_certificate(bits: int = 2048) -> aiortc.RTCCertificate:
    """Return a certificate with an RSA key."""
    key: Any = rsa.generate_private_key(65537, bits)
    return aiortc.RTCCertificate(key, generate_certificate(key))


class OpensslCertificate(aiortc.RTCCertificate):
    """Lets an aiortc peer enable other cipher suites than aiortc does."""

    suites = b"DEFAULT"

    def _create_ssl_context(self, srtp_profiles: Any) -> SSL.Context:
        context = super()._create_ssl_context(srtp_profiles)
        context.set_cipher_list(self.suites)
        return context


def with_suites(certificate: aiortc.RTCCertificate, suites: bytes) -> OpensslCertificate:
    """Return a certificate with which an aiortc peer enables these cipher suites."""
    other = OpensslCertificate(certificate._key, certificate._cert)
    other.suites = suites
    return other


def use_certificate(pc: aiortc.RTCPeerConnection, certificate: aiortc.RTCCertificate) -> None:
    """Let an aiortc peer, which has no transport yet, use a certificate."""
    vars(pc)["_RTCPeerConnection__certificates"] = [certificate]
