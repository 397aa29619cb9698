"""Sets local descriptions."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aiortc import RTCSessionDescription
from aiortc.sdp import SessionDescription

from ..exceptions import InvalidModificationError
from ..ice.credentials import IceCredentials
from ..ice.handover import IceTransportCore
from ..media.transceiver import RTCRtpTransceiver
from ..sdp import description as sdp
from ..sdp.origin import alike
from ..sdp.validation import check_local
from ..seam import set_current_direction
from ..transports.bundle import User
from .local_candidates import leave_out_repeated
from .masking import SectionMask
from .offers import Offers
from .signaling_state import Side, SignalingState
from .state import CreatedDescription, State
from .transaction import Transaction, as_final, check_type

__all__ = ["LocalDescription"]

# "If the signaling state is one of these, create an offer; otherwise create an answer."
IMPLICIT_OFFER: Final = frozenset(
    {
        SignalingState.STABLE,
        SignalingState.HAVE_LOCAL_OFFER,
        SignalingState.HAVE_REMOTE_PRANSWER,
    }
)


@dataclass(eq=False, repr=False)
class LocalDescription:
    """The operation setLocalDescription()."""

    state: State
    mask: SectionMask
    offers: Offers
    transaction: Transaction

    def check(self, session: RTCSessionDescription | None) -> None:
        """Check the type of the description.

        Raises:
            TypeError: It isn't an RTCSessionDescription.
            InvalidStateError: It isn't allowed in the current signaling state.
        """
        if session is not None:
            check_type(session)
        self.transaction.next_state(
            Side.LOCAL, self._implied_type() if session is None else session.type
        )

    def _implied_type(self) -> str:
        return "offer" if self.state.signaling_state in IMPLICIT_OFFER else "answer"

    async def set(self, session: RTCSessionDescription | None) -> None:
        """Set the local description.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-setlocaldescription
        """
        self.check(session)
        if session is None or not (session.sdp or session.type == "rollback"):
            session = await self._implied(session)
            # Creating and applying take milliseconds each. Let media run in between.
            await asyncio.sleep(0)
        if session.type == "rollback":
            await self.transaction.roll_back()
            return
        state = self.transaction.next_state(Side.LOCAL, session.type)
        description = self._parse(session)
        last = self._created_as(description)
        check_local(description, self.state.pending_remote)
        async with self.transaction.leading_to(state):
            await self._apply(session, description, last)
            self.offers.applied(description, session.sdp)

    def _parse(self, session: RTCSessionDescription) -> sdp.Description:
        # The last created description needs no parsing unless the program has edited it.
        last = self.state.last_created.get(_creation(session.type))
        if last is not None and last.text == session.sdp:
            return sdp.copied(last.description, session.type)
        return sdp.parse(session)

    async def _implied(self, session: RTCSessionDescription | None) -> RTCSessionDescription:
        """Return the description to set if the program passes none, or an empty one.

        This is the last created one if it still fits the connection, and otherwise a new one.
        """
        kind = self._implied_type() if session is None else session.type
        key = _creation(kind)
        last = self.state.last_created.get(key)
        created = await (
            self.offers.create_offer() if kind == "offer" else self.offers.create_answer()
        )
        if last is not None and self._still_fits(last, self.state.last_created[key]):
            self.offers.keep(key, last)
            return RTCSessionDescription(last.text, kind)
        return RTCSessionDescription(created.sdp, kind)

    def _still_fits(self, last: CreatedDescription, now: CreatedDescription) -> bool:
        described = sdp.credentials_in(last.description)
        replaced = described & self.state.local_ice_credentials_to_replace
        same = last.users == now.users and last.credentials.keys() == now.credentials.keys()
        return same and not replaced and alike(last.text, now.text)

    def _created_as(self, description: sdp.Description) -> CreatedDescription:
        """Return the last created description, after checking that this is an edit of it.

        Departure: the program may edit the description, as aiortc's programs do, but not its number
        of sections, their kinds or their credentials.

        Raises:
            InvalidModificationError: This isn't an edit of the last created description.
        """
        kind = _creation(str(description.type))
        last = self.state.last_created.get(kind)
        if last is None:
            raise InvalidModificationError(f"No {kind} was created; call create{kind.title()}()")
        created = sdp.shape(last.description)
        given = sdp.shape(description)
        if len(created) != len(given):
            raise InvalidModificationError(
                f"Expected the {len(created)} media sections of the last created {kind}, got "
                f"{len(given)}"
            )
        for place, (before, after) in enumerate(zip(created, given, strict=True)):
            if before != after:
                raise InvalidModificationError(
                    f"The kind or ICE credentials of section {place} differ from the last created "
                    f"{kind}"
                )
        return last

    async def _apply(
        self, session: RTCSessionDescription, description: sdp.Description, last: CreatedDescription
    ) -> None:
        begun = self._begin_generations(last.credentials)
        self.mask.set_places(last.users)
        try:
            with self.mask.masked(last.users, described_only=True):
                text = sdp.text_for_aiortc(description, last.users)
                await self.state.base.setLocalDescription(
                    as_final(RTCSessionDescription(text, session.type))
                )
                applied = (
                    self.state.pending_local
                    if session.type == "offer"
                    else self.state.current_local
                )
            assert applied is not None
            if session.type != "offer":
                self._set_directions(description, last.users)
        except BaseException:
            for transport in begun:
                transport.discard_generation()
            raise
        self._keep(description, applied, last.users)

    def _set_directions(self, description: sdp.Description, users: Mapping[int, User]) -> None:
        """Set the negotiated directions to those of our answer.

        aiortc takes those that the transceivers have by now, which may have changed since.
        """
        for place, user in users.items():
            if isinstance(user, RTCRtpTransceiver):
                set_current_direction(user, description.media[place].direction or "sendrecv")

    def _begin_generations(
        self, credentials: Mapping[IceTransportCore, IceCredentials]
    ) -> list[IceTransportCore]:
        restarting = [t for t in credentials if t.credentials != credentials[t]]
        for transport in restarting:
            transport.begin_generation(credentials[transport])
        return restarting

    def _keep(
        self,
        description: sdp.Description,
        applied: SessionDescription,
        users: Mapping[int, User],
    ) -> None:
        """Keep the description, with the candidates that aiortc has gathered for it."""
        live = [media for _, media in sdp.live_sections(description)]
        for media, gathered in zip(live, applied.media, strict=True):
            media.host, media.port = gathered.host, gathered.port
            media.ice_candidates = gathered.ice_candidates
            media.ice_candidates_complete = gathered.ice_candidates_complete
            media.dtls = gathered.dtls
        leave_out_repeated(self.state, description, users)
        description.ice_options = sdp.OUR_ICE_OPTIONS
        self.transaction.keep_local(description)


def _creation(kind: str) -> str:
    """Return "offer" or "answer"; createAnswer() makes provisional answers, too."""
    return "offer" if kind == "offer" else "answer"
