"""Creates offers and answers."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from aiortc import InvalidStateError, RTCRtpCodecParameters, RTCSessionDescription
from aiortc.rtcdtlstransport import RTCDtlsParameters

from ..ice.credentials import IceCredentials
from ..ice.handover import IceTransportCore
from ..media.transceiver import SENDING, RTCRtpTransceiver
from ..sdp import description as sdp
from ..sdp.numbering import Numbering
from ..sdp.origin import Origin
from ..sdp.section import Section
from ..sdp.text import rejected_section, streams_as_msid
from ..seam import is_suspended, kept_codecs, unusual_codecs
from ..transports.bundle import Bundle, User, ice_transport
from ..transports.factory import TransportFactory
from ..transports.sctp import RTCSctpTransport
from .local_candidates import leave_out_repeated
from .masking import SectionMask, users_by_place
from .signaling_state import Side, next_signaling_state
from .state import CreatedDescription, State

__all__ = ["Offers"]


@dataclass(eq=False, repr=False)
class Offers:
    """The operations createOffer() and createAnswer().

    aiortc can't handle rejected sections or stopped transceivers, so they are hidden from it and
    put back into its result.
    """

    state: State
    mask: SectionMask
    bundle: Bundle
    transports: TransportFactory
    _origin: Origin = field(default_factory=Origin, init=False)
    _numbering: Numbering = field(default_factory=Numbering, init=False)
    # The credentials described in sections whose transport has other ones, because the peer has
    # restarted ICE for a part of a BUNDLE group only.
    _section_credentials: dict[str, IceCredentials] = field(default_factory=dict, init=False)

    def check_offering(self) -> None:
        """Raise InvalidStateError if a remote offer is waiting for an answer."""
        # If connection.[[SignalingState]] is neither "stable" nor "have-local-offer", reject.
        if next_signaling_state(self.state.signaling_state, Side.LOCAL, "offer") is None:
            raise InvalidStateError(
                f'Cannot create offer in signaling state "{self.state.signaling_state}"'
            )

    def check_answering(self) -> None:
        """Raise InvalidStateError if there is no remote offer."""
        # If connection.[[SignalingState]] is neither "have-remote-offer" nor
        # "have-local-pranswer", reject.
        if next_signaling_state(self.state.signaling_state, Side.LOCAL, "answer") is None:
            raise InvalidStateError(
                f'Cannot create answer in signaling state "{self.state.signaling_state}"'
            )

    async def create_offer(self, *, ice_restart: bool = False) -> RTCSessionDescription:
        """Create an offer. It runs without suspension, so it describes one moment.

        Spec: https://w3c.github.io/webrtc-pc/#dfn-create-an-offer
        """
        self.transports.leave_dead_transports()
        old = self._offered_before()
        mids = {user.mid for user in self.bundle.active_users()}
        live = [place for place, media in old.items() if media.rtp.muxId in mids]
        with kept_codecs(self.state.transceivers) as negotiated, self.mask.masked(live):
            created = sdp.parse(await self.state.base.createOffer())
            users = users_by_place(self.state)
            for place, media in enumerate(created.media):
                _offer_again(media, negotiated.get(users[place], []))
            self._numbering.number(created)
        # If the iceRestart member is true, or [[LocalIceCredentialsToReplace]] is not empty, the
        # credentials differ from the current ones, of which there are none before the first offer.
        asked = self.state.local_ice_credentials_to_replace or self.state.servers_changed
        restart = bool(asked) or (ice_restart and self.state.local is not None)
        placed = self._place(old, live, len(created.media))
        used = {placed[n]: (users[n], media) for n, media in enumerate(created.media)}
        restarted = map(ice_transport, self.bundle.active_users()) if restart else []
        fresh = dict.fromkeys(restarted, IceCredentials.generate())
        return self._assemble(
            created, used, old, fresh, {} if restart else self._section_credentials
        )

    async def create_answer(self) -> RTCSessionDescription:
        """Create an answer.

        Spec: https://w3c.github.io/webrtc-pc/#dfn-create-an-answer
        """
        assert self.state.pending_remote is not None
        offered = dict(enumerate(sdp.sections_in(self.state.pending_remote)))
        live = [
            place
            for place, media in sdp.live_sections(self.state.pending_remote)
            if self.bundle.user_of(media.rtp.muxId)
        ]
        with self.mask.masked(live):
            created = sdp.parse(await self.state.base.createAnswer())
            users = users_by_place(self.state)
        for place, media in zip(live, created.media, strict=True):
            # "The protocol MUST match that of the offer." (RFC 9429 section 5.3.1)
            media.profile = offered[place].profile
        # An answer restarts ICE where the offer does. (RFC 9429 section 5.3.1)
        restarting = [t for t in self.bundle.transports_by_use() if t.remote and t.pending_remote]
        credentials = dict.fromkeys(restarting, IceCredentials.generate())
        used = {live[n]: (users[n], media) for n, media in enumerate(created.media)}
        partly = self._partly_restarted(credentials)
        return self._assemble(created, used, offered, credentials, partly)

    def forget(self, kind: str | None = None) -> None:
        """Forget the last created offer and answer, or one of them."""
        for created in (kind,) if kind else ("offer", "answer"):
            self.state.last_created.pop(created, None)

    def keep(self, kind: str, created: CreatedDescription) -> None:
        """Make an earlier description the last created one again."""
        self.state.last_created[kind] = created

    def applied(self, description: sdp.Description, text: str) -> None:
        """Note that a local description was set, and the text that the program passed."""
        self._origin.applied(description, text)

    def conclude(self) -> None:
        """Note the negotiated descriptions, and forget the created ones, which are out of date."""
        state = self.state
        if state.current_local is not None and state.current_remote is not None:
            self._numbering.learn(state.current_local, state.current_remote)
        self.forget()
        if not state.restart_ignored:
            self._note_section_credentials()

    def _note_section_credentials(self) -> None:
        self._section_credentials.clear()
        for _, media in sdp.live_sections(self.state.current_local):
            transport = self.bundle.transport_of(media.rtp.muxId)
            told = sdp.section_credentials(media)
            if transport is not None and told != transport.credentials:
                self._section_credentials[media.rtp.muxId] = told

    def _offered_before(self) -> dict[int, Section]:
        """Return the sections that the next offer must contain, by index."""
        described = [self.state.remote]
        described.append(self.state.local)
        return {n: media for d in described for n, media in enumerate(sdp.sections_in(d))}

    def _place(self, old: Mapping[int, object], live: Collection[int], count: int) -> list[int]:
        """Return the indices for the sections that aiortc has made; new sections come last.

        New sections first take the indices of sections that an answer has rejected. (RFC 9429
        section 5.2.2)
        """
        rejected = sdp.rejected_in(self.state.current_local) | sdp.rejected_in(
            self.state.current_remote
        )
        usable = [place for place in sorted(old) if place not in live and place in rejected]
        further = range(len(old), len(old) + count)
        return [*live, *usable, *further][:count]

    def _partly_restarted(
        self, credentials: Mapping[IceTransportCore, IceCredentials]
    ) -> dict[str, IceCredentials]:
        """Return the credentials of sections that restart although their transport doesn't.

        And of sections that don't restart although their transport does.
        """
        before = {m.rtp.muxId: m for _, m in sdp.live_sections(self.state.current_remote)}
        ours = {m.rtp.muxId: m for _, m in sdp.live_sections(self.state.current_local)}
        partly: dict[str, IceCredentials] = {}
        for _, media in sdp.live_sections(self.state.pending_remote):
            mid = media.rtp.muxId
            if mid not in before or mid not in ours or self.bundle.user_of(mid) is None:
                continue
            asked = sdp.section_credentials(media) != sdp.section_credentials(before[mid])
            kept = sdp.section_credentials(ours[mid])
            if asked != (self.bundle.transport_of(mid) in credentials):
                partly[mid] = IceCredentials.generate() if asked else kept
            elif not asked and mid in self._section_credentials:
                partly[mid] = kept
        return partly

    def _assemble(
        self,
        created: sdp.Description,
        used: Mapping[int, tuple[User, Section]],
        old: Mapping[int, Section],
        fresh: Mapping[IceTransportCore, IceCredentials],
        told: Mapping[str, IceCredentials],
    ) -> RTCSessionDescription:
        """Assemble a description of the sections that aiortc has made, and of rejected ones.

        Args:
            created: aiortc's description.
            used: Its sections, and their transceivers or SCTP, by index.
            old: The sections of the previous description, by index.
            fresh: The new credentials of transports that restart.
            told: The credentials of sections that differ from their transport's, by mid.
        """
        sections = {}
        announced: set[str] = set()
        for place, (user, media) in used.items():
            transport = ice_transport(user)
            credentials = fresh.get(transport, transport.credentials)
            sdp.set_credentials(media, told.get(media.rtp.muxId, credentials))
            if isinstance(user, RTCRtpTransceiver):
                _announce(user, media, announced)
            sections[place] = media
        first = next(map(sdp.section_credentials, sections.values()), None)
        dtls = next((section.dtls for section in sections.values()), None)
        for place in old.keys() - used.keys():
            credentials = first or IceCredentials.generate()
            sections[place] = rejected_section(old[place], credentials, dtls or self._dtls(created))
        created.media = [sections[place] for place in sorted(sections)]
        self._group(created, used)
        users = {place: user for place, (user, _) in used.items()}
        leave_out_repeated(self.state, created, users)
        return self._remember(created, fresh, users)

    def _dtls(self, created: sdp.Description) -> RTCDtlsParameters:
        """Return the DTLS parameters of a description without a live section."""
        role = "client" if created.type == "answer" else "auto"
        return RTCDtlsParameters(self.state.certificates[0].getFingerprints(), role)

    def _group(self, created: sdp.Description, users: Collection[int]) -> None:
        mids = [created.media[place].rtp.muxId for place in sorted(users)]
        if created.type == "answer":
            # "The answer's BUNDLE group contains those of the offer's that are accepted."
            mids = [mid for mid in sdp.bundled_mids(self.state.pending_remote) if mid in mids]
        sdp.set_bundle(created, mids)

    def _remember(
        self,
        created: sdp.Description,
        fresh: Mapping[IceTransportCore, IceCredentials],
        users: Mapping[int, User],
    ) -> RTCSessionDescription:
        created.ice_options = sdp.OUR_ICE_OPTIONS
        for place, user in users.items():
            if isinstance(user, RTCSctpTransport):
                created.media[place].sctp_init = self._sctp_init(user, created)
        session = RTCSessionDescription(self._origin.stamp(created), str(created.type))
        self.state.last_created[session.type] = CreatedDescription(
            session.sdp, created, fresh, users
        )
        return session

    def _sctp_init(self, sctp: RTCSctpTransport, created: sdp.Description) -> str | None:
        """Return what a description says of our INIT."""
        core = sctp._core
        if created.type == "answer":
            offered = sdp.sctp_init(self.state.pending_remote)
            return core.init if offered is not None and core.takes_init(offered) else None
        return core.init if core.phase == "new" or core.remote_init is not None else None


def _offer_again(media: Section, negotiated: list[RTCRtpCodecParameters]) -> None:
    """Offer what is negotiated for a section, and what aiortc doesn't offer by itself."""
    if is_suspended(negotiated, media.kind):
        media.rtp.codecs = [replace(codec) for codec in negotiated]
        media.suspend()
    else:
        # First, because Chromium sends nothing more if it comes behind codecs that it rejects.
        media.rtp.codecs[:0] = unusual_codecs(negotiated)


def _announce(transceiver: RTCRtpTransceiver, media: Section, announced: set[str]) -> None:
    """Write the streams of a track, if the transceiver is to send.

    What we want counts, not what the peer accepted. (RFC 9429 sections 5.2.1 and 5.3.1)

    A track with two senders is announced as two tracks, because Chromium refuses it otherwise.
    """
    track_id = (media.msid or "").split()[-1]
    if track_id in announced:
        track_id = f"{track_id}-{media.rtp.muxId}"
    sends = transceiver._core.wanted_direction in SENDING
    streams = transceiver.sender._core.stream_ids
    media.msid = streams_as_msid(streams, track_id) if sends else None
    announced.update({track_id} if sends else ())
    if not sends:
        # Without an msid, some peers take each source for a track, and refuse two of them.
        media.ssrc, media.ssrc_group = [], []
