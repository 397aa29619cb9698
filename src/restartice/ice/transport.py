"""The ICE transport, which outlives its generations."""

import asyncio
from dataclasses import dataclass

import aiortc
from aiortc import InvalidStateError, RTCIceParameters

from ..seam import CandidatePair, candidate_from_aioice
from .candidate import RTCIceCandidate, is_end, with_ufrag
from .generation import IceGeneration
from .generations import find_generation
from .handover import GenerationSwitch
from .remote import RemoteIce

__all__ = ["RTCIceCandidatePair", "RTCIceTransport"]


@dataclass(frozen=True)
class RTCIceCandidatePair:
    """The two candidates of a pair.

    Attributes:
        local: Where we send from.
        remote: Where we send to.

    Spec: https://w3c.github.io/webrtc-pc/#dom-rtcicecandidatepair
    """

    local: RTCIceCandidate
    remote: RTCIceCandidate


class RTCIceTransport(GenerationSwitch):
    """aiortc's ICE transport, which stays the same object over all restarts.

    Events: `statechange`, `gatheringstatechange`, `selectedcandidatepairchange`.
    Spec: https://w3c.github.io/webrtc-pc/#rtcicetransport
    """

    # The specification's interface.

    @property
    def component(self) -> str:
        """`"rtp"`, on which RTCP is multiplexed.

        Spec: https://w3c.github.io/webrtc-pc/#dom-icetransport-component
        """
        return "rtp"

    @property
    def state(self) -> str:
        """`"new"`, `"checking"`, `"connected"` and so on.

        The others are `"completed"`, `"disconnected"`, `"failed"` and `"closed"`.

        Departure: `"completed"` doesn't wait for the end of the remote side's candidates, and
        `"connected"` is passed over unless those trickle with their username fragments, because
        aiortc's programs wait for the former, and are used to see only that one.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcicetransport-state
        """
        return self._transport_state

    @property
    def gatheringState(self) -> str:
        """`"new"`, `"gathering"` or `"complete"`.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcicetransport-gatheringstate
        """
        state = self.gatherer.state
        return "complete" if state == "completed" else state

    def getLocalParameters(self) -> RTCIceParameters:
        """Return the username fragment and password of the newest generation.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcicetransport-getlocalparameters
        """
        return self.gatherer.getLocalParameters()

    def getRemoteParameters(self) -> RTCIceParameters | None:
        """Return those of the remote side, or None before there are any.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcicetransport-getremoteparameters
        """
        return None if self.remote is None else self.remote.parameters

    def getLocalCandidates(self) -> list[RTCIceCandidate]:
        """Return the candidates gathered for the newest generation.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcicetransport-getlocalcandidates
        """
        return self.gatherer.generation.local_candidates()

    def getRemoteCandidates(self) -> list[aiortc.RTCIceCandidate]:
        """Return the remote candidates of the newest generation that has any.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcicetransport-getremotecandidates
        """
        generation = self._generations[-1]
        ufrag = None if self.remote is None else self.remote.credentials.ufrag
        if generation.remote is None:
            waiting = self._early if self.remote is None else self.remote.candidates
            return [with_ufrag(c, ufrag) for c in waiting]
        return [
            with_ufrag(candidate_from_aioice(candidate), ufrag)
            for candidate in generation.connection.remote_candidates
        ]

    def getSelectedCandidatePair(self) -> RTCIceCandidatePair | None:
        """Return the pair that packets are sent on, or None.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcicetransport-getselectedcandidatepair
        """
        pair, carrier = self._selected, self._carrier
        if pair is None:
            return None
        remote = None if carrier.remote is None else carrier.remote.credentials.ufrag
        return RTCIceCandidatePair(
            with_ufrag(candidate_from_aioice(pair.local_candidate), carrier.credentials.ufrag),
            with_ufrag(candidate_from_aioice(pair.remote_candidate), remote),
        )

    # aiortc's interface.

    async def start(self, remoteParameters: RTCIceParameters) -> None:
        """Check the pairs, and return when one is nominated or all have failed.

        Only the first call has an effect; an RTCPeerConnection makes it by itself.

        Raises:
            InvalidStateError: The transport is closed.
        """
        if self.state == "closed":
            raise InvalidStateError("RTCIceTransport is closed")
        if self.remote is None:
            self.pending_remote = RemoteIce(remoteParameters)
            self.commit()
            await self.start_checks()
        if (task := self._generations[-1].check_task) is not None:
            await asyncio.wait([task])

    async def addRemoteCandidate(self, candidate: aiortc.RTCIceCandidate | None) -> None:
        """Add a remote candidate, or the end of those of a generation; None for the newest one's.

        Departure: after the end, candidates are still taken, because there are peers that tell the
        end too early. (RFC 8838 section 14)

        Raises:
            LookupError: No generation has the candidate's username fragment.
        """
        remotes = [remote for remote in (self.remote, self.pending_remote) if remote is not None]
        if not remotes:
            if candidate is not None and not is_end(candidate):
                self._early.take([candidate])
            return
        ufrag = getattr(candidate, "usernameFragment", None)
        self._trickled = self._trickled or ufrag is not None
        place = find_generation(ufrag, [remote.credentials.ufrag for remote in remotes])
        if place is None:
            raise LookupError(f"no generation has the username fragment {ufrag!r}")
        if candidate is not None and not is_end(candidate):
            await self._add_remote_candidates(remotes[place], [candidate])

    async def stop(self) -> None:
        """Irreversibly stop the transport and close all its sockets."""
        if self.parking or self._stopped:
            return
        self._end_sending()
        generations = [*self._generations, *self._draining]
        closings = (generation.close() for generation in generations)
        try:
            await asyncio.gather(*closings, *self._closing)
        finally:
            self.abort()

    def abort(self) -> None:
        """Close all sockets at once, without waiting for that."""
        self._stopped = True
        self._end_sending()
        for generation in [*self._generations, *self._draining, *self._closing.values()]:
            generation.abort()
        self._datagrams.close()

    # What statistics are made of.

    @property
    def generations(self) -> list[IceGeneration]:
        """The generation that carries the traffic, and those that are newer."""
        return list(self._generations)

    @property
    def selected_pair(self) -> CandidatePair | None:
        """The pair that packets are sent on, or None."""
        return self._selected
