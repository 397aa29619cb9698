"""ICE restart, W3C negotiation and recovery for aiortc.

`from restartice import RTCPeerConnection` in place of `from aiortc import RTCPeerConnection` is all
that a program changes. All other names of aiortc are here, too.
"""

from aiortc import *  # noqa: F403  that is the promise: all of aiortc's names
from aiortc import __all__ as _aiortc_names

from .candidate import RTCIceCandidate
from .dtlstransport import RTCDtlsTransport
from .exceptions import InvalidModificationError
from .icetransport import RTCIceCandidatePair, RTCIceGatherer, RTCIceTransport
from .peerconnection import RTCPeerConnection
from .settings import IceSettings

__version__ = "0.1.0"

__all__ = [  # noqa: PLE0604  aiortc's are strings, too
    *_aiortc_names,
    "IceSettings",
    "InvalidModificationError",
    "RTCDtlsTransport",
    "RTCIceCandidate",
    "RTCIceCandidatePair",
    "RTCIceGatherer",
    "RTCIceTransport",
    "RTCPeerConnection",
]
