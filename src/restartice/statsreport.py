"""Gathering the statistics of transports, which stats.py names."""

from collections.abc import Iterator
from dataclasses import asdict

import aioice
from aiortc.stats import RTCStats

from .dtlstransport import RTCDtlsTransport
from .icegeneration import IceGeneration
from .internals import CandidatePair, transport_stats
from .stats import RTCIceCandidatePairStats, RTCIceCandidateStats, RTCTransportStats

__all__ = ["transport_statistics"]


def transport_statistics(dtls: RTCDtlsTransport) -> Iterator[RTCStats]:
    """Yield the statistics of a transport, and of its pairs and candidates."""
    ice = dtls.transport
    basis = transport_stats(dtls)
    selected = ice.selected_pair
    carrier, *newer = ice.generations
    yield RTCTransportStats(
        **asdict(basis),
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
    traffic = dtls.transport.traffic.of(pair)
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
