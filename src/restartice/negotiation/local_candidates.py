"""Making our candidates known: in the local description, and by events."""

import asyncio
from collections.abc import Iterator

from aiortc.sdp import MediaDescription

from ..ice.candidate import RTCIceCandidate, end_of_candidates
from ..ice.gathering.servers import RTCPeerConnectionIceErrorEvent
from ..ice.generation import IceGeneration
from ..ice.transport import RTCIceTransport
from ..sdp import description as sdp
from ..seam import HookedPeerConnection
from ..settings import IceSettings
from ..transports.bundle import TransportOwner

__all__ = ["CandidateAnnouncer"]


class CandidateAnnouncer(TransportOwner):
    """What fires `icecandidate`, never before the description that the candidate belongs to."""

    def __init__(self, pc: HookedPeerConnection, settings: IceSettings) -> None:
        super().__init__(pc, settings)
        # How many descriptions are being set; candidates are held back meanwhile.
        self._holds = 0

    async def gather_candidates(self) -> None:
        """Gather candidates for all transports, those of a restart anew.

        With a listener for `icecandidate` it returns without waiting for servers.
        """
        trickle = bool(self.viewed.listeners("icecandidate"))
        gatherers = [transport.gatherer for transport in self.transports_by_use()]
        await asyncio.gather(*(g.begin() if trickle else g.gather() for g in gatherers))

    def hold_candidates(self) -> None:
        """Make no candidate known until release_candidates_soon() is called as often as this."""
        self._holds += 1

    def release_candidates_soon(self) -> None:
        """Make candidates known when the caller has had its turn, to send the description first."""
        asyncio.get_running_loop().call_soon(self._release)

    def _release(self) -> None:
        self._holds -= 1
        self.announce_candidates()

    def announce_candidates(self) -> None:
        """Make known what was found for descriptions that have been set.

        "Candidates gathered early are released after the description is set."
        Spec: https://w3c.github.io/webrtc-pc/#dfn-surface-the-candidate
        """
        loop = asyncio.get_running_loop()
        for transport in self.transports_by_use():
            generation = transport.gatherer.generation
            if self._holds == 0 and any(self._sections(transport, generation.credentials.ufrag)):
                while generation.found:
                    loop.call_soon(self._announce, transport, generation.next_found())
                if generation.finished:
                    loop.call_soon(self._finish, transport, generation)

    def announce_server_error(self, error: RTCPeerConnectionIceErrorEvent) -> None:
        """Fire `icecandidateerror`.

        Spec: https://w3c.github.io/webrtc-pc/#event-icecandidateerror
        """
        self.emit("icecandidateerror", error)

    def update_ice_gathering_state(self) -> None:
        """Compute iceGatheringState anew; its end is announced by an event without candidate."""
        before = self.ice_gathering_state
        super().update_ice_gathering_state()
        if before != self.ice_gathering_state == "complete":
            self.emit("icecandidate", None)

    def _announce(self, transport: RTCIceTransport, candidate: RTCIceCandidate) -> None:
        for index, section in self._sections(transport, candidate.usernameFragment):
            if candidate.sdpMid is None:
                candidate.sdpMid, candidate.sdpMLineIndex = section.rtp.muxId, index
            sdp.add_candidate(section, candidate)
        if candidate.sdpMid is not None:
            self.emit("icecandidate", candidate)

    def _finish(self, transport: RTCIceTransport, generation: IceGeneration) -> None:
        if not generation.finished:
            return
        end = end_of_candidates(generation.credentials.ufrag)
        for index, section in self._sections(transport, end.usernameFragment):
            if end.sdpMid is None:
                end.sdpMid, end.sdpMLineIndex = section.rtp.muxId, index
            section.ice_candidates_complete = True
        try:
            if end.sdpMid is not None:
                self.emit("icecandidate", end)
        finally:
            transport.gatherer.finish(generation)

    def _sections(
        self, transport: RTCIceTransport, ufrag: str | None
    ) -> Iterator[tuple[int, MediaDescription]]:
        """Yield the media sections, and their places, that describe a transport's generation."""
        for description in (self.pending_local, self.current_local):
            for index, section in enumerate([] if description is None else description.media):
                described = sdp.section_credentials(section).ufrag
                if described == ufrag and self.transport_at(index) is transport:
                    yield index, section
