"""Setting remote descriptions."""

from typing import TYPE_CHECKING

from aiortc import InvalidAccessError, RTCIceParameters, RTCSessionDescription
from aiortc.sdp import MediaDescription, SessionDescription

from . import description as sdp
from .dtlstransport import parked_stops
from .icegeneration import RemoteIce
from .internals import set_mline_index
from .session import Session, as_final
from .states import Side, SignalingState
from .transports import dtls_transport

if TYPE_CHECKING:
    from .icetransport import RTCIceTransport

__all__ = ["RemoteDescriptionSetter"]


class RemoteDescriptionSetter(Session):
    """What setRemoteDescription does when its turn in the chain has come."""

    async def set_remote_description(self, session: RTCSessionDescription) -> None:
        """Set the remote description.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-setremotedescription
        """
        glare = session.type == "offer" and self.signalingState == SignalingState.HAVE_LOCAL_OFFER
        state = (
            SignalingState.HAVE_REMOTE_OFFER if glare else self._next_state(Side.REMOTE, session)
        )
        if session.type == "rollback":
            await self._roll_back()
            return
        description = sdp.parse(session)
        self._validate_remote(description)
        if glare:
            # An offer of ours is rolled back in the same operation.
            await self._roll_back()
        async with self._transaction():
            await self._apply_remote(session, description)
            await self._receive_remote_ice(description)
            if state is SignalingState.STABLE:
                self.current_local, self.pending_local = self.pending_local, None
                self._commit(we_offered=True)
            elif session.type == "pranswer":
                self._commit_provisionally()
        await self._enter(state)

    def _validate_remote(self, description: SessionDescription) -> None:
        if any("" in (c.ufrag, c.password) for c in sdp.credentials_in(description)):
            raise ValueError("ICE username fragment or password is missing")
        current = self.current_remote
        if description.type == "offer" and current is not None:
            before = [(m.kind, m.rtp.muxId) for m in current.media]
            if [(m.kind, m.rtp.muxId) for m in description.media][: len(before)] != before:
                # "The number of m= sections never decreases." (RFC 9429 section 5.2.2)
                raise InvalidAccessError("Media sections in offer do not match those negotiated")

    async def _apply_remote(
        self, session: RTCSessionDescription, description: sdp.Description
    ) -> None:
        if description.type == "offer":
            self._forget_unused_sections()
        self.mark_shared_transports()
        current = self.current_remote
        before = {dtls_transport(user) for user in self.users()}
        transceivers = set(self.transceivers)
        self.applying_remote = description
        try:
            with parked_stops(before):
                # Candidates are given to the generation they belong to, by ourselves.
                stripped = RTCSessionDescription(sdp.without_candidates(session.sdp), session.type)
                await super().setRemoteDescription(as_final(stripped))
        finally:
            self.applying_remote = None
        used = {dtls_transport(user) for user in self.users()}
        self.unpark(before & used)
        self.parked |= before - used
        self._made_by_remote |= set(self.transceivers) - transceivers
        self._keep_remote(description, current)
        self.update_transport_states()

    def _keep_remote(
        self, description: sdp.Description, current: SessionDescription | None
    ) -> None:
        # In place of aiortc's, which lacks the candidates, and took a provisional answer for a
        # final one.
        if description.type == "answer":
            self.current_remote, self.pending_remote = description, None
        else:
            self.current_remote, self.pending_remote = current, description

    def _forget_unused_sections(self) -> None:
        # A createOffer() that wasn't followed by setLocalDescription() has left indexes behind,
        # which the sections of the remote offer would share.
        for transceiver in self.transceivers:
            if transceiver.mid is None:
                set_mline_index(transceiver, None)
        if self.sctp_transport is not None and self.sctp_transport.mid is None:
            self.sctp_mline_index = None

    async def _receive_remote_ice(self, description: SessionDescription) -> None:
        """Give the description's credentials and candidates to the transports they are for."""
        sections: dict[RTCIceTransport, list[MediaDescription]] = {}
        group = sdp.bundled_mids(description)
        # In a BUNDLE group the first section's attributes count. (RFC 9143 section 9.1)
        for media in sorted(description.media, key=lambda m: m.rtp.muxId not in group[:1]):
            if (transport := self.transport_of(media.rtp.muxId)) is not None:
                sections.setdefault(transport, []).append(media)
        for transport, medias in sections.items():
            await transport.receive_remote(_remote_ice(medias))


def _remote_ice(sections: list[MediaDescription]) -> RemoteIce:
    """Return what the sections of one transport say; the first one's credentials count."""
    credentials = sdp.section_credentials(sections[0])
    alike = [section for section in sections if sdp.section_credentials(section) == credentials]
    return RemoteIce(
        sections[0].ice or RTCIceParameters(),
        [candidate for section in alike for candidate in section.ice_candidates],
        complete=any(section.ice_candidates_complete for section in alike),
    )
