"""Setting remote descriptions."""

import asyncio
from typing import TYPE_CHECKING

from aiortc import RTCIceParameters, RTCSessionDescription
from aiortc.sdp import MediaDescription

from ..ice.remote import RemoteIce
from ..sdp import description as sdp
from ..sdp import validation
from ..sdp.completion import complete
from ..seam import dissociate, has_common_codec, set_mid, set_mline_index
from ..transports.bundle import dtls_transport
from ..transports.dtls import parked_stops
from .session import Session, as_final, check_type
from .signaling_state import Side, SignalingState

if TYPE_CHECKING:
    from ..ice.transport import RTCIceTransport
    from ..media.transceiver import RTCRtpTransceiver

__all__ = ["RemoteDescriptionSetter"]

# The directions of remote sections that a local track can be sent in.
WANTS_MEDIA = frozenset({"sendrecv", "recvonly"})


class RemoteDescriptionSetter(Session):
    """What setRemoteDescription does when its turn in the chain has come."""

    def check_remote(self, session: RTCSessionDescription) -> None:
        """Raise InvalidStateError if the description doesn't fit the signaling state."""
        check_type(session)
        if not self._is_glare(session):
            self.next_state(Side.REMOTE, session.type)

    def _is_glare(self, session: RTCSessionDescription) -> bool:
        return session.type == "offer" and self.signaling_state == SignalingState.HAVE_LOCAL_OFFER

    async def set_remote_description(self, session: RTCSessionDescription) -> None:
        """Set the remote description.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-setremotedescription
        """
        self.check_remote(session)
        if session.type == "rollback":
            await self.roll_back()
            return
        description = self._read(session)
        self._validate(description)
        # Reading takes milliseconds, and so does applying; media needn't wait for both.
        await asyncio.sleep(0)
        if self._is_glare(session):
            # An offer of ours is rolled back in the same operation, but not for one that fails.
            await self.roll_back()
        state = self.next_state(Side.REMOTE, session.type)
        async with self.transaction():
            await self._apply_remote(description)
            await self._receive_remote_ice(description)
            # An answer that was created is one to an earlier offer.
            self.last_created.pop("answer", None)
            if state is SignalingState.STABLE:
                self.current_local, self.pending_local = self.pending_local, None
                self.conclude(we_offered=True)
            elif session.type == "pranswer":
                self.conclude_provisionally()
        await self.enter(state)

    def _read(self, session: RTCSessionDescription) -> sdp.Description:
        description = sdp.parse(session)
        before = self.pending_remote or self.current_remote
        if session.type != "offer":
            before = self.pending_local
        mids = [media.rtp.muxId for media in before.media] if before else []
        complete(description, mids, self.seen_mids)
        return description

    def _validate(self, description: sdp.Description) -> None:
        recyclable = sdp.rejected_in(self.current_local) | sdp.rejected_in(self.current_remote)
        if description.type == "offer":
            # A second remote offer replaces the first, so it continues the current description.
            before = self.current_remote
            validation.check_remote(description, before, recyclable, before)
        else:
            before = self.pending_remote or self.current_remote
            validation.check_remote(description, self.pending_local, frozenset(), before)

    async def _apply_remote(self, description: sdp.Description) -> None:
        if description.type != "offer":
            self._leave_out_unwanted(description)
            await self._apply_sections(description)
            return
        self.remote_offer = sdp.only(description, self._live(description))
        try:
            self._associate(description)
            self.remote_offer = sdp.only(description, self._live(description))
            await self._apply_sections(description)
        finally:
            self.remote_offer = None

    async def _apply_sections(self, description: sdp.Description) -> None:
        self.mark_bundled(description)
        live = self._live(description)
        before = {dtls_transport(user) for user in self.users()}
        text = sdp.text_for_aiortc(description, live)
        self.applying_remote = sdp.only(description, live)
        try:
            with parked_stops(before), self.show(live, described_only=True):
                # Candidates are given to the generation they belong to, by ourselves.
                await self.base.setRemoteDescription(
                    as_final(RTCSessionDescription(text, str(description.type)))
                )
                index = self.sctp_mline_index
        finally:
            self.applying_remote = None
        if index is not None:
            self.sctp_mline_index = live[index]
        used = {dtls_transport(user) for user in self.users()}
        self.unpark(before & used)
        self.parked |= before - used
        self._keep_remote(description)
        self.update_transport_states()

    def _live(self, description: sdp.Description) -> list[int]:
        """Return the places of sections that no side rejects."""
        rejected = frozenset[int]()
        if description.type != "offer":
            rejected = sdp.rejected_in(self.pending_local)
        return [place for place, _ in sdp.live_sections(description) if place not in rejected]

    def _keep_remote(self, description: sdp.Description) -> None:
        # In place of aiortc's, which lacks the candidates, and the sections that are not in use.
        self.seen_mids.update(media.rtp.muxId for media in description.media)
        if description.type == "answer":
            self.current_remote, self.pending_remote = description, None
        else:
            self.pending_remote = description

    # Which transceiver a section stands for.

    def _associate(self, description: sdp.Description) -> None:
        """Find or make a transceiver for each section of an offer. (RFC 9429 section 5.10)."""
        self._dissociate_others(description)
        # What is associated by this offer rides where the remote side has it ride.
        self.leave_dead_transports()
        self.join_bundle()
        for place, media in sdp.live_sections(description):
            if media.kind == "application":
                continue
            transceiver = self._transceiver_for(media)
            if not has_common_codec(media, transceiver):
                description.unusable |= {place}
                continue
            if transceiver.mid is None:
                set_mid(transceiver, media.rtp.muxId)
            set_mline_index(transceiver, place)

    def _leave_out_unwanted(self, description: sdp.Description) -> None:
        """Leave the sections of an answer out of use that have none of the preferred codecs."""
        for place, media in sdp.live_sections(description):
            transceiver = next((t for t in self.transceivers if t.mid == media.rtp.muxId), None)
            if transceiver is not None and not has_common_codec(media, transceiver):
                description.unusable |= {place}

    def _transceiver_for(self, media: MediaDescription) -> "RTCRtpTransceiver":
        transceivers: list[RTCRtpTransceiver] = self.transceivers
        for transceiver in transceivers:
            if transceiver.mid == media.rtp.muxId:
                return transceiver
        if (media.direction or "sendrecv") in WANTS_MEDIA:
            # "Find the first transceiver that was added by addTrack, isn't associated with any
            # section and isn't stopped."
            for transceiver in transceivers:
                free = transceiver.mid is None and not transceiver._core.stopping
                if free and transceiver._core.added_by_track and transceiver.kind == media.kind:
                    return transceiver
        made = self.create_transceiver("recvonly", media.kind)
        self.made_by_remote.add(made)
        return made

    def _dissociate_others(self, description: sdp.Description) -> None:
        """Dissociate what only an earlier remote offer has associated, or what none has.

        A createOffer() that wasn't followed by setLocalDescription() has left indexes behind.
        """
        current = {media.rtp.muxId for media in (self.current_remote or sdp.Description()).media}
        offered = {(media.kind, media.rtp.muxId) for media in description.media}
        for transceiver in list(self.transceivers):
            if (
                transceiver.mid not in current
                and (transceiver.kind, transceiver.mid) not in offered
            ):
                dissociate(transceiver)
                if transceiver in self.made_by_remote and not transceiver._core.added_by_track:
                    self.transceivers.remove(transceiver)
                    self.abandoned.append(transceiver)
        sctp = self.sctp_transport
        if sctp and sctp.mid not in current and ("application", sctp.mid) not in offered:
            sctp.mid = None
            self.sctp_mline_index = None

    async def _receive_remote_ice(self, description: sdp.Description) -> None:
        """Give the description's credentials and candidates to the transports they are for."""
        sections: dict[RTCIceTransport, list[MediaDescription]] = {}
        # Which is the first one that we don't reject.
        group = [mid for mid in sdp.bundled_mids(description) if self.user_of(mid) is not None]
        told = [media for media in description.media if not media.is_rejected]
        # In a BUNDLE group the first section's attributes count. (RFC 9143 section 9.1)
        for media in sorted(told, key=lambda m: m.rtp.muxId not in group[:1]):
            if (transport := self.carrier_of(media, description)) is not None:
                sections.setdefault(transport, []).append(media)
        for transport, medias in sections.items():
            await transport.receive_remote(_remote_ice(medias))


def _remote_ice(sections: list[MediaDescription]) -> RemoteIce:
    """Return what the sections of one transport say; the first one's credentials count."""
    credentials = sdp.section_credentials(sections[0])
    alike = [section for section in sections if sdp.section_credentials(section) == credentials]
    if sections[0].ice_candidates:
        # Those of others may be of transports that the remote side is about to drop.
        alike = sections[:1]
    remote = RemoteIce(sections[0].ice or RTCIceParameters())
    for section in alike:
        remote.candidates.take(section.ice_candidates)
    return remote
