"""What getStats() reports of transports, candidate pairs and candidates."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from aiortc import stats
from aiortc.stats import RTCStats

__all__ = [
    "CheckCounter",
    "RTCIceCandidatePairStats",
    "RTCIceCandidateStats",
    "RTCTransportStats",
    "Traffic",
    "TrafficCounter",
]

# A response that takes longer may be that to a request that was sent again. (RFC 6298 section 3)
FIRST_RETRANSMISSION: Final = 0.5


@dataclass
class RTCTransportStats(stats.RTCTransportStats):
    """aiortc's statistics of a transport, and those of its ICE.

    Attributes:
        iceState: The state of the ICE transport.
        iceLocalUsernameFragment: That of the newest generation.
        selectedCandidatePairId: The `id` of the statistics of the pair in use, or None.
        selectedCandidatePairChanges: How often another pair was taken into use.
        iceRestarts: How many restarts have taken over. Not in the specification.
        packetsDiscarded: How many datagrams have been dropped that weren't the other end's, or none
            of STUN, DTLS, RTP and RTCP. They are in no other figure. Not in the specification.

    Spec: https://w3c.github.io/webrtc-stats/#transportstats-dict*
    """

    iceState: str = "new"
    iceLocalUsernameFragment: str | None = None
    selectedCandidatePairId: str | None = None
    selectedCandidatePairChanges: int = 0
    iceRestarts: int = 0
    packetsDiscarded: int = 0


@dataclass
class RTCIceCandidatePairStats(RTCStats):
    """Statistics of two candidates and the checks between them.

    Packets are counted while the pair is in use. Times are in seconds, None before the first
    response.

    Attributes:
        transportId: The `id` of the statistics of the transport.
        localCandidateId: That of the local candidate's.
        remoteCandidateId: That of the remote candidate's.
        state: `"frozen"`, `"waiting"`, `"in-progress"`, `"succeeded"` or `"failed"`.
        nominated: Whether it was nominated, which the pair in use is.
        packetsSent: Packets of data and media that were sent on it.
        packetsReceived: Those that were received.
        bytesSent: Their bytes, without headers of IP and UDP.
        bytesReceived: The bytes of those that were received.
        totalRoundTripTime: The sum of all round trip times of checks.
        currentRoundTripTime: That of the last one.
        requestsReceived: Checks of the other side.
        requestsSent: Checks of ours, for consent, too.
        responsesReceived: Valid answers to these.
        responsesSent: Answers to the other side's checks.
        consentRequestsSent: Checks that were sent to keep consent.

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
        foundation: The same for candidates of one kind, base and server.
        relatedAddress: The address that it is derived from, or None.
        relatedPort: The port of that, or None.
        usernameFragment: That of its generation.

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


@dataclass
class CheckCounter:
    """Counts the checks of a pair, those of its consent among them."""

    requests_sent: int = 0
    requests_received: int = 0
    responses_received: int = 0
    consent_requests_sent: int = 0
    total_round_trip_time: float = 0.0
    round_trip_time: float | None = None
    _asked_at: float | None = field(default=None, repr=False)

    def asked(self, now: float) -> None:
        """Count a request."""
        self.requests_sent += 1
        self._asked_at = now

    def answered(self, now: float) -> None:
        """Count the response to the last request."""
        if self._asked_at is not None:
            self.took(now - self._asked_at)
            self._asked_at = None

    def took(self, seconds: float) -> None:
        """Count a response, which came after that time."""
        self.responses_received += 1
        if seconds < FIRST_RETRANSMISSION or self.round_trip_time is None:
            self.total_round_trip_time += seconds
            self.round_trip_time = seconds


@dataclass(frozen=True)
class Traffic:
    """Packets and bytes in both directions."""

    packets_sent: int = 0
    packets_received: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0

    def __add__(self, other: "Traffic") -> "Traffic":
        return Traffic(
            self.packets_sent + other.packets_sent,
            self.packets_received + other.packets_received,
            self.bytes_sent + other.bytes_sent,
            self.bytes_received + other.bytes_received,
        )

    def __sub__(self, other: "Traffic") -> "Traffic":
        return Traffic(
            self.packets_sent - other.packets_sent,
            self.packets_received - other.packets_received,
            self.bytes_sent - other.bytes_sent,
            self.bytes_received - other.bytes_received,
        )


class TrafficCounter:
    """Divides up a transport's traffic among its pairs, without looking at any packet.

    Args:
        total: Returns the transport's traffic so far, which something else counts.
    """

    def __init__(self, total: Callable[[], Traffic]) -> None:
        self.total = total
        self._before = Traffic()
        self._by_pair: dict[object, Traffic] = {}
        self._selected: object | None = None

    def select(self, pair: object | None) -> None:
        """Count for another pair from now on, or for none."""
        now = self.total()
        if self._selected is not None:
            self._by_pair[self._selected] = self.of(self._selected)
        self._before, self._selected = now, pair

    def of(self, pair: object) -> Traffic:
        """Return the traffic of a pair so far."""
        finished = self._by_pair.get(pair, Traffic())
        return finished + (self.total() - self._before) if pair is self._selected else finished

    def forget_others(self, pairs: Iterable[object]) -> None:
        """Keep only the books of these pairs, and of the one that is selected."""
        kept = {*pairs, self._selected}
        self._by_pair = {pair: t for pair, t in self._by_pair.items() if pair in kept}
