"""Sets remote descriptions."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiortc import RTCBundlePolicy, RTCIceParameters, RTCSessionDescription
from aiortc.sdp import MediaDescription, SessionDescription

from ..ice.remote import RemoteIce
from ..logs import ObjectLogger
from ..sdp import description as sdp
from ..sdp import validation
from ..sdp.completion import complete
from ..sdp.numbering import RID
from ..seam import (
    add_header_extensions,
    describe_numbers,
    describe_own_repeating,
    describe_suspended,
    describe_unusual,
    dissociate,
    has_common_codec,
    is_suspended,
    set_mid,
    set_mline_index,
)
from ..transports.aggregate_states import AggregateStates
from ..transports.bundle import Bundle
from ..transports.factory import TransportFactory
from .local_tracks import LocalTracks
from .masking import SectionMask
from .offers import Offers
from .outcome import Outcome
from .remote_candidates import RemoteCandidates
from .signaling_state import Side, SignalingState
from .state import State
from .transaction import Transaction, as_final, check_type

if TYPE_CHECKING:
    from ..ice.handover import IceTransportCore
    from ..media.transceiver import RTCRtpTransceiver

__all__ = ["RemoteDescription"]

# The directions of remote sections that a local track can be sent in.
WANTS_MEDIA = frozenset({"sendrecv", "recvonly"})


@dataclass(eq=False, repr=False)
class RemoteDescription:
    """The operation setRemoteDescription()."""

    state: State
    mask: SectionMask
    bundle: Bundle
    states: AggregateStates
    transports: TransportFactory
    local_tracks: LocalTracks
    candidates: RemoteCandidates
    offers: Offers
    outcome: Outcome
    transaction: Transaction
    log: ObjectLogger

    def check(self, session: RTCSessionDescription) -> None:
        """Raise InvalidStateError if the description doesn't fit the signaling state."""
        check_type(session)
        if not self._is_glare(session):
            self.transaction.next_state(Side.REMOTE, session.type)

    def _is_glare(self, session: RTCSessionDescription) -> bool:
        return (
            session.type == "offer"
            and self.state.signaling_state == SignalingState.HAVE_LOCAL_OFFER
        )

    async def set(self, session: RTCSessionDescription) -> None:
        """Set the remote description.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-setremotedescription
        """
        self.check(session)
        if session.type == "rollback":
            await self.transaction.roll_back()
            return
        description = self._read(session)
        self._validate(description)
        # Parsing and applying take milliseconds each. Let media run in between.
        await asyncio.sleep(0)
        if self._is_glare(session):
            # Roll our offer back in the same operation; the remote offer has passed its checks.
            self.log.debug("glare: a remote offer takes the place of ours")
            await self.transaction.roll_back()
        state = self.transaction.next_state(Side.REMOTE, session.type)
        async with self.transaction.leading_to(state):
            await self._apply(description)
            await self._receive_ice(description)
            # A created answer was for an earlier offer.
            self.offers.forget("answer")

    def _read(self, session: RTCSessionDescription) -> sdp.Description:
        description = sdp.parse(session)
        for number, name in (line for media in description.media for line in media.skipped):
            self.log.debug("line %d of the description can't be read: a=%s", number, name)
        before = self.state.remote
        if session.type != "offer":
            before = self.state.pending_local
        mids = [media.rtp.muxId for media in before.media] if before else []
        policy = self.state.configuration.bundlePolicy
        max_bundle = policy is RTCBundlePolicy.MAX_BUNDLE
        complete(description, mids, self.state.seen_mids, max_bundle=max_bundle)
        for place in sorted(description.unusable):
            self._suspend_tagged(description, place)
        return description

    def _suspend_tagged(self, description: sdp.Description, place: int) -> bool:
        """Let a section without a codec of ours stay, if it's the one whose transport all ride on.

        In mid-call, when that is rejected, Firefox begins another DTLS transport and closes this
        one, and Chromium refuses the answer if the next section is one of data channels. It may
        come that way by `setCodecPreferences()`.
        """
        media = description.media[place]
        in_use = [{m.rtp.muxId for _, m in sdp.live_sections(d)} for d in self._current()]
        tagged = next(iter(sdp.bundled_mids(description)), None)
        if (
            (description.type == "offer" or self._is_suspended(media))
            and media.is_rtp
            and media.rtp.codecs
            and media.rtp.muxId == tagged
            and all(tagged in mids for mids in in_use)
        ):
            media.suspend()
            description.unusable -= {place}
        return media.suspended

    def _is_suspended(self, media: MediaDescription) -> bool:
        described = (t for t in self.state.transceivers if t.mid == media.rtp.muxId)
        return any(is_suspended(t._core.codecs, t.kind) for t in described)

    def _current(self) -> tuple[SessionDescription | None, SessionDescription | None]:
        return self.state.current_local, self.state.current_remote

    def _validate(self, description: sdp.Description) -> None:
        state = self.state
        recyclable = sdp.rejected_in(state.current_local) | sdp.rejected_in(state.current_remote)
        if description.type == "offer":
            # A second remote offer replaces the first, so it continues the current description.
            before = state.current_remote
            validation.check_remote(description, before, recyclable, before, self.log)
        else:
            before = self.state.remote
            offer = self.state.pending_local
            validation.check_remote(description, offer, frozenset(), before, self.log)

    async def _apply(self, description: sdp.Description) -> None:
        if description.type != "offer":
            self._leave_out_unwanted(description)
            await self._apply_sections(description)
            return
        with self.bundle.offered(sdp.only(description, self._live(description))):
            self._associate(description)
        with self.bundle.offered(sdp.only(description, self._live(description))):
            await self._apply_sections(description)

    async def _apply_sections(self, description: sdp.Description) -> None:
        self.bundle.mark_bundled(description)
        live = self._live(description)
        text = sdp.text_for_aiortc(description, live)
        with self.bundle.applied(sdp.only(description, live)):
            with self.mask.masked(live, described_only=True):
                # We pass candidates to their generations ourselves.
                await self.state.base.setRemoteDescription(
                    as_final(RTCSessionDescription(text, str(description.type)))
                )
                index = self.state.sctp_mline_index
            if index is not None:
                self.state.sctp_mline_index = live[index]
        self._correct_rtp(description)
        self.transaction.keep_remote(description)
        self.states.update()

    def _correct_rtp(self, description: sdp.Description) -> None:
        """Correct the codecs and header extensions that aiortc has set.

        If a section has several encodings, its packets must name theirs. Our answer accepts no
        simulcast, so one encoding is sent, but Chromium's next offer has them again.
        """
        sections = {media.rtp.muxId: media for _, media in sdp.live_sections(description)}
        for transceiver in self.state.transceivers:
            if (media := sections.get(transceiver.mid)) is not None:
                describe_numbers(transceiver, media.readable_codecs)
                describe_own_repeating(transceiver)
                if media.suspended:
                    describe_suspended(transceiver, media.rtp.codecs)
                elif media.adapted:
                    describe_unusual(transceiver, media.rtp.codecs)
                extensions = media.rtp.headerExtensions if media.rids else []
                add_header_extensions(transceiver, [e for e in extensions if e.uri in RID])

    def _live(self, description: sdp.Description) -> list[int]:
        """Return the indices of the sections that neither side rejects."""
        rejected = frozenset[int]()
        if description.type != "offer":
            rejected = sdp.rejected_in(self.state.pending_local)
        return [place for place, _ in sdp.live_sections(description) if place not in rejected]

    # The transceivers of sections.

    def _associate(self, description: sdp.Description) -> None:
        """Find or make a transceiver for each section of an offer. (RFC 9429 section 5.10)."""
        self._dissociate_others(description)
        # Move new users to the transports that this offer gives them.
        self.transports.leave_dead_transports()
        self.bundle.join()
        for place, media in sdp.live_sections(description):
            if media.kind == "application":
                continue
            transceiver = self._transceiver_for(media)
            usable = has_common_codec(media.kind, media.readable_codecs, transceiver)
            if not usable and not self._suspend_tagged(description, place):
                description.unusable |= {place}
                continue
            if transceiver.mid is None:
                set_mid(transceiver, media.rtp.muxId)
            set_mline_index(transceiver, place)

    def _leave_out_unwanted(self, description: sdp.Description) -> None:
        """Mark sections of an answer unusable that have none of the preferred codecs."""
        for place, media in sdp.live_sections(description):
            transceiver = next(
                (t for t in self.state.transceivers if t.mid == media.rtp.muxId), None
            )
            if transceiver is not None and not has_common_codec(
                media.kind, media.readable_codecs, transceiver
            ):
                description.unusable |= {place}

    def _transceiver_for(self, media: MediaDescription) -> "RTCRtpTransceiver":
        transceivers: list[RTCRtpTransceiver] = self.state.transceivers
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
        made = self.local_tracks.create_transceiver("recvonly", media.kind)
        self.transaction.made_by_remote.add(made)
        return made

    def _dissociate_others(self, description: sdp.Description) -> None:
        """Dissociate transceivers that neither this offer nor the current description has.

        An earlier remote offer may have associated them, or a createOffer() without
        setLocalDescription() may have set their index.
        """
        current = {
            media.rtp.muxId for media in (self.state.current_remote or sdp.Description()).media
        }
        offered = {(media.kind, media.rtp.muxId) for media in description.media}
        for transceiver in list(self.state.transceivers):
            if (
                transceiver.mid not in current
                and (transceiver.kind, transceiver.mid) not in offered
            ):
                dissociate(transceiver)
                if (
                    transceiver in self.transaction.made_by_remote
                    and not transceiver._core.added_by_track
                ):
                    self.outcome.abandon([transceiver])
        sctp = self.state.sctp_transport
        if sctp and sctp.mid not in current and ("application", sctp.mid) not in offered:
            sctp.mid = None
            self.state.sctp_mline_index = None

    async def _receive_ice(self, description: sdp.Description) -> None:
        """Pass the description's credentials and candidates to their transports."""
        sections: dict[IceTransportCore, list[MediaDescription]] = {}
        group = [
            mid for mid in sdp.bundled_mids(description) if self.bundle.user_of(mid) is not None
        ]
        told = [media for media in description.media if not media.is_rejected]
        # In a BUNDLE group the attributes of the first accepted section count. (RFC 9143 section
        # 9.1)
        for media in sorted(told, key=lambda m: m.rtp.muxId not in group[:1]):
            if (transport := self.candidates.carrier_of(media, description)) is not None:
                sections.setdefault(transport, []).append(media)
        for transport, medias in sections.items():
            early = sdp.takes_early_checks(description)
            await transport.receive_remote(_remote_ice(medias, transport.log, early=early))


def _remote_ice(sections: list[MediaDescription], log: ObjectLogger, *, early: bool) -> RemoteIce:
    """Return the ICE parameters and candidates of one transport; the first section decides."""
    credentials = sdp.section_credentials(sections[0])
    alike = [section for section in sections if sdp.section_credentials(section) == credentials]
    if sections[0].ice_candidates:
        # The peer may be about to drop the transports of the other sections.
        alike = sections[:1]
    remote = RemoteIce(sections[0].ice or RTCIceParameters(), log, takes_early_checks=early)
    for section in alike:
        remote.candidates.take(section.ice_candidates)
    return remote
