"""Creating offers and answers."""

import aiortc
from aiortc import InvalidStateError, RTCSessionDescription

from . import description as sdp
from .credentials import IceCredentials
from .icetransport import RTCIceTransport
from .internals import kept_codecs
from .negotiationneeded import NegotiationNeeded
from .settings import IceSettings
from .states import Side, next_signaling_state

__all__ = ["DescriptionCreator"]


class DescriptionCreator(NegotiationNeeded):
    """What createOffer and createAnswer do when their turn in the chain has come."""

    def __init__(
        self, configuration: aiortc.RTCConfiguration | None, settings: IceSettings
    ) -> None:
        super().__init__(configuration, settings)
        self.origin = sdp.Origin()
        self.last_created: dict[str, sdp.CreatedDescription[RTCIceTransport]] = {}

    async def create_offer(self, *, ice_restart: bool = False) -> RTCSessionDescription:
        """Create an offer.

        Spec: https://w3c.github.io/webrtc-pc/#dfn-create-an-offer
        """
        # If connection.[[SignalingState]] is neither "stable" nor "have-local-offer", reject.
        if next_signaling_state(self.signalingState, Side.LOCAL, "offer") is None:
            raise InvalidStateError(
                f'Cannot create offer in signaling state "{self.signalingState}"'
            )
        with kept_codecs(self.transceivers):
            created = await super().createOffer()
        # If the iceRestart member is true, or [[LocalIceCredentialsToReplace]] is not empty, the
        # credentials differ from the current ones, of which there are none before the first offer.
        described = (self.current_local or self.pending_local) is not None
        restart = bool(self.local_ice_credentials_to_replace) or (ice_restart and described)
        return self._remember(created, self.transports_by_use() if restart else [])

    async def create_answer(self) -> RTCSessionDescription:
        """Create an answer.

        Spec: https://w3c.github.io/webrtc-pc/#dfn-create-an-answer
        """
        created = await super().createAnswer()
        # An answer restarts ICE where the offer does. (RFC 9429 section 5.3.1)
        restarting = [t for t in self.transports_by_use() if t.remote and t.pending_remote]
        return self._remember(created, restarting)

    def _remember(
        self, created: RTCSessionDescription, restarting: list[RTCIceTransport]
    ) -> RTCSessionDescription:
        description = sdp.parse(created)
        credentials = dict.fromkeys(restarting, IceCredentials.generate())
        sdp.restart(description, self.transport_at, credentials)
        description.ice_options = sdp.OUR_ICE_OPTIONS
        self.origin.stamp(description)
        session = sdp.render(description)
        assert session is not None
        self.last_created[session.type] = sdp.CreatedDescription(
            session.sdp, description, credentials
        )
        return session
