"""RTCPeerConnection: aiortc's, with ICE restart and the negotiation rules of the specification."""

from collections.abc import Iterable, Mapping
from typing import Any

import aiortc
from aiortc import InvalidAccessError, RTCSessionDescription

from .configuration import RTCConfiguration, validated
from .events import Emitter
from .ice.candidate import checked
from .media.parameters import RTCRtpEncodingParameters, usable_encodings
from .media.receiver import RTCRtpReceiver
from .media.sender import RTCRtpSender
from .media.streams import MediaStream
from .media.transceiver import RTCRtpTransceiver
from .negotiation.core import Core
from .sdp import description as sdp
from .seam import HookedPeerConnection
from .settings import IceSettings
from .stats import transport_statistics
from .transports.dtls import RTCDtlsTransport

__all__ = ["RTCPeerConnection"]


class RTCPeerConnection(Emitter, HookedPeerConnection):
    """A WebRTC connection between the local computer and a remote peer.

    aiortc's, to be used in its place, with ICE restart: `restartIce()`, `createOffer(iceRestart=)`,
    and the `negotiationneeded` event.

    Events, beside aiortc's:

    - `negotiationneeded`, without payload. A listener that is a coroutine function begins in a
      later turn, when an offer may be coming in; it has to look at that and at `signalingState`.
    - `icecandidate`, with a candidate to be sent to the remote peer. One whose `candidate` is empty
      ends those of its generation; None says that all gathering is done, and needn't be sent.
    - `icecandidateerror`, with a `RTCPeerConnectionIceErrorEvent`.

    It belongs to the event loop in which it is used first. What changes it, or a transceiver,
    sender or channel of it, raises RuntimeError in other threads while that loop runs.

    Args:
        configuration: An optional `RTCConfiguration`.
        iceSettings: Timings of ICE.

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
        self._core = Core(self, iceSettings or IceSettings())

    # Descriptions.

    @property
    def currentLocalDescription(self) -> RTCSessionDescription | None:
        """The local description that was negotiated last, or None.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-currentlocaldescription
        """
        return sdp.render(self._core.all_descriptions().current_local)

    @property
    def pendingLocalDescription(self) -> RTCSessionDescription | None:
        """The local description that is being negotiated, or None.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-pendinglocaldescription
        """
        return sdp.render(self._core.all_descriptions().pending_local)

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
        return sdp.render(self._core.all_descriptions().current_remote)

    @property
    def pendingRemoteDescription(self) -> RTCSessionDescription | None:
        """The remote description that is being negotiated, or None.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-pendingremotedescription
        """
        return sdp.render(self._core.all_descriptions().pending_remote)

    @property
    def remoteDescription(self) -> RTCSessionDescription:
        """The pending remote description if there is one, else the current one, or None.

        As in aiortc the type doesn't mention None.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-remotedescription
        """
        return self.pendingRemoteDescription or self.currentRemoteDescription  # type: ignore[return-value]

    @property
    def canTrickleIceCandidates(self) -> bool | None:
        """Whether the remote side takes candidates one by one, or None before it has said so.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-cantrickleicecandidates
        """
        description = self._core.pending_remote or self._core.current_remote
        return None if description is None else sdp.supports_trickle(description)

    # Configuration.

    def getConfiguration(self) -> RTCConfiguration:
        """Return a copy of the configuration in force.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-getconfiguration
        """
        return self._core.configuration_in_force()

    def setConfiguration(self, configuration: aiortc.RTCConfiguration | None = None) -> None:
        """Change the ICE servers and the ICE transport policy, from the next gathering.

        A call that is connected goes on as it is, until restartIce() puts them to use. A
        configuration that can't be applied changes nothing.

        Raises:
            InvalidStateError: The connection is closed.
            InvalidModificationError: Something else differs from what is in force.
            IceServerSyntaxError: The URL of a server is malformed.
            InvalidAccessError: A TURN server lacks username or credential.
            TypeError: A value is none of those allowed.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-setconfiguration
        """
        self._core.home.check("setConfiguration()")
        self._core.set_configuration(configuration)

    # Negotiation.

    def restartIce(self) -> None:
        """Ask that ICE be restarted on both ends; returns at once.

        It causes `negotiationneeded`, and the next offer to be an ICE restart. What is being
        transmitted goes on without interruption. The request is remembered until a restart has
        completed. It has no effect before there is a local description, nor when closed.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-restartice
        """
        self._core.home.check("restartIce()")
        self._core.restart_ice()

    async def createOffer(self, *, iceRestart: bool = False) -> RTCSessionDescription:
        """Create an offer.

        Args:
            iceRestart: Whether the offer restarts ICE, which it also does after restartIce().

        Raises:
            InvalidStateError: There is a remote offer to be answered, or the connection is closed.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-createoffer
        """
        self._core.home.check("createOffer()")
        core = self._core
        return await core.operations.run(
            lambda: core.create_offer(ice_restart=iceRestart), core.check_offering
        )

    async def createAnswer(self) -> RTCSessionDescription:
        """Create an answer to the remote offer; it restarts ICE where the offer does.

        Raises:
            InvalidStateError: There is no remote offer, or the connection is closed.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-createanswer
        """
        self._core.home.check("createAnswer()")
        core = self._core
        return await core.operations.run(core.create_answer, core.check_answering)

    async def setLocalDescription(
        self, sessionDescription: RTCSessionDescription | None = None
    ) -> None:
        """Apply a description that was created, or create the fitting one if there is none given.

        If something listens to `icecandidate` when this is called, candidates trickle: it returns
        at once, and they follow as events. Otherwise it returns when they are gathered, as in
        aiortc, with all of them in the description. Its candidates and bandwidth lines may be
        edited between creation and this call.

        Raises:
            InvalidStateError: The description doesn't fit the signaling state.
            InvalidModificationError: It isn't the one that was created last.
            OperationError: None of the ports that `IceSettings` allows is free.
            ValueError: It is malformed.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-setlocaldescription
        """
        self._core.home.check("setLocalDescription()")
        core = self._core
        core.hold_candidates()
        try:
            await core.operations.run(
                lambda: core.set_local_description(sessionDescription),
                lambda: core.check_local(sessionDescription),
            )
        finally:
            core.release_candidates_soon()

    async def setRemoteDescription(self, sessionDescription: RTCSessionDescription) -> None:
        """Apply what the remote side sent. Rolls back an offer of ours if it is an offer, too.

        A description that fails leaves everything as it was.

        Raises:
            InvalidStateError: The description doesn't fit the signaling state.
            InvalidAccessError: It lacks media sections that were negotiated.
            ValueError: It is malformed; for a syntax error the message names the line. Or it has
                more than 2^20 characters, 65,536 lines or 500 media sections.
            OperationError: There is no codec in common.
            TypeError: It is no description.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-setremotedescription
        """
        self._core.home.check("setRemoteDescription()")
        core = self._core
        await core.operations.run(
            lambda: core.set_remote_description(sessionDescription),
            lambda: core.check_remote(sessionDescription),
        )

    async def addIceCandidate(
        self, candidate: aiortc.RTCIceCandidate | Mapping[str, Any] | None
    ) -> None:
        """Add a candidate that the remote side sent.

        It is used for the generation that its `usernameFragment` names, else for the newest. One
        whose `candidate` is empty ends those of that generation; None, those of all sections.

        Args:
            candidate: A candidate, aiortc's or restartice's, or the browser's form of one.

        Raises:
            TypeError: It is no candidate.
            ValueError: It has neither sdpMid nor sdpMLineIndex, or a field is of the wrong type.
            CandidateSyntaxError: It is malformed.
            OperationError: It belongs to no media section or generation.
            InvalidStateError: The connection is closed, or there is no remote description, and
                the candidate has a `usernameFragment`, or is None.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-addicecandidate
        """
        self._core.home.check("addIceCandidate()")
        added = checked(candidate)
        core = self._core
        await core.operations.run(
            lambda: core.add_ice_candidate(added), lambda: core.check_candidate(added)
        )

    # What an application adds.

    def addTrack(self, track: aiortc.MediaStreamTrack, *streams: MediaStream | str) -> RTCRtpSender:
        """Add a track to those which are sent to the remote peer.

        A transceiver of its kind that has never sent is used for it, or else a new one.

        Args:
            track: The track.
            streams: The streams to announce it in, or their ids. Departure: without any it is in
                one that all tracks of the connection share, as in aiortc, which browsers' pages
                rely on; `setStreams()` without arguments takes it out of that.

        Raises:
            InvalidAccessError: It is being sent already.
            InvalidStateError: The connection is closed.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-addtrack
        """
        self._core.home.check("addTrack()")
        return self._core.add_track(track, streams)

    def removeTrack(self, sender: aiortc.RTCRtpSender) -> None:
        """Stop sending a sender's track; its transceiver stays, and can still receive.

        Raises:
            InvalidAccessError: The sender is another connection's.
            InvalidStateError: The connection is closed.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-removetrack
        """
        self._core.home.check("removeTrack()")
        self._core.remove_track(sender)

    def addTransceiver(
        self,
        trackOrKind: aiortc.MediaStreamTrack | str,
        direction: str = "sendrecv",
        *,
        streams: Iterable[MediaStream | str] | None = None,
        sendEncodings: Iterable[RTCRtpEncodingParameters] | None = None,
    ) -> RTCRtpTransceiver:
        """Add a transceiver. A section that the remote side offers never is matched with it.

        Args:
            trackOrKind: What to send, or `"audio"` or `"video"`.
            direction: The direction that is wanted.
            streams: The streams to announce the track in, or their ids; None as for addTrack().
            sendEncodings: How to encode the track; only the first is used.

        Raises:
            InvalidAccessError: The track is being sent already.
            InvalidStateError: The connection is closed.
            TypeError: The `rid` of an encoding is malformed.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-addtransceiver
        """
        self._core.home.check("addTransceiver()")
        encodings = usable_encodings(sendEncodings)
        transceiver = self._core.add_transceiver(trackOrKind, direction, streams)
        transceiver.sender._core.encodings = encodings
        return transceiver

    def getTransceivers(self) -> list[RTCRtpTransceiver]:  # type: ignore[override]
        """Return the transceivers, but for those whose stop is negotiated.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-gettransceivers
        """
        return list(self._core.all_transceivers())

    def getSenders(self) -> list[RTCRtpSender]:  # type: ignore[override]
        """Return the senders of the transceivers whose stop isn't negotiated.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-getsenders
        """
        return [t.sender for t in self._core.all_transceivers() if not t._core.stopped]

    def getReceivers(self) -> list[RTCRtpReceiver]:  # type: ignore[override]
        """Return the receivers of the transceivers whose stop isn't negotiated.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-getreceivers
        """
        return [t.receiver for t in self._core.all_transceivers() if not t._core.stopped]

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
            label: Its name.
            maxPacketLifeTime: For how many milliseconds a message is sent again, or None for ever.
            maxRetransmits: How often a message is sent again, or None for ever.
            ordered: Whether messages arrive in the order in which they were sent.
            protocol: The name of the protocol that is spoken over it.
            negotiated: Whether both programs create it, with the same id, and neither announces it.
            id: Its number; None lets one be chosen.

        Raises:
            InvalidStateError: The connection is closed.
            ValueError: The arguments contradict each other.

        Spec: https://w3c.github.io/webrtc-pc/#dom-peerconnection-createdatachannel
        """
        self._core.home.check("createDataChannel()")
        core = self._core
        core.raise_if_closed()
        with core.sctp_if_needed():
            channel = super().createDataChannel(
                label, maxPacketLifeTime, maxRetransmits, ordered, protocol, negotiated, id
            )
        core.add_channel(channel)
        return channel

    async def getStats(
        self, selector: aiortc.MediaStreamTrack | None = None
    ) -> aiortc.RTCStatsReport:
        """Return statistics of the connection, or of what sends or receives a track.

        Beside aiortc's of RTP streams there are, for each transport, a `transport`, its
        `candidate-pair`s, and its `local-candidate`s and `remote-candidate`s.

        Raises:
            InvalidAccessError: None sends or receives the track, or more than one does.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-getstats
        """
        if selector is None:
            everything = await super().getStats()
            for transport in self._core.dtls_transports:
                assert isinstance(transport, RTCDtlsTransport)
                for stats in transport_statistics(transport):
                    everything.add(stats)
            return everything
        users: list[Any] = [*self.getSenders(), *self.getReceivers()]
        found = [user for user in users if user.track is selector]
        if len(found) != 1:
            raise InvalidAccessError(f"{len(found)} senders and receivers have the track")
        report: aiortc.RTCStatsReport = await found[0].getStats()
        return report

    async def close(self) -> None:
        """End ICE processing, streams and channels. An operation under way has no effect.

        It is closed at once; what is awaited is the end of its tasks, and that TURN servers have
        got their addresses back, or haven't answered within `IceSettings.release_timeout`. A caller
        that is cancelled doesn't cancel the closing. What fails to end is logged, and keeps nothing
        else open.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-close
        """
        self._core.home.check("close()")
        await self._core.closing.run()
