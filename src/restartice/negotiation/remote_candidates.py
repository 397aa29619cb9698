"""Adds the candidates that the peer sends after its description."""

from dataclasses import dataclass

import aiortc
from aiortc import InvalidStateError
from aiortc.exceptions import OperationError
from aiortc.sdp import MediaDescription, SessionDescription

from ..ice.candidate import TYPES, is_end
from ..ice.handover import IceTransportCore
from ..ice.remote import DESCRIBED_LIMIT
from ..logs import ObjectLogger
from ..sdp import description as sdp
from ..transports.bundle import Bundle
from .state import State

__all__ = ["RemoteCandidates"]


@dataclass(eq=False, repr=False)
class RemoteCandidates:
    """The operation addIceCandidate()."""

    state: State
    bundle: Bundle
    log: ObjectLogger

    def check(self, candidate: aiortc.RTCIceCandidate | None) -> None:
        """Raise InvalidStateError if there is no remote description.

        Departure: the specification forbids candidates before a remote description. aiortc accepts
        them, with a warning, and so do we if they have no username fragment.
        """
        told = candidate is None or getattr(candidate, "usernameFragment", None) is not None
        if self.state.remote is None and told:
            raise InvalidStateError(
                "Candidates need a remote description; call setRemoteDescription() first"
            )

    async def add(self, candidate: aiortc.RTCIceCandidate | None) -> None:
        """Add a remote candidate.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-addicecandidate
        """
        ufrag = getattr(candidate, "usernameFragment", None)
        newest = self.state.remote
        if newest is None:
            await self.state.base.addIceCandidate(candidate)
            return
        sections = self._sections_for(candidate, ufrag, newest)
        if candidate is not None and not is_end(candidate) and candidate.type not in TYPES:
            # "Candidates of an unknown type MUST be ignored." (RFC 8839 section 5.1)
            self.log.debug("candidate dropped: unknown type %r", candidate.type)
            return
        for media in sections:
            mid = media.rtp.muxId
            if (riding_on := self.carrier_of(media, newest)) is None:
                self.log.debug("candidate dropped: section %s has no transport", mid)
                continue
            # A bundled section with its own credentials has candidates that aren't used.
            if self._is_used(media, newest):
                try:
                    await riding_on.add_remote_candidate(candidate)
                except LookupError as error:
                    self.log.debug("candidate dropped: %s", error)
            elif candidate is not None and not is_end(candidate):
                self.log.debug("candidate dropped: section %s uses another's transport", mid)
            if candidate is None or is_end(candidate):
                media.ice_candidates_complete = True
            elif len(media.ice_candidates) < DESCRIBED_LIMIT:
                media.ice_candidates.append(candidate)

    def carrier_of(
        self, media: MediaDescription, description: SessionDescription
    ) -> IceTransportCore | None:
        """Return the transport that a section's candidates belong to, or None.

        A section that we don't accept may list the candidates of its BUNDLE group. They belong to
        the group's transport.
        """
        if self.bundle.user_of(media.rtp.muxId) is not None:
            return self.bundle.transport_of(media.rtp.muxId)
        group = set(sdp.bundled_mids(description))
        for _, other in sdp.live_sections(description) if media.rtp.muxId in group else []:
            same = sdp.section_credentials(other) == sdp.section_credentials(media)
            if (
                same
                and other.rtp.muxId in group
                and self.bundle.user_of(other.rtp.muxId) is not None
            ):
                return self.bundle.transport_of(other.rtp.muxId)
        return self.bundle.transport_of(media.rtp.muxId)

    def _is_used(self, media: MediaDescription, newest: SessionDescription) -> bool:
        """Return whether the candidates of a section count.

        In a BUNDLE group those of the first section do. The peer may be about to drop the
        transports of the others. (RFC 9143 section 9.1)
        """
        group = [mid for mid in sdp.bundled_mids(newest) if self.bundle.user_of(mid) is not None]
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
            raise OperationError(
                f"The candidate's media section isn't in the remote description: sdpMid {mid!r}, "
                f"sdpMLineIndex {index!r}"
            )
        for description in filter(None, (newest, self.state.current_remote)):
            section = sdp.find_section(description, mid, index)
            sections = description.media if everywhere else list(filter(None, [section]))
            found = [s for s in sections if ufrag in {None, sdp.section_credentials(s).ufrag}]
            if found:
                return found
        raise OperationError(f"No remote description has the username fragment {ufrag!r}")
