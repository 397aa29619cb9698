"""ICE restart, W3C negotiation and recovery for aiortc.

Use `from restartice import RTCPeerConnection` instead of `from aiortc import RTCPeerConnection`.
All other names of aiortc can be imported from here, too.
"""

from aiortc import (
    AudioStreamTrack,
    InvalidAccessError,
    InvalidStateError,
    MediaStreamError,
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCCertificate,
    RTCDataChannel,
    RTCDataChannelParameters,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCIceParameters,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCRtpCapabilities,
    RTCRtpCodecCapability,
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionCapability,
    RTCRtpHeaderExtensionParameters,
    RTCRtpParameters,
    RTCSctpCapabilities,
    RTCSessionDescription,
    RTCStatsReport,
    VideoStreamTrack,
)

from .configuration import RTCConfiguration, RTCRtcpMuxPolicy
from .exceptions import (
    CandidateSyntaxError,
    CodecError,
    DataChannelIdError,
    IceServerSyntaxError,
    InvalidContentError,
    InvalidModificationError,
    NotSupportedError,
    RangeError,
    RTCError,
    SdpSyntaxError,
)
from .ice.candidate import RTCIceCandidate
from .ice.gatherer import RTCIceGatherer
from .ice.gathering.servers import RTCPeerConnectionIceErrorEvent
from .ice.transport import RTCIceCandidatePair, RTCIceTransport
from .media.heard import RTCRtpContributingSource, RTCRtpSynchronizationSource
from .media.parameters import (
    RTCRtcpParameters,
    RTCRtpEncodingParameters,
    RTCRtpSendParameters,
)
from .media.receiver import RTCRtpReceiver
from .media.sender import RTCRtpSender
from .media.stats import (
    RTCCodecStats,
    RTCInboundRtpStreamStats,
    RTCMediaSourceStats,
    RTCOutboundRtpStreamStats,
    RTCRemoteInboundRtpStreamStats,
    RTCRemoteOutboundRtpStreamStats,
)
from .media.streams import MediaStream
from .media.transceiver import RTCRtpTransceiver
from .peerconnection import RTCPeerConnection
from .recording import Recorder
from .recovery import (
    AutomaticRestart,
    NetworkChange,
    NetworkMonitor,
    PathEnds,
    PathSwitched,
    RecoverySettings,
    RestartEvent,
    RestartFailed,
    RestartStarted,
    RestartSucceeded,
)
from .settings import IceSettings
from .transports.data_channel_stats import RTCDataChannelStats, RTCPeerConnectionStats
from .transports.dtls import RTCDtlsTransport
from .transports.sctp import RTCSctpTransport
from .transports.stats import (
    RTCCertificateStats,
    RTCIceCandidatePairStats,
    RTCIceCandidateStats,
    RTCTransportStats,
)

__version__ = "0.1.0"

__all__ = [
    "AudioStreamTrack",
    "AutomaticRestart",
    "CandidateSyntaxError",
    "CodecError",
    "DataChannelIdError",
    "IceServerSyntaxError",
    "IceSettings",
    "InvalidAccessError",
    "InvalidContentError",
    "InvalidModificationError",
    "InvalidStateError",
    "MediaStream",
    "MediaStreamError",
    "MediaStreamTrack",
    "NetworkChange",
    "NetworkMonitor",
    "NotSupportedError",
    "PathEnds",
    "PathSwitched",
    "RTCBundlePolicy",
    "RTCCertificate",
    "RTCCertificateStats",
    "RTCCodecStats",
    "RTCConfiguration",
    "RTCDataChannel",
    "RTCDataChannelParameters",
    "RTCDataChannelStats",
    "RTCDtlsFingerprint",
    "RTCDtlsParameters",
    "RTCDtlsTransport",
    "RTCError",
    "RTCIceCandidate",
    "RTCIceCandidatePair",
    "RTCIceCandidatePairStats",
    "RTCIceCandidateStats",
    "RTCIceGatherer",
    "RTCIceParameters",
    "RTCIceServer",
    "RTCIceTransport",
    "RTCIceTransportPolicy",
    "RTCInboundRtpStreamStats",
    "RTCMediaSourceStats",
    "RTCOutboundRtpStreamStats",
    "RTCPeerConnection",
    "RTCPeerConnectionIceErrorEvent",
    "RTCPeerConnectionStats",
    "RTCRemoteInboundRtpStreamStats",
    "RTCRemoteOutboundRtpStreamStats",
    "RTCRtcpMuxPolicy",
    "RTCRtcpParameters",
    "RTCRtpCapabilities",
    "RTCRtpCodecCapability",
    "RTCRtpCodecParameters",
    "RTCRtpContributingSource",
    "RTCRtpEncodingParameters",
    "RTCRtpHeaderExtensionCapability",
    "RTCRtpHeaderExtensionParameters",
    "RTCRtpParameters",
    "RTCRtpReceiver",
    "RTCRtpSendParameters",
    "RTCRtpSender",
    "RTCRtpSynchronizationSource",
    "RTCRtpTransceiver",
    "RTCSctpCapabilities",
    "RTCSctpTransport",
    "RTCSessionDescription",
    "RTCStatsReport",
    "RTCTransportStats",
    "RangeError",
    "Recorder",
    "RecoverySettings",
    "RestartEvent",
    "RestartFailed",
    "RestartStarted",
    "RestartSucceeded",
    "SdpSyntaxError",
    "VideoStreamTrack",
]
