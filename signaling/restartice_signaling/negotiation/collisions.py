"""Decides which side is polite, so rolls its offer back when two offers collide."""

import aiortc

from restartice import RTCPeerConnection

from .channel import RoomChannel, SignalingChannel
from .politeness import gives_way

__all__ = ["Politeness"]


class Politeness:
    """Decides whether this side is polite.

    Args:
        pc: The connection.
        channel: Its signaling, which may decide.
        polite: The decision of the program, or None.
    """

    def __init__(
        self, pc: RTCPeerConnection, channel: SignalingChannel, polite: bool | None
    ) -> None:
        self._pc = pc
        self._channel = channel
        self._given = polite
        # A room decides as soon as there is exactly one other peer.
        self._is_room = isinstance(channel, RoomChannel)
        # Whether the other side's offer was answered first.
        self._answered_first: bool | None = None

    @property
    def known(self) -> bool | None:
        """Whether this side is polite, or None while that is undecided."""
        if self._given is not None:
            return self._given
        polite = self._channel.polite
        return self._answered_first if polite is None and not self._is_room else polite

    def settle(self) -> None:
        """Keep what holds now: a server that starts anew may say otherwise, to one side earlier."""
        self._given = self.known

    def note_answer(self, *, ours: bool) -> None:
        """Note that an offer was answered. The side whose offer was answered first is impolite."""
        if self._answered_first is None:
            self._answered_first = ours

    def gives_way_to(self, offer: aiortc.RTCSessionDescription) -> bool:
        """Return whether to roll our offer back for one that collides with it."""
        polite = self.known
        if polite is not None or self._is_room:
            return bool(polite)
        return self.loses_to(offer)

    def loses_to(self, offer: aiortc.RTCSessionDescription) -> bool:
        """Return whether the certificates of both sides decide for the other offer."""
        certificates = self._pc.getConfiguration().certificates or ()
        fingerprints = [f for made in certificates for f in made.getFingerprints()]
        return gives_way([f.value for f in fingerprints if f.algorithm == "sha-256"], offer.sdp)
