"""Setting local descriptions."""

from typing import Final

from aiortc import RTCSessionDescription
from aiortc.sdp import SessionDescription

from . import description as sdp
from .credentials import IceCredentials
from .exceptions import InvalidModificationError
from .icetransport import RTCIceTransport
from .internals import unoffered_assumed_inactive
from .session import Session, as_final
from .states import Side, SignalingState

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

    async def set_local_description(self, session: RTCSessionDescription | None) -> None:
        """Set the local description.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-setlocaldescription
        """
        if session is None:
            offer = self.signalingState in IMPLICIT_OFFER
            session = await (self.create_offer() if offer else self.create_answer())
        state = self._next_state(Side.LOCAL, session)
        if session.type == "rollback":
            await self._roll_back()
            return
        # If description.sdp is the empty string, the last created one is meant.
        if not session.sdp and (last := self._last_created_for(session.type)) is not None:
            session = RTCSessionDescription(last.sdp, session.type)
        description = self._parse(session)
        generations = self._generations_to_begin(description)
        async with self._transaction():
            await self._apply_local(session, generations)
            if state is SignalingState.STABLE:
                self.current_remote, self.pending_remote = self.pending_remote, None
                self._commit(we_offered=False)
            elif session.type == "pranswer":
                self._commit_provisionally()
        self.origin.applied(description)
        await self._enter(state)

    def _parse(self, session: RTCSessionDescription) -> SessionDescription:
        # What was created last needs no parsing, unless it was edited since.
        last = self._last_created_for(session.type)
        if last is not None and last.sdp == session.sdp and last.description.type == session.type:
            return last.description
        return sdp.parse(session)

    async def _apply_local(
        self, session: RTCSessionDescription, generations: dict[RTCIceTransport, IceCredentials]
    ) -> None:
        current = self.current_local
        for transport, credentials in generations.items():
            transport.begin_generation(credentials)
        try:
            with unoffered_assumed_inactive(self.transceivers, session.type):
                await super().setLocalDescription(as_final(session))
            self._keep_local(session.type, current)
        except BaseException:
            for transport in generations:
                transport.discard_generation()
            raise

    def _keep_local(self, kind: str, current: SessionDescription | None) -> None:
        # In place of aiortc's, which lacks the ICE options, and took a provisional answer for a
        # final one.
        applied = self.pending_local if kind == "offer" else self.current_local
        assert applied is not None
        description = sdp.Description.extend(applied, sdp.OUR_ICE_OPTIONS)
        description.type = kind
        if kind == "answer":
            self.current_local, self.pending_local = description, None
        else:
            self.current_local, self.pending_local = current, description

    def _last_created_for(self, kind: str) -> sdp.CreatedDescription[RTCIceTransport] | None:
        # A provisional answer is one that createAnswer() made, too.
        return self.last_created.get("answer" if kind == "pranswer" else kind)

    def _generations_to_begin(
        self, description: SessionDescription
    ) -> dict[RTCIceTransport, IceCredentials]:
        """Return the transports that the description restarts, and their new credentials.

        Raises:
            InvalidModificationError: It isn't the one that was created last. Departure: it may
                be edited, which aiortc's programs do, but not its sections and credentials.
        """
        kind = str(description.type)
        last = self._last_created_for(kind)
        begin: dict[RTCIceTransport, IceCredentials] = {}
        for index, media in enumerate(description.media):
            transport = self.transport_at(index)
            credentials = sdp.section_credentials(media)
            if transport is None:
                raise InvalidModificationError(f"No {kind} with a section {index} was created")
            if credentials == transport.credentials:
                continue
            if last is not None and credentials == last.credentials.get(transport):
                begin[transport] = credentials
            else:
                raise InvalidModificationError(
                    f"The ICE credentials of section {index} aren't those of the {kind} that "
                    "was created last"
                )
        return begin
