"""The configuration of a connection: checks its values, and its changes."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Final, TypeVar

import aiortc
from aiortc import InvalidAccessError, RTCBundlePolicy, RTCIceTransportPolicy
from aiortc.rtcconfiguration import RTCConfiguration as AiortcConfiguration
from aiortc.rtcdtlstransport import RTCCertificate
from OpenSSL import SSL

from .exceptions import InvalidModificationError, tls_reason
from .ice.gathering.servers import validated_servers
from .seam import try_certificate

__all__ = ["RTCConfiguration", "RTCRtcpMuxPolicy", "check_change", "in_force", "validated"]

E = TypeVar("E", bound=Enum)

POOL_SIZES: Final = range(256)


class RTCRtcpMuxPolicy(Enum):
    """Whether a remote peer must multiplex RTP and RTCP, which is all that aiortc supports.

    Spec: https://w3c.github.io/webrtc-pc/#rtcrtcpmuxpolicy-enum
    """

    REQUIRE = "require"


@dataclass
class RTCConfiguration(AiortcConfiguration):
    """aiortc's configuration, with the fields of the specification that it lacks.

    For aiortc's enums you may give their values, such as `"max-bundle"`.

    Attributes:
        rtcpMuxPolicy: `"require"`, the only policy.
        iceCandidatePoolSize: The number of transports to prepare in advance, 0 to 255. It has no
            effect: candidates are gathered when a local description is set.
        certificates: The certificates for DTLS, of which the first is used; None to create one for
            this connection.

    `iceServers`, `bundlePolicy` and `iceTransportPolicy` are aiortc's.

    Spec: https://w3c.github.io/webrtc-pc/#rtcconfiguration-dictionary
    """

    rtcpMuxPolicy: RTCRtcpMuxPolicy = RTCRtcpMuxPolicy.REQUIRE
    iceCandidatePoolSize: int = 0
    certificates: list[aiortc.RTCCertificate] | None = None


def validated(configuration: aiortc.RTCConfiguration | None) -> RTCConfiguration:
    """Check a configuration, and return a copy.

    Raises:
        TypeError: A value has the wrong type, or isn't one of its enum.
        IceServerSyntaxError: A server has no URL or a malformed one.
        InvalidAccessError: A TURN server lacks username or credential, or a certificate has
            expired or can't be used with its key.
    """
    given = aiortc.RTCConfiguration() if configuration is None else configuration
    if not isinstance(given, AiortcConfiguration):
        raise TypeError(f"a configuration must be an RTCConfiguration, not {type(given).__name__}")
    values = {field.name: getattr(given, field.name) for field in fields(given)}
    copied = RTCConfiguration(**values)
    copied.iceTransportPolicy = _member(RTCIceTransportPolicy, copied.iceTransportPolicy)
    copied.bundlePolicy = _member(RTCBundlePolicy, copied.bundlePolicy)
    copied.rtcpMuxPolicy = _member(RTCRtcpMuxPolicy, copied.rtcpMuxPolicy)
    size = copied.iceCandidatePoolSize
    if isinstance(size, bool) or not isinstance(size, int) or size not in POOL_SIZES:
        raise TypeError(f"iceCandidatePoolSize must be an integer from 0 to 255, not {size!r}")
    if copied.iceServers is not None:
        copied.iceServers = validated_servers(copied.iceServers)
    _check_certificates(copied.certificates or [])
    return copied


def check_change(old: RTCConfiguration, new: RTCConfiguration, *, described: bool) -> None:
    """Check the changes from the current configuration to a new one.

    Args:
        old: The current configuration.
        new: The new configuration.
        described: Whether a local description was set before.

    Raises:
        InvalidModificationError: A field differs that can't be changed.

    Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-setconfiguration
    """
    fixed = ["bundlePolicy", "rtcpMuxPolicy", "alwaysNegotiateDataChannels"]
    if described:
        # "If the ice candidate pool size differs and setLocalDescription has been called."
        fixed.append("iceCandidatePoolSize")
    if new.certificates is not None:
        fixed.append("certificates")
    for name in fixed:
        if getattr(old, name) != getattr(new, name):
            raise InvalidModificationError(f"{name} can't be changed once it is in use")


def in_force(
    configuration: RTCConfiguration, certificates: list[aiortc.RTCCertificate]
) -> RTCConfiguration:
    """Return a copy of a configuration, with the certificates in use."""
    servers = configuration.iceServers
    return replace(
        configuration,
        iceServers=None if servers is None else [replace(server) for server in servers],
        certificates=list(certificates),
    )


def _member(enum: type[E], value: object) -> E:
    if isinstance(value, enum):
        return value
    if isinstance(value, str):
        for member in enum:
            if member.value == value:
                return member
    raise TypeError(f"expected a value of {enum.__name__}, got {value!r}")


def _check_certificates(certificates: Iterable[aiortc.RTCCertificate]) -> None:
    for certificate in certificates:
        if not isinstance(certificate, RTCCertificate):
            raise TypeError(f"expected an RTCCertificate, got {certificate!r}")
        # If the value of certificate.expires is less than the current time, throw.
        if certificate.expires < dt.datetime.now(tz=dt.UTC):
            raise InvalidAccessError(
                f"expected a valid certificate, got one that expired at {certificate.expires}"
            )
        try:
            try_certificate(certificate)
        except SSL.Error as error:
            raise InvalidAccessError(
                f"OpenSSL refuses a certificate: {tls_reason(error)}"
            ) from None
