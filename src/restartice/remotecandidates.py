"""The candidates that the remote side sends after its description."""

import aiortc
from aiortc import InvalidStateError
from aiortc.exceptions import OperationError
from aiortc.sdp import MediaDescription, SessionDescription

from . import description as sdp
from .creation import DescriptionCreator

__all__ = ["CandidateReceiver"]


class CandidateReceiver(DescriptionCreator):
    """What addIceCandidate does when its turn in the chain has come."""

    async def add_ice_candidate(self, candidate: aiortc.RTCIceCandidate | None) -> None:
        """Add a remote candidate.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-addicecandidate
        """
        ufrag = getattr(candidate, "usernameFragment", None)
        newest = self.pending_remote or self.current_remote
        if newest is None:
            if ufrag is not None:
                raise InvalidStateError("There is no remote description")
            # Departure: the specification forbids this, but aiortc accepts it, with a warning.
            await super().addIceCandidate(candidate)
            return
        if candidate is None:
            for transport in self.transports_by_use():
                await transport.addRemoteCandidate(None)
            for media in newest.media:
                media.ice_candidates_complete = True
            return
        media = self._section_for(candidate, ufrag, newest)
        riding_on = self.transport_of(media.rtp.muxId)
        if riding_on is None:
            raise OperationError("The candidate's media section has no transport")
        try:
            await riding_on.addRemoteCandidate(candidate)
        except LookupError as error:
            raise OperationError(str(error)) from None
        media.ice_candidates.append(candidate)

    def _section_for(
        self, candidate: aiortc.RTCIceCandidate, ufrag: str | None, newest: SessionDescription
    ) -> MediaDescription:
        section = sdp.find_section(newest, candidate.sdpMid, candidate.sdpMLineIndex)
        if section is None:
            raise OperationError("The candidate belongs to no media section")
        for description in (newest, self.current_remote):
            section = sdp.find_section(description, candidate.sdpMid, candidate.sdpMLineIndex)
            if section and ufrag in {None, sdp.section_credentials(section).ufrag}:
                return section
        raise OperationError(f"No remote description has the username fragment {ufrag!r}")
