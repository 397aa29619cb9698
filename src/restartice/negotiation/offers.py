"""Creating offers and answers."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from aiortc import InvalidStateError, RTCSessionDescription
from aiortc.rtcdtlstransport import RTCDtlsParameters

from ..ice.credentials import IceCredentials
from ..ice.transport import RTCIceTransport
from ..media.transceiver import SENDING, RTCRtpTransceiver
from ..sdp import description as sdp
from ..sdp.numbering import Numbering
from ..sdp.origin import Origin
from ..sdp.section import Section
from ..sdp.text import rejected_section, streams_as_msid
from ..seam import HookedPeerConnection, kept_codecs
from ..settings import IceSettings
from ..transports.bundle import ice_transport
from .local_tracks import LocalTracks
from .masking import Shown, User, users_by_place
from .signaling_state import Side, next_signaling_state

__all__ = ["CreatedDescription", "DescriptionCreator"]


@dataclass(frozen=True)
class CreatedDescription:
    """What createOffer or createAnswer returned last, and what it was made of.

    Attributes:
        text: Its SDP.
        description: What it says.
        credentials: Those that were made for it, by the transport that they restart.
        users: What each of its sections stands for, by its place, but for rejected ones.
    """

    text: str
    description: sdp.Description
    credentials: Mapping[RTCIceTransport, IceCredentials] = field(default_factory=dict)
    users: Mapping[int, User] = field(default_factory=dict)


class DescriptionCreator(LocalTracks):
    """What createOffer and createAnswer do when their turn in the chain has come.

    aiortc knows neither rejected media sections nor stopped transceivers, so it is shown those
    sections only that are in use, and the others are put back into what it makes of them.
    """

    def __init__(self, pc: HookedPeerConnection, settings: IceSettings) -> None:
        super().__init__(pc, settings)
        self.origin = Origin()
        self.numbering = Numbering()
        self.last_created: dict[str, CreatedDescription] = {}
        # What sections have been told that ride on a transport with other credentials, because
        # the remote side restarts ICE for a part of a BUNDLE group only.
        self.section_credentials: dict[str, IceCredentials] = {}

    def check_offering(self) -> None:
        """Raise InvalidStateError if there is a remote offer to be answered."""
        # If connection.[[SignalingState]] is neither "stable" nor "have-local-offer", reject.
        if next_signaling_state(self.signaling_state, Side.LOCAL, "offer") is None:
            raise InvalidStateError(
                f'Cannot create offer in signaling state "{self.signaling_state}"'
            )

    def check_answering(self) -> None:
        """Raise InvalidStateError if there is no remote offer."""
        # If connection.[[SignalingState]] is neither "have-remote-offer" nor
        # "have-local-pranswer", reject.
        if next_signaling_state(self.signaling_state, Side.LOCAL, "answer") is None:
            raise InvalidStateError(
                f'Cannot create answer in signaling state "{self.signaling_state}"'
            )

    async def create_offer(self, *, ice_restart: bool = False) -> RTCSessionDescription:
        """Create an offer. Nothing suspends it, so it describes the connection of one moment.

        Spec: https://w3c.github.io/webrtc-pc/#dfn-create-an-offer
        """
        self.leave_dead_transports()
        old = self._offered_before()
        live = [place for place, media in old.items() if self.user_of(media.rtp.muxId)]
        with kept_codecs(self.transceivers), self.show(live):
            created = sdp.parse(await self.base.createOffer())
            self.numbering.number(created)
            users = users_by_place(self)
        # If the iceRestart member is true, or [[LocalIceCredentialsToReplace]] is not empty, the
        # credentials differ from the current ones, of which there are none before the first offer.
        described = (self.current_local or self.pending_local) is not None
        restart = bool(self.local_ice_credentials_to_replace) or (ice_restart and described)
        placed = self._place(old, live, len(created.media))
        used = {placed[n]: (users[n], media) for n, media in enumerate(created.media)}
        restarted = map(ice_transport, self.active_users()) if restart else []
        fresh = dict.fromkeys(restarted, IceCredentials.generate())
        return self._assemble(
            created, used, old, fresh, {} if restart else self.section_credentials
        )

    async def create_answer(self) -> RTCSessionDescription:
        """Create an answer.

        Spec: https://w3c.github.io/webrtc-pc/#dfn-create-an-answer
        """
        assert self.pending_remote is not None
        offered = dict(enumerate(sdp.sections_in(self.pending_remote)))
        live = [
            place
            for place, media in sdp.live_sections(self.pending_remote)
            if self.user_of(media.rtp.muxId)
        ]
        with self.show(live):
            created = sdp.parse(await self.base.createAnswer())
            users = users_by_place(self)
        for place, media in zip(live, created.media, strict=True):
            # "The protocol MUST match that of the offer." (RFC 9429 section 5.3.1)
            media.profile = offered[place].profile
        # An answer restarts ICE where the offer does. (RFC 9429 section 5.3.1)
        restarting = [t for t in self.transports_by_use() if t.remote and t.pending_remote]
        credentials = dict.fromkeys(restarting, IceCredentials.generate())
        used = {live[n]: (users[n], media) for n, media in enumerate(created.media)}
        partly = self._partly_restarted(credentials)
        return self._assemble(created, used, offered, credentials, partly)

    def user_of(self, mid: str) -> User | None:
        """Return what a media section in use stands for, or None."""
        return next((user for user in self.active_users() if user.mid == mid), None)

    def active_users(self) -> list[User]:
        """Return what can have a media section that isn't rejected."""
        sctp = [] if self.sctp_transport is None else [self.sctp_transport]
        return [*(t for t in self.transceivers if not t._core.stopping), *sctp]

    def show(self, places: Collection[int], *, described_only: bool = False) -> Shown:
        """Show aiortc only the sections at some places, for the time of a with statement."""
        self.shown = Shown(self, places, described_only=described_only)
        return self.shown

    def _offered_before(self) -> dict[int, Section]:
        """Return the sections that a next offer has to have, by place."""
        described = [self.pending_remote or self.current_remote]
        described.append(self.pending_local or self.current_local)
        return {n: media for d in described for n, media in enumerate(sdp.sections_in(d))}

    def _place(self, old: Mapping[int, object], live: Collection[int], count: int) -> list[int]:
        """Return the places of the sections that aiortc has made, of which new ones come last.

        Those that both sides know to be rejected are used again. (RFC 9429 section 5.2.2)
        """
        rejected = sdp.rejected_in(self.current_local) | sdp.rejected_in(self.current_remote)
        usable = [place for place in sorted(old) if place not in live and place in rejected]
        further = range(len(old), len(old) + count)
        return [*live, *usable, *further][:count]

    def _partly_restarted(
        self, credentials: Mapping[RTCIceTransport, IceCredentials]
    ) -> dict[str, IceCredentials]:
        """Return the credentials of sections that don't restart like the transport they ride on."""
        before = {m.rtp.muxId: m for _, m in sdp.live_sections(self.current_remote)}
        ours = {m.rtp.muxId: m for _, m in sdp.live_sections(self.current_local)}
        partly: dict[str, IceCredentials] = {}
        for _, media in sdp.live_sections(self.pending_remote):
            mid = media.rtp.muxId
            if mid not in before or mid not in ours or self.user_of(mid) is None:
                continue
            asked = sdp.section_credentials(media) != sdp.section_credentials(before[mid])
            kept = sdp.section_credentials(ours[mid])
            if asked != (self.transport_of(mid) in credentials):
                partly[mid] = IceCredentials.generate() if asked else kept
            elif not asked and mid in self.section_credentials:
                partly[mid] = kept
        return partly

    def _assemble(
        self,
        created: sdp.Description,
        used: Mapping[int, tuple[User, Section]],
        old: Mapping[int, Section],
        fresh: Mapping[RTCIceTransport, IceCredentials],
        told: Mapping[str, IceCredentials],
    ) -> RTCSessionDescription:
        """Make a description of the sections in use, which aiortc has made, and of the old ones.

        Args:
            created: What aiortc has made.
            used: What stands in it, by place.
            old: The sections that were there before.
            fresh: The credentials of transports that restart.
            told: The credentials of sections that have others than the transport they ride on.
        """
        sections = {}
        for place, (user, media) in used.items():
            transport = ice_transport(user)
            credentials = fresh.get(transport, transport.credentials)
            sdp.set_credentials(media, told.get(media.rtp.muxId, credentials))
            if isinstance(user, RTCRtpTransceiver):
                _announce(user, media)
            sections[place] = media
        first = next(map(sdp.section_credentials, sections.values()), None)
        dtls = next((section.dtls for section in sections.values()), None)
        for place in old.keys() - used.keys():
            credentials = first or IceCredentials.generate()
            sections[place] = rejected_section(old[place], credentials, dtls or self._dtls(created))
        created.media = [sections[place] for place in sorted(sections)]
        self._group(created, used)
        return self._remember(created, fresh, {place: user for place, (user, _) in used.items()})

    def _dtls(self, created: sdp.Description) -> RTCDtlsParameters:
        """Return what a description without a section in use says of DTLS."""
        role = "client" if created.type == "answer" else "auto"
        return RTCDtlsParameters(self.certificates[0].getFingerprints(), role)

    def _group(self, created: sdp.Description, users: Collection[int]) -> None:
        mids = [created.media[place].rtp.muxId for place in sorted(users)]
        if created.type == "answer":
            # "The answer's BUNDLE group contains those of the offer's that are accepted."
            mids = [mid for mid in sdp.bundled_mids(self.pending_remote) if mid in mids]
        sdp.set_bundle(created, mids)

    def _remember(
        self,
        created: sdp.Description,
        fresh: Mapping[RTCIceTransport, IceCredentials],
        users: Mapping[int, User],
    ) -> RTCSessionDescription:
        created.ice_options = sdp.OUR_ICE_OPTIONS
        session = RTCSessionDescription(self.origin.stamp(created), str(created.type))
        self.last_created[session.type] = CreatedDescription(session.sdp, created, fresh, users)
        return session


def _announce(transceiver: RTCRtpTransceiver, media: Section) -> None:
    """Say which streams the track is in, if it is to be sent.

    That counts, and not whether the other side agrees. (RFC 9429 section 5.2.1 and 5.3.1)
    """
    track_id = (media.msid or "").split()[-1]
    sends = transceiver._core.wanted_direction in SENDING
    streams = transceiver.sender._core.stream_ids
    media.msid = streams_as_msid(streams, track_id) if sends else None
    if not sends:
        # Without an msid, some take each source for a track of its own, and refuse two of them.
        media.ssrc, media.ssrc_group = [], []
