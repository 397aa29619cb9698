"""RTCPeerConnection: aiortc's, with ICE restart and the negotiation rules of the specification."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import aiortc
from aiortc import RTCSessionDescription

from .configuration import RTCConfiguration, validated
from .events import Emitter
from .ice.candidate import checked
from .media.parameters import RTCRtpEncodingParameters
from .media.receiver import RTCRtpReceiver
from .media.sender import RTCRtpSender
from .media.streams import MediaStream
from .media.transceiver import RTCRtpTransceiver
from .negotiation.core import Core
from .observation import NEW, entry
from .sdp import description as sdp
from .seam import HookedPeerConnection
from .settings import IceSettings, or_default
from .transports import certificates
from .transports.dcep import check_parameters
from .transports.stats import track_statistics, with_transport_statistics

__all__ = ["RTCPeerConnection"]


class RTCPeerConnection(Emitter, HookedPeerConnection):
    """A WebRTC connection between the local computer and a remote peer.

    Use it in place of aiortc's. It adds ICE restart (`restartIce()`, `createOffer(iceRestart=)`)
    and the event `negotiationneeded`.

    Events, besides aiortc's:

    - `negotiationneeded`, without an argument. Make an offer in its listener. If the listener is a
      coroutine function, it begins in a later turn of the loop, when an offer of the other side
      may have come in, so check `signalingState` first.
    - `icecandidate`, with a candidate. Send it to the other side, also the one whose `candidate`
      is empty, which ends its generation. Don't send None, which means that all gathering is
      complete.
    - `icecandidateerror`, with a `RTCPeerConnectionIceErrorEvent`.

    A connection belongs to the event loop in which it is used first. While that loop runs, methods
    that change the connection, or a transceiver, sender or channel of it, raise RuntimeError in
    other threads.

    Args:
        configuration: The configuration; by default aiortc's.
        iceSettings: The settings of ICE; by default `IceSettings()`.

    Spec: https://w3c.github.io/webrtc-pc/#rtcpeerconnection-interface
    """

    _core: Core

    def __init__(
        self,
        configuration: aiortc.RTCConfiguration | None = None,
        *,
        iceSettings: IceSettings | None = None,
    ) -> None:
        super().__init__(validated(configuration))
        self._core = Core(self, or_default(iceSettings, IceSettings))
        for observe in tuple(NEW):
            observe(self)

    def __repr__(self) -> str:
        """Return its name in the log."""
        return self._core.log.object_name

    # Descriptions.

    @property
    def currentLocalDescription(self) -> RTCSessionDescription | None:
        """The local description that was negotiated last, or None.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-currentlocaldescription
        """
        return sdp.render(self._core.mask.descriptions.current_local)

    @property
    def pendingLocalDescription(self) -> RTCSessionDescription | None:
        """The local description that is being negotiated, or None.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-pendinglocaldescription
        """
        return sdp.render(self._core.mask.descriptions.pending_local)

    @property
    def localDescription(self) -> RTCSessionDescription:
        """The pending local description if there is one, else the current one, or None.

        As in aiortc the type doesn't mention None.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-localdescription
        """
        return self.pendingLocalDescription or self.currentLocalDescription  # type: ignore[return-value]

    @property
    def currentRemoteDescription(self) -> RTCSessionDescription | None:
        """The remote description that was negotiated last, or None.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-currentremotedescription
        """
        return sdp.render(self._core.mask.descriptions.current_remote)

    @property
    def pendingRemoteDescription(self) -> RTCSessionDescription | None:
        """The remote description that is being negotiated, or None.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-pendingremotedescription
        """
        return sdp.render(self._core.mask.descriptions.pending_remote)

    @property
    def remoteDescription(self) -> RTCSessionDescription:
        """The pending remote description if there is one, else the current one, or None.

        As in aiortc the type doesn't mention None.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-remotedescription
        """
        return self.pendingRemoteDescription or self.currentRemoteDescription  # type: ignore[return-value]

    @property
    def canTrickleIceCandidates(self) -> bool | None:
        """Whether the remote side supports trickle ICE; None before a remote description.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-cantrickleicecandidates
        """
        description = self._core.state.remote
        return None if description is None else sdp.supports_trickle(description)

    # Configuration.

    def getConfiguration(self) -> RTCConfiguration:
        """Return a copy of the current configuration.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-getconfiguration
        """
        return self._core.configuration_in_force()

    @entry
    def setConfiguration(self, configuration: aiortc.RTCConfiguration | None = None) -> None:
        """Change the ICE servers and the ICE transport policy, from the next gathering.

        The next offer restarts ICE to use them. No `negotiationneeded` fires for that: call
        restartIce() to use them at once. If the configuration raises an error, nothing changes.

        Args:
            configuration: The new configuration; None for the default. Begin with
                getConfiguration(), and change its `iceServers` and `iceTransportPolicy`.

        Raises:
            InvalidStateError: The connection is closed.
            InvalidModificationError: Another field differs from the current configuration.
            IceServerSyntaxError: The URL of a server is malformed.
            InvalidAccessError: A TURN server lacks username or credential.
            TypeError: A value has the wrong type, or isn't one of its enum.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-setconfiguration
        """
        self._core.set_configuration(configuration)

    @staticmethod
    async def generateCertificate(
        keygenAlgorithm: str | Mapping[str, Any],
    ) -> aiortc.RTCCertificate:
        r"""Generate a certificate for `RTCConfiguration.certificates`.

        Args:
            keygenAlgorithm: An algorithm of Web Cryptography: `{"name": "ECDSA", "namedCurve":
                "P-256"}`, or `{"name": "RSASSA-PKCS1-v1_5", "modulusLength": 2048,
                "publicExponent": b"\x01\x00\x01", "hash": "SHA-256"}`. `expires`, in milliseconds,
                is for how long the certificate is valid: at most 365 days, and 30 by default.

        Raises:
            NotSupportedError: Another algorithm, or another value of its parameters.
            TypeError: `expires` isn't a number of milliseconds.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-generatecertificate
        """
        return await asyncio.to_thread(certificates.generate, keygenAlgorithm)

    # Negotiation.

    @entry
    def restartIce(self) -> None:
        """Request an ICE restart; returns at once.

        `negotiationneeded` fires, and the next offer restarts ICE. Media and data continue without
        interruption. The request is remembered until a restart has completed. The call has no
        effect before the first local description, or on a closed connection.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-restartice
        """
        self._core.restart.make()

    @entry
    async def createOffer(self, *, iceRestart: bool = False) -> RTCSessionDescription:
        """Create an offer.

        Args:
            iceRestart: Whether the offer restarts ICE, which it also does after restartIce().

        Raises:
            InvalidStateError: A remote offer waits for its answer, or the connection is closed.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-createoffer
        """
        core = self._core
        return await core.operations.run(
            lambda: core.offers.create_offer(ice_restart=iceRestart), core.offers.check_offering
        )

    @entry
    async def createAnswer(self) -> RTCSessionDescription:
        """Create an answer to the remote offer; it restarts ICE if the offer does.

        Raises:
            InvalidStateError: There is no remote offer, or the connection is closed.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-createanswer
        """
        core = self._core
        return await core.operations.run(core.offers.create_answer, core.offers.check_answering)

    @entry
    async def setLocalDescription(
        self, sessionDescription: RTCSessionDescription | None = None
    ) -> None:
        """Apply a created description; without one, create and apply an offer or answer.

        With a listener for `icecandidate`, candidates trickle: the call returns at once, and they
        follow as events. Without one, it returns when all candidates are gathered, as in aiortc,
        and the description contains them. A program may edit the candidates and bandwidth lines of
        the description before this call.

        Args:
            sessionDescription: The result of createOffer() or createAnswer(), a rollback, or None.

        Raises:
            InvalidStateError: The description doesn't fit the signaling state, or the connection is
                closed.
            InvalidModificationError: It isn't the last created description, or an edit of it.
            OperationError: No port of `IceSettings.port_range` is free.
            ValueError: The description is malformed.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-setlocaldescription
        """
        core = self._core
        core.local_candidates.hold()
        try:
            await core.operations.run(
                lambda: core.local_description.set(sessionDescription),
                lambda: core.local_description.check(sessionDescription),
            )
        finally:
            core.local_candidates.release_soon()

    @entry
    async def setRemoteDescription(self, sessionDescription: RTCSessionDescription) -> None:
        """Apply a description of the remote side. An offer rolls back a pending local offer.

        If the description raises an error, nothing changes.

        Args:
            sessionDescription: The peer's offer, answer, provisional answer or rollback.

        Raises:
            InvalidStateError: The description doesn't fit the signaling state, or the connection is
                closed.
            InvalidAccessError: It lacks media sections that were negotiated.
            ValueError: It is malformed; for a syntax error the message names the line. Or it has
                more than 2^20 characters, 65,536 lines or 500 media sections.
            OperationError: There is no codec in common.
            TypeError: The argument isn't an RTCSessionDescription.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-setremotedescription
        """
        core = self._core
        await core.operations.run(
            lambda: core.remote_description.set(sessionDescription),
            lambda: core.remote_description.check(sessionDescription),
        )

    @entry
    async def addIceCandidate(
        self, candidate: aiortc.RTCIceCandidate | Mapping[str, Any] | None
    ) -> None:
        """Add a candidate of the remote side.

        The candidate is added to the generation of its `usernameFragment`, or to the newest one if
        it has none. An empty `candidate` ends that generation; None ends those of all sections.

        Args:
            candidate: A candidate of aiortc or restartice, or a mapping in the browser's form.

        Raises:
            TypeError: The argument is none of these.
            ValueError: It has neither sdpMid nor sdpMLineIndex, or a field has the wrong type.
            CandidateSyntaxError: The candidate is malformed.
            OperationError: No media section or generation matches the candidate.
            InvalidStateError: The connection is closed, or there is no remote description, and
                the candidate has a `usernameFragment`, or is None.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-addicecandidate
        """
        added = checked(candidate)
        core = self._core
        await core.operations.run(
            lambda: core.remote_candidates.add(added),
            lambda: core.remote_candidates.check(added),
        )

    # Tracks and channels.

    @entry
    def addTrack(self, track: aiortc.MediaStreamTrack, *streams: MediaStream | str) -> RTCRtpSender:
        """Add a track to send to the remote peer.

        Uses a transceiver of its kind that has never sent, or else makes a new one.

        Args:
            track: The track.
            streams: The streams of the track, or their ids. Departure: without any, the track is in
                a stream that all tracks of the connection share, as in aiortc, because web pages
                rely on it; call `setStreams()` without arguments to remove it from there.

        Raises:
            InvalidAccessError: The track has a sender already.
            InvalidStateError: The connection is closed.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-addtrack
        """
        return self._core.local_tracks.add_track(track, streams)

    @entry
    def removeTrack(self, sender: aiortc.RTCRtpSender) -> None:
        """Stop sending a sender's track; its transceiver stays, and can still receive.

        Args:
            sender: A sender of this connection.

        Raises:
            InvalidAccessError: The sender belongs to another connection.
            InvalidStateError: The connection is closed.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-removetrack
        """
        self._core.local_tracks.remove_track(sender)

    @entry
    def addTransceiver(
        self,
        trackOrKind: aiortc.MediaStreamTrack | str,
        direction: str = "sendrecv",
        *,
        streams: Iterable[MediaStream | str] | None = None,
        sendEncodings: Iterable[RTCRtpEncodingParameters] | None = None,
    ) -> RTCRtpTransceiver:
        """Add a transceiver. It gets a section in our next offer, not one of a remote offer.

        Args:
            trackOrKind: The track to send, or `"audio"` or `"video"`.
            direction: The wanted direction.
            streams: The streams of the track, or their ids; None as for addTrack().
            sendEncodings: How to encode the track; only the first is used.

        Raises:
            InvalidAccessError: The track has a sender already.
            InvalidStateError: The connection is closed.
            RangeError: A limit of an encoding is out of its range.
            TypeError: The `rid` of an encoding is malformed.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-addtransceiver
        """
        return self._core.local_tracks.add_transceiver(
            trackOrKind, direction, streams, sendEncodings
        )

    def getTransceivers(self) -> list[RTCRtpTransceiver]:  # type: ignore[override]
        """Return the transceivers, except those whose stop has been negotiated.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-gettransceivers
        """
        return list(self._core.mask.transceivers)

    def getSenders(self) -> list[RTCRtpSender]:  # type: ignore[override]
        """Return the senders, except those whose transceiver's stop has been negotiated.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-getsenders
        """
        return [t.sender for t in self._core.mask.transceivers if not t._core.stopped]

    def getReceivers(self) -> list[RTCRtpReceiver]:  # type: ignore[override]
        """Return the receivers, except those whose transceiver's stop has been negotiated.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-getreceivers
        """
        return [t.receiver for t in self._core.mask.transceivers if not t._core.stopped]

    @entry
    def createDataChannel(  # noqa: PLR0917  aiortc's signature
        self,
        label: str,
        maxPacketLifeTime: int | None = None,
        maxRetransmits: int | None = None,
        ordered: bool = True,
        protocol: str = "",
        negotiated: bool = False,
        id: int | None = None,  # noqa: A002  the specification's name
    ) -> aiortc.RTCDataChannel:
        """Create a data channel.

        Args:
            label: Its name, of at most 65,535 bytes.
            maxPacketLifeTime: How many milliseconds after send() a message may still be sent or
                repeated; None for no limit.
            maxRetransmits: How often a message is repeated at most; None for no limit.
            ordered: Whether messages arrive in the order in which they were sent.
            protocol: The name of its protocol, of at most 65,535 bytes.
            negotiated: Whether both programs create it, with the same id. Otherwise it is announced
                to the peer.
            id: Its number, from 0 to 65,534, if `negotiated`; ignored otherwise, because the
                connection chooses it when the DTLS role is negotiated.

        Raises:
            InvalidStateError: The connection is closed.
            OperationError: The id is in use, or there is none left.
            TypeError: A name is too long, or an argument has the wrong type.
            ValueError: The arguments contradict each other, or a number is out of range.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-createdatachannel
        """
        core = self._core
        core.raise_if_closed()
        stream = id if negotiated else None
        check_parameters(
            {"label": label, "protocol": protocol},
            {"maxPacketLifeTime": maxPacketLifeTime, "maxRetransmits": maxRetransmits},
            stream,
        )
        core.data_channels.check_id(stream)
        with core.data_channels.sctp_if_needed():
            channel = super().createDataChannel(
                label, maxPacketLifeTime, maxRetransmits, ordered, protocol, negotiated, stream
            )
        core.add_channel(channel)
        return channel

    async def getStats(
        self, selector: aiortc.MediaStreamTrack | None = None
    ) -> aiortc.RTCStatsReport:
        """Return the statistics of the connection, or of the sender or receiver of a track.

        Besides aiortc's entries of RTP streams there are entries of the types `peer-connection`,
        `data-channel`, `codec` and `media-source`, and for each transport `transport`,
        `certificate`, `candidate-pair`, `local-candidate` and `remote-candidate`.

        Args:
            selector: A track with exactly one sender or receiver, or None for the connection.

        Raises:
            InvalidAccessError: The track has no sender or receiver, or more than one.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-getstats
        """
        if selector is None:
            report = await super().getStats()
            for stats in self._core.data_channels.statistics():
                report.add(stats)
            return with_transport_statistics(report, self._core.state.dtls_transports)
        return await track_statistics(selector, [*self.getSenders(), *self.getReceivers()])

    @entry
    async def close(self) -> None:
        """End ICE, tracks and channels. A running operation has no effect.

        The connection is closed at once. The call returns when its tasks have ended, and TURN
        servers have confirmed the release of their addresses, or `IceSettings.release_timeout` is
        over. Cancelling the call doesn't cancel the closing. If a part fails to end, this is
        logged, and the others end.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-close
        """
        await self._core.closing.run()
