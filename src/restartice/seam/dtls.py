"""The private names of aiortc's DTLS transport, and of its certificate."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

import aiortc
import pylibsrtp
from aiortc import clock, rtcdtlstransport, rtcicetransport, rtcrtpreceiver, rtcsctptransport
from aiortc.rtcdtlstransport import (
    SRTP_PROFILES,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    SRTPProtectionProfile,
    State,
)
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
from aiortc.rtp import is_rtcp
from cryptography import x509
from OpenSSL import SSL

from .aborting import abort_dtls
from .names import OfViewed, require
from .records import Records
from .routing import StreamRouter
from .sctp import AiortcSctpTransport

__all__ = [
    "AiortcDtlsTransport",
    "DtlsView",
    "PreparedCertificate",
    "try_certificate",
]

_CERTIFICATE = rtcdtlstransport.RTCCertificate
for _name in ("_cert", "_create_ssl_context", "_key"):
    require(_CERTIFICATE, _name)


# Those of certificates in use.
_fingerprints = WeakKeyDictionary[rtcdtlstransport.RTCCertificate, list[RTCDtlsFingerprint]]()


class PreparedCertificate(rtcdtlstransport.RTCCertificate):
    """A certificate of the program's, whose contexts for OpenSSL are prepared further.

    Args:
        certificate: The certificate.
        prepare: Called with a context that nothing uses yet, and a list of the cipher suites
            that are enabled in it.
    """

    def __init__(
        self,
        certificate: aiortc.RTCCertificate,
        prepare: Callable[[SSL.Context, list[str]], None],
    ) -> None:
        super().__init__(certificate._key, certificate._cert)
        self.original = certificate
        self.prepare = prepare

    def getFingerprints(self) -> list[RTCDtlsFingerprint]:
        """Return copies of the digests of the certificate, which are computed once."""
        if self.original not in _fingerprints:
            _fingerprints[self.original] = self.original.getFingerprints()
        digests = _fingerprints[self.original]
        return [RTCDtlsFingerprint(digest.algorithm, digest.value) for digest in digests]

    def _create_ssl_context(self, srtp_profiles: list[SRTPProtectionProfile]) -> SSL.Context:
        enabled = _enabled_suites(self.original, srtp_profiles)
        context = self.original._create_ssl_context(srtp_profiles)
        self.prepare(context, enabled)
        return context


# Those that aiortc enables, once they are known.
_aiortcs_suites: list[str] = []


def _enabled_suites(
    certificate: aiortc.RTCCertificate, srtp_profiles: list[SRTPProtectionProfile]
) -> list[str]:
    """Return the cipher suites of the contexts that a certificate makes."""
    make = certificate._create_ssl_context
    # Not if a program has replaced the method, or wrapped it.
    is_aiortcs = getattr(make, "__globals__", None) is vars(rtcdtlstransport)
    if is_aiortcs and _aiortcs_suites:
        return _aiortcs_suites
    # A context to read from, as one can't be changed when it has made a connection.
    suites = SSL.Connection(make(srtp_profiles)).get_cipher_list()
    if is_aiortcs:
        _aiortcs_suites[:] = suites
    return suites


def try_certificate(certificate: aiortc.RTCCertificate) -> None:
    """Try if OpenSSL takes a certificate and its key.

    Raises:
        SSL.Error: It doesn't. Also TypeError, if one of them is of no kind that it knows.
    """
    certificate._create_ssl_context(SRTP_PROFILES).check_privatekey()


_DTLS = rtcdtlstransport.RTCDtlsTransport

for _method in (
    "_do_handshake",
    "_validate_peer_identity",
    "_recv_next",
    "_register_rtp_receiver",
    "_set_state",
    "_setup_srtp",
):
    require(_DTLS, _method)
for _name in (
    "_data_receiver",
    "_rtp_header_extensions_map",
    "_rtp_router",
    "_state",
    "_task",
):
    require(_DTLS, _name)
for _name in ("__handshake_done", "_rx_srtp", "_ssl"):
    require(_DTLS, _name)
for _method in ("_handle_rtcp_data", "_handle_rtp_data", "_send_data", "_write_ssl"):
    require(_DTLS, _method)
for _name in ("_recv", "_send"):
    require(rtcicetransport.RTCIceTransport, _name)
require(rtcrtpreceiver.RTCRtpReceiver, "_handle_disconnect")
require(rtcsctptransport.RTCSctpTransport, "_handle_data")
FAILED: Final = State.FAILED
# IANA's names of ciphers, by OpenSSL's.
CIPHERS: Final = {
    "AES128-GCM-SHA256": "AES_128_GCM_SHA256",
    "AES256-GCM-SHA384": "AES_256_GCM_SHA384",
    "CHACHA20-POLY1305": "CHACHA20_POLY1305_SHA256",
    "AES128-SHA": "AES_128_CBC_SHA",
    "AES256-SHA": "AES_256_CBC_SHA",
}


class Security(NamedTuple):
    """What DTLS has negotiated, named as in the statistics of a transport."""

    dtlsRole: str
    tlsVersion: str | None = None
    dtlsCipher: str | None = None
    srtpCipher: str | None = None


def iana_name(name: str) -> str:
    """Return IANA's name of one of the cipher suites in use, given OpenSSL's."""
    for keys in ("ECDHE-ECDSA-", "ECDHE-RSA-"):
        if name.startswith(keys):
            cipher = CIPHERS.get(name.removeprefix(keys), name)
            return f"TLS_{keys.replace('-', '_')}WITH_{cipher}"
    return name


class DtlsView:
    """A DTLS transport of aiortc's with its private names under names of ours, and what it asks."""

    tls = OfViewed[SSL.Connection | None](_DTLS, "_ssl")
    role = OfViewed[str](_DTLS, "_role")
    local_certificate = OfViewed[aiortc.RTCCertificate](_DTLS, "__local_certificate")
    bytes_received = OfViewed[int](_DTLS, "__rx_bytes")
    bytes_sent = OfViewed[int](_DTLS, "__tx_bytes")
    packets_received = OfViewed[int](_DTLS, "__rx_packets")
    packets_sent = OfViewed[int](_DTLS, "__tx_packets")

    def __init__(self, transport: "AiortcDtlsTransport") -> None:
        self.viewed = transport
        self.records: Records | None = None

    @property
    def certificates(self) -> dict[str, x509.Certificate]:
        """Our certificate, which is `local`, and the peer's, `remote`, once it has come."""
        ours = self.local_certificate._cert
        theirs = self.peer_certificate
        return {"local": ours} if theirs is None else {"local": ours, "remote": theirs}

    @property
    def security(self) -> Security:
        """What DTLS has negotiated."""
        role = self.role if self.role in {"client", "server"} else "unknown"
        if self.tls is None or self.tls.get_cipher_name() is None:
            return Security(role)
        profile = self.tls.get_selected_srtp_profile().decode()
        return Security(
            role,
            f"{self.tls.get_protocol_version():04X}",
            iana_name(self.tls.get_cipher_name() or ""),
            profile.replace("_SHA1_", "_HMAC_SHA1_") or None,
        )

    @property
    def peer_certificate(self) -> x509.Certificate | None:
        """The peer's certificate, once it has come."""
        return None if self.tls is None else self.tls.get_peer_certificate(as_cryptography=True)

    # What a subclass overrides.

    async def shake_hands(self) -> None:
        """Attempt to complete the handshake, after which this is `encrypted`, or `failed`."""
        raise NotImplementedError

    async def look_ahead(self) -> bool:
        """Look at the next datagram before it is read; return whether to do so again."""
        raise NotImplementedError

    async def cancelled(self) -> None:
        """End what runs on this, as its task is cancelled, such as by the end of asyncio.run()."""
        raise NotImplementedError

    def is_expected(self, certificate: x509.Certificate) -> bool:
        """Return whether a certificate is the one that the peer's description tells."""
        raise NotImplementedError

    def handling_failed(self, error: Exception) -> None:
        """Note that a packet couldn't be handled."""
        raise NotImplementedError

    def decrypting_failed(self, error: Exception) -> None:
        """Note that a packet of RTP couldn't be decrypted, or came twice."""
        raise NotImplementedError

    # What a subclass calls.

    def enter_failed(self) -> None:
        """Enter the state that there is no way out of."""
        self.viewed._set_state(FAILED)

    async def disconnect(self) -> None:
        """End what runs on this, as nothing can be sent or received any more."""
        transport = self.viewed
        abort_dtls(transport)
        for receiver in list(transport._rtp_router.receivers):
            receiver._handle_disconnect()
        if isinstance(transport._data_receiver, AiortcSctpTransport):
            transport._data_receiver._core.transport_failed()
            await transport._data_receiver.stop()


class AiortcDtlsTransport(rtcdtlstransport.RTCDtlsTransport):
    """aiortc's DTLS transport, whose core shakes hands, and is told what fails."""

    _core: DtlsView
    _rtp_router: StreamRouter
    # Which aiortc assigns.
    _RTCDtlsTransport__handshake_done: bool
    _RTCDtlsTransport__rx_bytes: int
    _RTCDtlsTransport__rx_packets: int
    _RTCDtlsTransport__tx_bytes: int
    _RTCDtlsTransport__tx_packets: int

    def __init__(
        self, transport: aiortc.RTCIceTransport, certificates: list[aiortc.RTCCertificate]
    ) -> None:
        super().__init__(transport, certificates)
        self._rtp_router = StreamRouter()

    def _register_rtp_receiver(self, receiver: Any, parameters: RTCRtpReceiveParameters) -> None:
        self._rtp_header_extensions_map.configure(parameters)
        self._rtp_router.register(receiver, parameters)

    async def _send_data(self, data: bytes) -> None:
        if self._state is not State.CONNECTED:
            raise ConnectionError("Cannot send encrypted data, not connected")
        assert self._ssl is not None
        records = self._core.records
        if records is None:
            records = self._core.records = Records(self._ssl)
        try:
            record = records.encrypt(data)
        except SSL.Error as error:
            # stop() has told the other side that this is the end, and is about to enter "closed".
            raise ConnectionError("Cannot send encrypted data, DTLS has ended") from error
        await self.transport._send(record)
        self._RTCDtlsTransport__tx_bytes += len(record)
        self._RTCDtlsTransport__tx_packets += 1

    async def _do_handshake(self) -> None:
        await self._core.shake_hands()

    def _validate_peer_identity(self, remoteParameters: RTCDtlsParameters) -> None:
        # aiortc knows fewer hash functions. The core knows the parameters from start().
        del remoteParameters
        certificate = self._core.peer_certificate
        if certificate is None or not self._core.is_expected(certificate):
            self._set_state(State.FAILED)

    async def _recv_next(self) -> None:
        try:
            while await self._core.look_ahead():
                await super()._recv_next()
            # DTLS 1.3 has timers, and something to send, after the handshake, too.
            while not self._RTCDtlsTransport__handshake_done or not _is_old(self):
                await super()._recv_next()
            # Of each packet, as long as nothing is wrong, so that this is no call more for each.
            await _receive_packets(self)
        except asyncio.CancelledError:
            if asyncio.current_task() is self._task:
                # Neither stop() nor disconnect() has done that, which forget the task.
                await self._core.cancelled()
            raise
        except ConnectionError:
            raise  # the end, as the other side or close() has it
        except Exception as error:  # noqa: BLE001  told by who takes note
            self._core.handling_failed(error)

    def _set_state(self, state: State) -> None:
        # aiortc's task enters "closed" when it is cancelled.
        if self._state is not FAILED:
            super()._set_state(state)


def _is_old(transport: AiortcDtlsTransport) -> bool:
    """Return whether DTLS is older than 1.3."""
    return transport._ssl is None or transport._ssl.get_protocol_version_name() != "DTLSv1.3"


async def _receive_packets(transport: AiortcDtlsTransport) -> None:
    """Receive what comes in, in the way of aiortc's _recv_next(), with less work for each packet.

    Raises:
        ConnectionError: The other side, or this one, has ended DTLS.
    """
    assert transport._ssl is not None
    receive, records = transport.transport._recv, Records(transport._ssl)
    while True:
        datagram = await receive()
        transport._RTCDtlsTransport__rx_bytes += len(datagram)
        transport._RTCDtlsTransport__rx_packets += 1
        first = datagram[0]
        if 19 < first < 64:
            try:
                data = records.decrypt(datagram)
            except SSL.Error as error:
                await _take_error(transport, error)
                continue
            if data and transport._data_receiver is not None:
                await transport._data_receiver._handle_data(data)
        elif 127 < first < 192 and transport._rx_srtp:
            await _receive_media(transport, datagram)


async def _take_error(transport: AiortcDtlsTransport, error: SSL.Error) -> None:
    """Handle a datagram of DTLS that has no data."""
    # It may have been something else, which has to be answered.
    await transport._write_ssl()
    if isinstance(error, SSL.ZeroReturnError):
        raise ConnectionError("the other side has ended DTLS") from None


async def _receive_media(transport: AiortcDtlsTransport, datagram: bytes) -> None:
    arrival = clock.current_ms()
    try:
        if is_rtcp(datagram):
            await transport._handle_rtcp_data(transport._rx_srtp.unprotect_rtcp(datagram))
        else:
            await transport._handle_rtp_data(
                transport._rx_srtp.unprotect(datagram), arrival_time_ms=arrival
            )
    except pylibsrtp.Error as error:
        transport._core.decrypting_failed(error)
