"""The private names of aiortc's DTLS transport, and of the certificate that it is made with."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import aiortc
from aiortc import rtcdtlstransport, rtcrtpreceiver, rtcsctptransport
from aiortc.rtcdtlstransport import (
    SRTP_PROFILES,
    RTCDtlsFingerprint,
    RtpRouter,
    SRTPProtectionProfile,
    State,
)
from aiortc.rtp import RtpPacket
from OpenSSL import SSL

from .names import Private, require

__all__ = ["AiortcDtlsTransport", "AiortcRtpRouter", "PreparedCertificate", "try_certificate"]

_CERTIFICATE = rtcdtlstransport.RTCCertificate
for _name in ("_cert", "_create_ssl_context", "_key"):
    require(_CERTIFICATE, _name)


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
        """Return the digests of the certificate."""
        return self.original.getFingerprints()

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

for _method in ("_do_handshake", "_recv_next", "_set_state", "_setup_srtp"):
    require(_DTLS, _method)
for _name in ("_data_receiver", "_rtp_router", "_state", "_task"):
    require(_DTLS, _name)
require(rtcrtpreceiver.RTCRtpReceiver, "_handle_disconnect")
FAILED: Final = State.FAILED
# Of how many sources that no description names the router knows the receiver.
LEARNED: Final = 512


class AiortcRtpRouter(RtpRouter):
    """aiortc's router, which doesn't remember each source that it has ever heard.

    What it has learned from a packet it learns from the next one again. The sources that
    descriptions name are remembered, as what they send can't be told otherwise.
    """

    def __init__(self) -> None:
        super().__init__()
        self.named: set[int] = set()
        self.learned: deque[int] = deque()

    def register_receiver(self, receiver: Any, ssrcs: list[int], *args: Any, **kwargs: Any) -> None:
        """Take a receiver for what the sources send that a description names."""
        super().register_receiver(receiver, ssrcs, *args, **kwargs)
        self.named = {*self.named.intersection(self.ssrc_table), *ssrcs}

    def route_rtp(self, packet: RtpPacket) -> Any:
        """Return the receiver of a packet, or None."""
        known = len(self.ssrc_table)
        receiver = super().route_rtp(packet)
        if len(self.ssrc_table) > known:
            self.learned.append(packet.ssrc)
            if len(self.learned) > LEARNED:
                oldest = self.learned.popleft()
                if oldest not in self.named:
                    self.ssrc_table.pop(oldest, None)
        return receiver


class AiortcDtlsTransport(rtcdtlstransport.RTCDtlsTransport):
    """aiortc's DTLS transport with its private attributes under names of ours."""

    tls = Private[SSL.Connection | None](_DTLS, "_ssl")
    dtls_role = Private[str](_DTLS, "_role")
    bytes_received = Private[int](_DTLS, "__rx_bytes")
    bytes_sent = Private[int](_DTLS, "__tx_bytes")
    packets_received = Private[int](_DTLS, "__rx_packets")
    packets_sent = Private[int](_DTLS, "__tx_packets")

    def __init__(
        self, transport: aiortc.RTCIceTransport, certificates: list[aiortc.RTCCertificate]
    ) -> None:
        super().__init__(transport, certificates)
        self._rtp_router = AiortcRtpRouter()

    # What a subclass overrides.

    async def shake_hands(self) -> None:
        """Attempt to complete the handshake, after which this is `encrypted`, or `failed`."""
        raise NotImplementedError

    async def cancelled(self) -> None:
        """End what runs on this, as its task is cancelled, such as by the end of asyncio.run()."""
        raise NotImplementedError

    def handling_failed(self, error: Exception) -> None:
        """Take note that a packet couldn't be handled."""
        raise NotImplementedError

    # What a subclass calls.

    def enter_failed(self) -> None:
        """Enter the state that there is no way out of."""
        self._set_state(FAILED)

    async def disconnect(self) -> None:
        """End what runs on this, as nothing can be sent or received any more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        for receiver in list(self._rtp_router.receivers):
            receiver._handle_disconnect()
        if isinstance(self._data_receiver, rtcsctptransport.RTCSctpTransport):
            await self._data_receiver.stop()

    # What aiortc calls.

    async def _do_handshake(self) -> None:
        await self.shake_hands()

    async def _recv_next(self) -> None:
        try:
            # Of each packet, as long as nothing is wrong, so that this is no call more for each.
            while True:
                await super()._recv_next()
        except asyncio.CancelledError:
            if asyncio.current_task() is self._task:
                # Neither stop() nor disconnect() has done that, which forget the task.
                await self.cancelled()
            raise
        except ConnectionError:
            raise  # the end, as the other side or close() has it
        except Exception as error:  # noqa: BLE001  told by who takes note
            self.handling_failed(error)

    def _set_state(self, state: State) -> None:
        # aiortc's task enters "closed" when it is cancelled.
        if self._state is not FAILED:
            super()._set_state(state)
