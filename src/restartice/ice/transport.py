"""The ICE transport, which outlives its generations."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import aiortc
from aiortc import InvalidStateError, RTCIceParameters, rtcicetransport

from ..events import Emitter
from ..seam import candidate_from_aioice
from .candidate import RTCIceCandidate, with_ufrag
from .gatherer import RTCIceGatherer
from .handover import IceTransportCore
from .remote import RemoteIce

__all__ = ["RTCIceCandidatePair", "RTCIceTransport", "core_of"]


@dataclass(frozen=True)
class RTCIceCandidatePair:
    """The two candidates of a pair.

    Attributes:
        local: The local candidate.
        remote: The remote candidate.

    Spec: https://w3c.github.io/webrtc-pc/#dom-rtcicecandidatepair
    """

    local: RTCIceCandidate
    remote: RTCIceCandidate


class RTCIceTransport(Emitter, rtcicetransport.RTCIceTransport):
    """aiortc's ICE transport. It stays the same object through all restarts.

    Events: `statechange`, `gatheringstatechange`, `selectedcandidatepairchange`.
    Spec: https://w3c.github.io/webrtc-pc/#rtcicetransport
    """

    def __init__(
        self,
        gatherer: aiortc.RTCIceGatherer,
        *,
        on_state: Callable[[], None] = lambda: None,
        on_resumed: Callable[..., None] = lambda *_, **__: None,
    ) -> None:
        if not isinstance(gatherer, RTCIceGatherer):
            raise TypeError(f"expected a restartice.RTCIceGatherer, got {gatherer!r}")
        super().__init__(gatherer)
        self._core = IceTransportCore(self, gatherer._core, on_state, on_resumed)
        # aiortc sets these as attributes of the instance, which override methods.
        self._recv = gatherer._core.datagrams.get
        self._send = self._core.send_datagram

    # The specification's interface.

    @property
    def component(self) -> str:
        """The component, always `"rtp"`, because RTCP is multiplexed.

        Spec: https://w3c.github.io/webrtc-pc/#dom-icetransport-component
        """
        return "rtp"

    @property
    def state(self) -> str:
        """The state of the transport.

        `"new"`, `"checking"`, `"connected"`, `"completed"`, `"disconnected"`, `"failed"` or
        `"closed"`.

        Departure: `"completed"` doesn't wait for the end of the remote candidates. `"connected"` is
        skipped unless candidates of either side trickle, those of the other side with username
        fragments, because programs for aiortc wait for `"completed"`, and expect no other state
        before it. `"failed"` doesn't wait for the end of the remote candidates either.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcicetransport-state
        """
        return self._core.state

    @property
    def gatheringState(self) -> str:
        """`"new"`, `"gathering"` or `"complete"`.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcicetransport-gatheringstate
        """
        state = self.iceGatherer.state
        return "complete" if state == "completed" else state

    def getLocalParameters(self) -> RTCIceParameters:
        """Return the username fragment and password of the newest generation.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcicetransport-getlocalparameters
        """
        return self.iceGatherer.getLocalParameters()

    def getRemoteParameters(self) -> RTCIceParameters | None:
        """Return the username fragment and password of the remote side, or None.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcicetransport-getremoteparameters
        """
        remote = self._core.remote
        return None if remote is None else remote.parameters

    def getLocalCandidates(self) -> list[RTCIceCandidate]:
        """Return the candidates gathered for the newest generation.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcicetransport-getlocalcandidates
        """
        return self._core.gatherer.generation.local_candidates()

    def getRemoteCandidates(self) -> list[aiortc.RTCIceCandidate]:
        """Return the remote candidates of the newest generation that has any.

        Peer-reflexive ones, which are learned from the remote side's checks, aren't among them.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcicetransport-getremotecandidates
        """
        generation, remote = self._core.generations[-1], self._core.remote
        if generation.remote is not None:
            return [*generation.remote_candidates()]
        waiting = self._core.early if remote is None else remote.candidates
        ufrag = None if remote is None else remote.credentials.ufrag
        return [with_ufrag(candidate, ufrag) for candidate in waiting]

    def getSelectedCandidatePair(self) -> RTCIceCandidatePair | None:
        """Return the pair that packets are sent on, or None.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcicetransport-getselectedcandidatepair
        """
        pair, carrier = self._core.selected_pair, self._core.carrier
        if pair is None:
            return None
        remote = None if carrier.remote is None else carrier.remote.credentials.ufrag
        return RTCIceCandidatePair(
            with_ufrag(candidate_from_aioice(pair.local_candidate), carrier.credentials.ufrag),
            with_ufrag(candidate_from_aioice(pair.remote_candidate), remote),
        )

    # aiortc's interface.

    async def start(self, remoteParameters: RTCIceParameters) -> None:
        """Check the pairs; return when one is nominated or all have failed.

        Only the first call has an effect; an RTCPeerConnection calls it by itself.

        Args:
            remoteParameters: The username fragment and the password of the remote side.

        Raises:
            InvalidStateError: The transport is closed.
            TypeError: These aren't RTCIceParameters.
        """
        if not isinstance(remoteParameters, RTCIceParameters):
            raise TypeError(f"expected RTCIceParameters, got {remoteParameters!r}")
        core = self._core
        if core.state == "closed":
            raise InvalidStateError("RTCIceTransport is closed")
        if core.remote is None:
            await core.receive_remote(RemoteIce(remoteParameters, core.log))
            core.commit()
            await core.start_checks()
        if (task := core.generations[-1].check_task) is not None:
            await asyncio.wait([task])

    async def addRemoteCandidate(self, candidate: aiortc.RTCIceCandidate | None) -> None:
        """Add a remote candidate, or the end of candidates.

        Args:
            candidate: The candidate. None is the end of candidates of the newest generation.

        Departure: candidates are still added after the end, because some peers send the end too
        early. (RFC 8838 section 14)

        Raises:
            LookupError: No generation has the candidate's username fragment.
            TypeError: This is neither a candidate nor None.
        """
        if candidate is not None and not isinstance(candidate, aiortc.RTCIceCandidate):
            raise TypeError(f"expected an RTCIceCandidate, got {type(candidate).__name__}")
        await self._core.add_remote_candidate(candidate)

    async def stop(self) -> None:
        """Stop the transport for good, and close all its sockets."""
        await self._core.stop()


def core_of(transport: object) -> IceTransportCore | None:
    """Return the core of an ICE transport; None for aiortc's transport or a program's own."""
    return transport._core if isinstance(transport, RTCIceTransport) else None
