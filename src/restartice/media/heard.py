"""The sources that a receiver has heard lately."""

from dataclasses import dataclass

import aiortc

__all__ = ["RTCRtpContributingSource", "RTCRtpSynchronizationSource"]


@dataclass
class RTCRtpContributingSource(aiortc.RTCRtpContributingSource):
    """aiortc's, a source that a mixer names, with its timestamp of RTP.

    Attributes:
        rtpTimestamp: The timestamp of its last packet, in units of the codec's clock.

    Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtpcontributingsource
    """

    rtpTimestamp: int


@dataclass
class RTCRtpSynchronizationSource(aiortc.RTCRtpSynchronizationSource):
    """aiortc's, a source of media, with its timestamp of RTP.

    Attributes:
        rtpTimestamp: The timestamp of its last packet, in units of the codec's clock.

    Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtpsynchronizationsource
    """

    rtpTimestamp: int
