"""Setting local descriptions."""

from aiortc import RTCSessionDescription
from aiortc.sdp import SessionDescription

from . import description as sdp
from .credentials import IceCredentials
from .exceptions import InvalidModificationError
from .icetransport import RTCIceTransport
from .internals import unoffered_assumed_inactive
from .session import Session
from .states import Side, SignalingState, next_signaling_state

__all__ = ["LocalDescriptionSetter"]


class LocalDescriptionSetter(Session):
    """What setLocalDescription does when its turn in the chain has come."""

    async def set_local_description(self, session: RTCSessionDescription | None) -> None:
        """Set the local description.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-setlocaldescription
        """
        if session is None:
            # An offer in "stable", "have-local-offer" and "have-remote-pranswer", else an answer.
            offer = next_signaling_state(self.signalingState, Side.LOCAL, "offer") is not None
            session = await (self.create_offer() if offer else self.create_answer())
        state = self._next_state(Side.LOCAL, session)
        if session.type == "rollback":
            await self._roll_back()
            return
        # If description.sdp is the empty string, the last created one is meant.
        if not session.sdp and (last := self.last_created.get(session.type)) is not None:
            session = RTCSessionDescription(last.sdp, session.type)
        description = sdp.parse(session)
        generations = self._generations_to_begin(description)
        async with self._transaction():
            await self._apply_local(session, generations)
            if state is SignalingState.STABLE:
                self.current_remote, self.pending_remote = self.pending_remote, None
                self._commit(we_offered=False)
        self.origin.applied(description)
        await self._enter(state)

    async def _apply_local(
        self, session: RTCSessionDescription, generations: dict[RTCIceTransport, IceCredentials]
    ) -> None:
        for transport, credentials in generations.items():
            transport.begin_generation(credentials)
        try:
            with unoffered_assumed_inactive(self.transceivers, session.type):
                await super().setLocalDescription(session)
            self._keep_local(session.type)
        except BaseException:
            for transport in generations:
                transport.discard_generation()
            raise

    def _keep_local(self, description_type: str) -> None:
        # In place of aiortc's, which lacks the ICE options.
        if description_type == "answer":
            assert self.current_local is not None
            self.current_local = sdp.Description.extend(self.current_local, sdp.OUR_ICE_OPTIONS)
        else:
            assert self.pending_local is not None
            self.pending_local = sdp.Description.extend(self.pending_local, sdp.OUR_ICE_OPTIONS)

    def _generations_to_begin(
        self, description: SessionDescription
    ) -> dict[RTCIceTransport, IceCredentials]:
        """Return the transports that the description restarts, and their new credentials.

        Raises:
            InvalidModificationError: It isn't the one that was created last. Departure: it may
                be edited, which aiortc's programs do, but not its sections and credentials.
        """
        kind = str(description.type)
        last = self.last_created.get(kind)
        begin: dict[RTCIceTransport, IceCredentials] = {}
        for index, media in enumerate(description.media):
            transport = self.transport_at(index)
            credentials = sdp.section_credentials(media)
            if transport is None:
                raise InvalidModificationError(f"No {kind} with a section {index} was created")
            if last is not None and credentials == last.credentials.get(transport):
                begin[transport] = credentials
            elif credentials != transport.credentials:
                raise InvalidModificationError(
                    f"The ICE credentials of section {index} aren't those of the {kind} that "
                    "was created last"
                )
        return begin
