"""Setting local descriptions."""

import asyncio
from collections.abc import Mapping
from typing import Final

from aiortc import RTCSessionDescription
from aiortc.sdp import SessionDescription

from ..exceptions import InvalidModificationError
from ..ice.credentials import IceCredentials
from ..ice.transport import RTCIceTransport
from ..sdp import description as sdp
from ..sdp.origin import alike
from ..sdp.validation import check_local
from .masking import set_places
from .offers import CreatedDescription
from .session import Session, as_final, check_type
from .signaling_state import Side, SignalingState

__all__ = ["LocalDescriptionSetter"]

# "If the signaling state is one of these, create an offer; otherwise create an answer."
IMPLICIT_OFFER: Final = frozenset(
    {
        SignalingState.STABLE,
        SignalingState.HAVE_LOCAL_OFFER,
        SignalingState.HAVE_REMOTE_PRANSWER,
    }
)


class LocalDescriptionSetter(Session):
    """What setLocalDescription does when its turn in the chain has come."""

    def check_local(self, session: RTCSessionDescription | None) -> None:
        """Raise InvalidStateError if the description doesn't fit the signaling state."""
        if session is not None:
            check_type(session)
        self.next_state(Side.LOCAL, self._implied_type() if session is None else session.type)

    def _implied_type(self) -> str:
        return "offer" if self.signaling_state in IMPLICIT_OFFER else "answer"

    async def set_local_description(self, session: RTCSessionDescription | None) -> None:
        """Set the local description.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-setlocaldescription
        """
        self.check_local(session)
        if session is None or not (session.sdp or session.type == "rollback"):
            session = await self._implied(session)
            # Creating takes milliseconds, and so does applying; media needn't wait for both.
            await asyncio.sleep(0)
        if session.type == "rollback":
            await self.roll_back()
            return
        state = self.next_state(Side.LOCAL, session.type)
        description = self._parse(session)
        last = self._created_as(description)
        check_local(description, self.pending_remote)
        async with self.transaction():
            await self._apply_local(session, description, last)
            if state is SignalingState.STABLE:
                self.current_remote, self.pending_remote = self.pending_remote, None
                self.conclude(we_offered=False)
            elif session.type == "pranswer":
                self.conclude_provisionally()
        self.origin.applied(description, session.sdp)
        await self.enter(state)

    def _parse(self, session: RTCSessionDescription) -> sdp.Description:
        # What was created last needs no parsing, unless it was edited since.
        last = self.last_created.get(_creation(session.type))
        if last is not None and last.text == session.sdp:
            return sdp.copied(last.description, session.type)
        return sdp.parse(session)

    async def _implied(self, session: RTCSessionDescription | None) -> RTCSessionDescription:
        """Return the description that is meant by none, or by an empty one.

        It is the last one that was created, unless that doesn't represent the connection any more.
        """
        kind = self._implied_type() if session is None else session.type
        key = _creation(kind)
        last = self.last_created.get(key)
        created = await (self.create_offer() if kind == "offer" else self.create_answer())
        if last is not None and self._still_fits(last, self.last_created[key]):
            self.last_created[key] = last
            return RTCSessionDescription(last.text, kind)
        return RTCSessionDescription(created.sdp, kind)

    def _still_fits(self, last: CreatedDescription, now: CreatedDescription) -> bool:
        described = sdp.credentials_in(last.description)
        replaced = described & self.local_ice_credentials_to_replace
        same = last.users == now.users and last.credentials.keys() == now.credentials.keys()
        return same and not replaced and alike(last.text, now.text)

    def _created_as(self, description: sdp.Description) -> CreatedDescription:
        """Return what a description was created as.

        Departure: it may be edited, which aiortc's programs do, but not its sections and their
        credentials.

        Raises:
            InvalidModificationError: It isn't the one that was created last.
        """
        kind = _creation(str(description.type))
        last = self.last_created.get(kind)
        if last is None:
            raise InvalidModificationError(f"No {kind} was created")
        created = sdp.shape(last.description)
        given = sdp.shape(description)
        if len(created) != len(given):
            raise InvalidModificationError(
                f"It has {len(given)} media sections, but the {kind} that was created last has "
                f"{len(created)}"
            )
        for place, (before, after) in enumerate(zip(created, given, strict=True)):
            if before != after:
                raise InvalidModificationError(
                    f"The kind or ICE credentials of section {place} aren't those of the "
                    f"{kind} that was created last"
                )
        return last

    async def _apply_local(
        self, session: RTCSessionDescription, description: sdp.Description, last: CreatedDescription
    ) -> None:
        begun = self._begin_generations(last.credentials)
        set_places(self, last.users)
        try:
            with self.show(last.users, described_only=True):
                text = sdp.text_for_aiortc(description, last.users)
                await self.base.setLocalDescription(
                    as_final(RTCSessionDescription(text, session.type))
                )
                applied = self.pending_local if session.type == "offer" else self.current_local
            assert applied is not None
        except BaseException:
            for transport in begun:
                transport.discard_generation()
            raise
        self._keep_local(description, applied)

    def _begin_generations(
        self, credentials: Mapping[RTCIceTransport, IceCredentials]
    ) -> list[RTCIceTransport]:
        restarting = [t for t in credentials if t.credentials != credentials[t]]
        for transport in restarting:
            transport.begin_generation(credentials[transport])
        return restarting

    def _keep_local(self, description: sdp.Description, applied: SessionDescription) -> None:
        """Keep the description, with what aiortc has gathered for it."""
        live = [media for _, media in sdp.live_sections(description)]
        for media, gathered in zip(live, applied.media, strict=True):
            media.host, media.port = gathered.host, gathered.port
            media.ice_candidates = gathered.ice_candidates
            media.ice_candidates_complete = gathered.ice_candidates_complete
            media.dtls = gathered.dtls
        description.ice_options = sdp.OUR_ICE_OPTIONS
        if description.type == "answer":
            self.current_local, self.pending_local = description, None
        else:
            self.pending_local = description


def _creation(kind: str) -> str:
    """Return what made a description: a provisional answer is one that createAnswer() made."""
    return "offer" if kind == "offer" else "answer"
