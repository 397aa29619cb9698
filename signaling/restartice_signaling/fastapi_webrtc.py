"""An engine of fastapi-webrtc whose connections restart ICE. It needs that package."""

from dataclasses import replace

from fastapi_webrtc.engine import EngineCapabilities, PeerConfig, PeerObserver, SessionDescription
from fastapi_webrtc.engines.aiortc import AiortcEngine, AiortcPeer

from restartice import RTCConfiguration, RTCIceServer, RTCPeerConnection

__all__ = ["RestartingEngine"]


class RestartingEngine(AiortcEngine):  # type: ignore[misc]  # it isn't installed here
    """fastapi-webrtc's engine for aiortc, with `restartice.RTCPeerConnection`.

    Its clients restart ICE when a path is lost, for which the sessions wait. Use it in place of
    `AiortcEngine`, with the same arguments.
    """

    @property
    def capabilities(self) -> EngineCapabilities:
        """What the engine tells its clients: that they may restart ICE."""
        return replace(super().capabilities, ice_restart=True)

    async def create_peer(self, config: PeerConfig, observer: PeerObserver) -> "_Peer":
        """Make a connection."""
        servers = [
            RTCIceServer(urls=list(s.urls), username=s.username, credential=s.credential)
            for s in config.ice_servers
        ]
        pc = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        return _Peer(pc, observer, self._codec_preferences)


class _Peer(AiortcPeer):  # type: ignore[misc]
    async def create_offer(self, *, ice_restart: bool = False) -> SessionDescription:
        if ice_restart:
            self.connection.restartIce()
        # The offer keeps the numbers that were negotiated, which the base class has to repair.
        self._apply_codec_preferences()
        return await self._apply_local(await self.connection.createOffer())
