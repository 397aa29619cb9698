"""Candidates that come too late to be of use."""

from collections import deque
from typing import Final

from restartice import RTCIceCandidate, RTCPeerConnection

from .politeness import ufrags_in

__all__ = ["Described"]

# How many of the other peer's generations are remembered, to tell late candidates from wrong ones.
REMEMBERED: Final = 32


class Described:
    """The generations of ICE of which the other side's descriptions have told.

    Args:
        pc: The connection.
    """

    def __init__(self, pc: RTCPeerConnection) -> None:
        self._pc = pc
        self._ufrags: deque[str] = deque(maxlen=REMEMBERED)

    def note(self, sdp: str) -> None:
        """Note that a description has come in."""
        self._ufrags.extend(ufrags_in(sdp))

    def is_late(self, candidate: RTCIceCandidate | None) -> bool:
        """Say if a candidate is of a description that was ignored, replaced or refused meanwhile.

        Such candidates are to be discarded. (RFC 8838 section 10, RFC 8840 section 4.4)
        """
        ufrag = None if candidate is None else candidate.usernameFragment
        in_use = (self._pc.remoteDescription, self._pc.currentRemoteDescription)
        ufrags = {found for d in in_use if d is not None for found in ufrags_in(d.sdp)}
        return ufrag in self._ufrags and ufrag not in ufrags
