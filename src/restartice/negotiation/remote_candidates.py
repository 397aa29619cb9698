"""The candidates that the remote side sends after its description."""

from contextlib import suppress

import aiortc
from aiortc import InvalidStateError
from aiortc.exceptions import OperationError
from aiortc.sdp import MediaDescription, SessionDescription

from ..ice.candidate import TYPES, is_end
from ..ice.remote import DESCRIBED_LIMIT
from ..ice.transport import RTCIceTransport
from ..sdp import description as sdp
from .offers import DescriptionCreator

__all__ = ["CandidateReceiver"]


class CandidateReceiver(DescriptionCreator):
    """What addIceCandidate does when its turn in the chain has come."""

    def check_candidate(self, candidate: aiortc.RTCIceCandidate | None) -> None:
        """Raise InvalidStateError if there is no remote description.

        Departure: the specification forbids all candidates then, but aiortc accepts them, with a
        warning, if they don't say which generation they belong to.
        """
        described = self.pending_remote or self.current_remote
        told = candidate is None or getattr(candidate, "usernameFragment", None) is not None
        if described is None and told:
            raise InvalidStateError("There is no remote description")

    async def add_ice_candidate(self, candidate: aiortc.RTCIceCandidate | None) -> None:
        """Add a remote candidate.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-addicecandidate
        """
        ufrag = getattr(candidate, "usernameFragment", None)
        newest = self.pending_remote or self.current_remote
        if newest is None:
            await self.base.addIceCandidate(candidate)
            return
        sections = self._sections_for(candidate, ufrag, newest)
        if candidate is not None and not is_end(candidate) and candidate.type not in TYPES:
            return  # "Candidates of an unknown type MUST be ignored." (RFC 8839 section 5.1)
        for media in sections:
            if (riding_on := self.carrier_of(media, newest)) is None:
                continue
            # A section that rides on the transport of another one, with credentials of its own, has
            # candidates that nothing will use.
            if self._is_used(media, newest):
                with suppress(LookupError):
                    await riding_on.addRemoteCandidate(candidate)
            if candidate is None or is_end(candidate):
                media.ice_candidates_complete = True
            elif len(media.ice_candidates) < DESCRIBED_LIMIT:
                media.ice_candidates.append(candidate)

    def carrier_of(
        self, media: MediaDescription, description: SessionDescription
    ) -> RTCIceTransport | None:
        """Return the transport that the candidates of a section are for, or None.

        If we don't accept it, though it is the one that tells them for its BUNDLE group, they are
        for the group's transport.
        """
        if self.user_of(media.rtp.muxId) is not None:
            return self.transport_of(media.rtp.muxId)
        group = set(sdp.bundled_mids(description))
        for _, other in sdp.live_sections(description) if media.rtp.muxId in group else []:
            same = sdp.section_credentials(other) == sdp.section_credentials(media)
            if same and other.rtp.muxId in group and self.user_of(other.rtp.muxId) is not None:
                return self.transport_of(other.rtp.muxId)
        return self.transport_of(media.rtp.muxId)

    def _is_used(self, media: MediaDescription, newest: SessionDescription) -> bool:
        """Say if the candidates of a section count.

        In a BUNDLE group those of the first one do. Another one's may be of a transport that the
        remote side is about to drop. (RFC 9143 section 9.1)
        """
        group = [mid for mid in sdp.bundled_mids(newest) if self.user_of(mid) is not None]
        return media.rtp.muxId not in group[1:]

    def _sections_for(
        self,
        candidate: aiortc.RTCIceCandidate | None,
        ufrag: str | None,
        newest: SessionDescription,
    ) -> list[MediaDescription]:
        if candidate is None:
            return list(newest.media)
        mid, index = candidate.sdpMid, candidate.sdpMLineIndex
        everywhere = mid is None and index is None
        if not everywhere and sdp.find_section(newest, mid, index) is None:
            raise OperationError("The candidate belongs to no media section")
        for description in filter(None, (newest, self.current_remote)):
            section = sdp.find_section(description, mid, index)
            sections = description.media if everywhere else list(filter(None, [section]))
            found = [s for s in sections if ufrag in {None, sdp.section_credentials(s).ufrag}]
            if found:
                return found
        raise OperationError(f"No remote description has the username fragment {ufrag!r}")
