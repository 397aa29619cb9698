"""The statistics of transports, certificates, candidate pairs and candidates for getStats()."""

import base64
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Final

import aioice
import aiortc
from aiortc import stats
from aiortc.rtcdtlstransport import certificate_digest
from aiortc.stats import RTCStats
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ..ice.generation import IceGeneration
from ..ice.transport import RTCIceTransport
from ..seam import CandidatePair, transport_stats
from .dtls import RTCDtlsTransport

__all__ = [
    "RTCCertificateStats",
    "RTCIceCandidatePairStats",
    "RTCIceCandidateStats",
    "RTCTransportStats",
    "track_statistics",
    "transport_report",
    "with_transport_statistics",
]

ALGORITHM: Final = "sha-256"


@dataclass
class RTCTransportStats(stats.RTCTransportStats):
    """aiortc's statistics of a transport, with those of its ICE and its certificates.

    Attributes:
        dtlsRole: `"client"`, `"server"`, or `"unknown"` before it is negotiated.
        tlsVersion: The version of DTLS as four hexadecimal digits, such as `"FEFD"` for DTLS 1.2.
            Like the two that follow, None before the handshake.
        dtlsCipher: The cipher suite, named as by IANA.
        srtpCipher: The protection profile of SRTP, named as by IANA.
        localCertificateId: The `id` of the statistics of our certificate.
        remoteCertificateId: The `id` of those of the peer's, or None before the handshake.
        iceState: The state of the ICE transport.
        iceLocalUsernameFragment: The username fragment of the newest generation.
        selectedCandidatePairId: The `id` of the statistics of the pair in use, or None.
        selectedCandidatePairChanges: How often the pair in use has changed.
        iceRestarts: The number of completed restarts. Not in the specification.
        packetsDiscarded: The number of dropped datagrams, from hosts other than the peer, or of
            none of the protocols STUN, DTLS, RTP and RTCP. No other figure contains them. Not in
            the specification.

    Spec: https://w3c.github.io/webrtc-stats/#transportstats-dict*
    """

    dtlsRole: str = "unknown"
    tlsVersion: str | None = None
    dtlsCipher: str | None = None
    srtpCipher: str | None = None
    localCertificateId: str | None = None
    remoteCertificateId: str | None = None
    iceState: str = "new"
    iceLocalUsernameFragment: str | None = None
    selectedCandidatePairId: str | None = None
    selectedCandidatePairChanges: int = 0
    iceRestarts: int = 0
    packetsDiscarded: int = 0


@dataclass
class RTCCertificateStats(RTCStats):
    """A certificate of a DTLS transport.

    Attributes:
        fingerprint: Its fingerprint, as in descriptions.
        fingerprintAlgorithm: The hash function of the fingerprint, `"sha-256"`.
        base64Certificate: The certificate in DER, encoded in base64.

    Spec: https://w3c.github.io/webrtc-stats/#certificatestats-dict*
    """

    fingerprint: str
    fingerprintAlgorithm: str
    base64Certificate: str


@dataclass
class RTCIceCandidatePairStats(RTCStats):
    """Statistics of two candidates and the checks between them.

    Packets are counted while the pair is in use. Times are in seconds, None before the first
    response.

    Attributes:
        transportId: The `id` of the statistics of the transport.
        localCandidateId: The `id` of the statistics of the local candidate.
        remoteCandidateId: The `id` of the statistics of the remote candidate.
        state: `"frozen"`, `"waiting"`, `"in-progress"`, `"succeeded"` or `"failed"`.
        nominated: Whether it was nominated, as the pair in use is.
        packetsSent: The number of data and media packets that were sent on it.
        packetsReceived: The number of data and media packets that were received on it.
        bytesSent: The bytes of the sent packets, without headers of IP and UDP.
        bytesReceived: The bytes of the received packets, without headers of IP and UDP.
        totalRoundTripTime: The sum of the round trip times of all checks.
        currentRoundTripTime: The round trip time of the last check.
        requestsReceived: The number of checks from the other side.
        requestsSent: The number of checks to the other side, including those for consent.
        responsesReceived: The number of valid answers from the other side.
        responsesSent: The number of answers to the other side.
        consentRequestsSent: The number of checks to the other side for consent.

    Spec: https://w3c.github.io/webrtc-stats/#candidatepair-dict*
    """

    transportId: str
    localCandidateId: str
    remoteCandidateId: str
    state: str
    nominated: bool
    packetsSent: int
    packetsReceived: int
    bytesSent: int
    bytesReceived: int
    totalRoundTripTime: float
    currentRoundTripTime: float | None
    requestsReceived: int
    requestsSent: int
    responsesReceived: int
    responsesSent: int
    consentRequestsSent: int


@dataclass
class RTCIceCandidateStats(RTCStats):
    """Statistics of a candidate; `type` is `"local-candidate"` or `"remote-candidate"`.

    Attributes:
        transportId: The `id` of the statistics of the transport.
        address: The IP address.
        port: The port.
        protocol: `"udp"` or `"tcp"`.
        candidateType: `"host"`, `"srflx"`, `"prflx"` or `"relay"`.
        priority: Its priority. (RFC 8445 section 5.1.2)
        foundation: Its foundation, the same for candidates of one kind, base and server.
        relatedAddress: The address that it is derived from, or None.
        relatedPort: The port that it is derived from, or None.
        usernameFragment: The username fragment of its generation.

    Spec: https://w3c.github.io/webrtc-stats/#icecandidate-dict*
    """

    transportId: str
    address: str
    port: int
    protocol: str
    candidateType: str
    priority: int
    foundation: str
    relatedAddress: str | None
    relatedPort: int | None
    usernameFragment: str | None


def with_transport_statistics(
    report: aiortc.RTCStatsReport, transports: Iterable[aiortc.RTCDtlsTransport]
) -> aiortc.RTCStatsReport:
    """Add the statistics of transports to a report of aiortc's, and return it."""
    for transport in transports:
        assert isinstance(transport, RTCDtlsTransport)
        for found in _transport_statistics(transport):
            report.add(found)
    return report


def transport_report(transport: aiortc.RTCDtlsTransport) -> aiortc.RTCStatsReport:
    """Return a report of a transport, which is aiortc's, or on one, if a program has made it."""
    report = aiortc.RTCStatsReport()
    if isinstance(transport, RTCDtlsTransport) and isinstance(transport.transport, RTCIceTransport):
        return with_transport_statistics(report, [transport])
    report.add(transport_stats(transport))
    return report


async def track_statistics(
    track: aiortc.MediaStreamTrack, users: Iterable[aiortc.RTCRtpSender | aiortc.RTCRtpReceiver]
) -> aiortc.RTCStatsReport:
    """Return the statistics of what sends or receives a track.

    Raises:
        InvalidAccessError: None of the users does, or more than one.
    """
    found = [user for user in users if user.track is track]
    if len(found) != 1:
        raise aiortc.InvalidAccessError(
            f"expected a track with one sender or receiver, got one with {len(found)}"
        )
    return await found[0].getStats()


def _transport_statistics(dtls: RTCDtlsTransport) -> Iterator[RTCStats]:
    """Yield the statistics of a transport, and of its pairs and candidates."""
    ice = dtls.transport._core
    basis = transport_stats(dtls)
    selected = ice.selected_pair
    carrier, *newer = ice.generations
    certificates = {
        side: _certificate(basis, side, certificate)
        for side, certificate in dtls._core.certificates.items()
    }
    yield from certificates.values()
    theirs = certificates.get("remote")
    yield RTCTransportStats(
        **asdict(basis),
        **dtls._core.security._asdict(),
        localCertificateId=certificates["local"].id,
        remoteCertificateId=None if theirs is None else theirs.id,
        iceState=ice.state,
        iceLocalUsernameFragment=ice.credentials.ufrag,
        selectedCandidatePairId=None if selected is None else _pair_id(basis.id, carrier, selected),
        selectedCandidatePairChanges=ice.selected_pair_changes,
        iceRestarts=ice.restarts,
        packetsDiscarded=ice.discards.count,
    )
    for generation in (carrier, *newer):
        yield from _candidates(basis, generation)
        for pair in generation.connection.check_list:
            yield _pair(basis, dtls, generation, pair)


def _certificate(basis: RTCStats, side: str, certificate: x509.Certificate) -> RTCCertificateStats:
    return RTCCertificateStats(
        timestamp=basis.timestamp,
        type="certificate",
        id=f"certificate_{basis.id}_{side}",
        fingerprint=certificate_digest(certificate, ALGORITHM),
        fingerprintAlgorithm=ALGORITHM,
        base64Certificate=base64.b64encode(certificate.public_bytes(Encoding.DER)).decode(),
    )


def _candidates(basis: RTCStats, generation: IceGeneration) -> Iterator[RTCStats]:
    local_ufrag = generation.credentials.ufrag
    remote_ufrag = None if generation.remote is None else generation.remote.credentials.ufrag
    for candidate in generation.connection.local_candidates:
        yield _candidate(basis, "local", local_ufrag, candidate)
    for candidate in generation.connection.remote_candidates:
        yield _candidate(basis, "remote", remote_ufrag, candidate)


def _candidate(
    basis: RTCStats, side: str, ufrag: str | None, candidate: aioice.Candidate
) -> RTCStats:
    return RTCIceCandidateStats(
        timestamp=basis.timestamp,
        type=f"{side}-candidate",
        id=_candidate_id(basis.id, side, ufrag, candidate),
        transportId=basis.id,
        address=candidate.host,
        port=candidate.port,
        protocol=candidate.transport,
        candidateType=candidate.type,
        priority=candidate.priority,
        foundation=candidate.foundation,
        relatedAddress=candidate.related_address,
        relatedPort=candidate.related_port,
        usernameFragment=ufrag,
    )


def _pair(
    basis: RTCStats, dtls: RTCDtlsTransport, generation: IceGeneration, pair: CandidatePair
) -> RTCStats:
    local, remote = _candidate_ids(basis.id, generation, pair)
    checks = generation.connection.checks_of(pair)
    traffic = dtls.transport._core.traffic.of(pair)
    return RTCIceCandidatePairStats(
        timestamp=basis.timestamp,
        type="candidate-pair",
        id=_pair_id(basis.id, generation, pair),
        transportId=basis.id,
        localCandidateId=local,
        remoteCandidateId=remote,
        state=pair.state.name.lower().replace("_", "-"),
        nominated=pair.nominated,
        packetsSent=traffic.packets_sent,
        packetsReceived=traffic.packets_received,
        bytesSent=traffic.bytes_sent,
        bytesReceived=traffic.bytes_received,
        totalRoundTripTime=checks.total_round_trip_time,
        currentRoundTripTime=checks.round_trip_time,
        requestsReceived=checks.requests_received,
        requestsSent=checks.requests_sent,
        responsesReceived=checks.responses_received,
        responsesSent=checks.requests_received,
        consentRequestsSent=checks.consent_requests_sent,
    )


def _pair_id(transport: str, generation: IceGeneration, pair: CandidatePair) -> str:
    return "pair:" + "|".join(_candidate_ids(transport, generation, pair))


def _candidate_ids(
    transport: str, generation: IceGeneration, pair: CandidatePair
) -> tuple[str, str]:
    remote = None if generation.remote is None else generation.remote.credentials.ufrag
    return (
        _candidate_id(transport, "local", generation.credentials.ufrag, pair.local_candidate),
        _candidate_id(transport, "remote", remote, pair.remote_candidate),
    )


def _candidate_id(transport: str, side: str, ufrag: str | None, candidate: aioice.Candidate) -> str:
    # A peer-reflexive candidate may turn out to be another one, so neither type nor foundation.
    reflexive = "reflexive" if candidate.type == "srflx" else ""
    return f"{transport}:{side}:{ufrag}:{reflexive}{candidate.host}:{candidate.port}"
