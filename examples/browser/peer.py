"""The Python end of a call with a browser: what a program does with restartice."""

import asyncio
import ssl
from contextlib import suppress
from typing import Any

from cuttable import CuttableLoop
from picture import Picture
from restartice import (
    IceSettings,
    MediaStreamError,
    MediaStreamTrack,
    Recorder,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceTransport,
    RTCPeerConnection,
)
from restartice_signaling import (
    Negotiator,
    PathSwitched,
    RestartEvent,
    RestartFailed,
    RestartStarted,
    SignalingError,
    WebSocketSignaling,
)

NAME = "python"
# How long the browser may take to connect, and to come back, in seconds.
PATIENCE = 60.0


class Peer:
    """Sends a picture, counts the frames that come, and does what the page asks for.

    What the page's buttons ask for comes by the signaling, which works without a path, too. The
    data channel carries nothing but what measures the round trip.
    """

    def __init__(
        self, url: str, room: str, token: str, settings: IceSettings, tls: ssl.SSLContext | None
    ) -> None:
        self._signaling = WebSocketSignaling(url, room=room, peer=NAME, token=token, ssl=tls)
        configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        self._pc = RTCPeerConnection(configuration, iceSettings=settings)
        self._news: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._changed = asyncio.Event()
        self._ice_state = "new"
        self._frames = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._videos = 0
        self._recorder = Recorder(None, on_update=self._tell_recorded)
        self._recorder.add(self._pc)

    async def run(self) -> None:
        """Answer the call, and stay until the browser is gone."""
        pc, signaling = self._pc, self._signaling
        try:
            with suppress(SignalingError):
                async with (
                    signaling,
                    Negotiator(
                        pc,
                        signaling,
                        on_custom=self._obey,
                        on_error=self._tell_error,
                        on_restart=self._tell_restart,
                    ),
                ):
                    self._set_up()
                    await self._wait_until_gone()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await pc.close()
            self._recorder.close()

    def _set_up(self) -> None:
        pc = self._pc
        pc.on("track", self._receive)
        for event in ("iceconnectionstatechange", "connectionstatechange"):
            pc.on(event, self._note_state)
        pc.addTrack(Picture())
        # Both sides make the same channel. A late message is useless, so none is repeated.
        pulse = pc.createDataChannel(
            "pulse", negotiated=True, id=0, ordered=False, maxRetransmits=0
        )
        pulse.on("message", lambda sent: pulse.send(f"{sent} {self._frames}"))
        self._ice.on("selectedcandidatepairchange", self._tell_pair)
        self._start(self._send_news())

    async def _wait_until_gone(self) -> None:
        """Return when the browser has closed the connection, or has been silent for long."""
        while self._pc.connectionState != "closed":
            lost = self._pc.connectionState != "connected"
            self._changed.clear()
            try:
                async with asyncio.timeout(PATIENCE if lost else None):
                    await self._changed.wait()
            except TimeoutError:
                return

    # What the browser sends.

    def _receive(self, track: MediaStreamTrack) -> None:
        if track.kind != "video":
            return
        self._videos += 1
        if self._videos == 1:
            self._start(self._count_frames(track))
        else:
            # The second one is sent back.
            self._pc.addTrack(track)
            self._tell("video", "sends the added video back")

    async def _count_frames(self, track: MediaStreamTrack) -> None:
        with suppress(MediaStreamError):
            while True:
                await track.recv()
                self._frames += 1

    # What the page asks for.

    def _obey(self, order: object) -> None:
        if order == "restart":
            self._tell("restart", "restartIce()")
            self._pc.restartIce()
        elif order == "cut":
            self._cut()

    def _cut(self) -> None:
        """Let the socket in use lose all packets, in both directions, from now on."""
        pair = self._ice.getSelectedCandidatePair()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CuttableLoop)
        if pair is None:
            self._tell("cut", "has no path that could be cut")
            return
        loop.cut((pair.local.ip, pair.local.port))
        self._tell("cut", f"drops all packets on {pair.local.ip}:{pair.local.port}")

    # What the page is told.

    @property
    def _ice(self) -> RTCIceTransport:
        assert self._pc.sctp is not None
        ice = self._pc.sctp.transport.transport
        assert isinstance(ice, RTCIceTransport)
        return ice

    def _note_state(self) -> None:
        self._changed.set()
        state = self._pc.iceConnectionState
        if state != self._ice_state:
            self._ice_state = state
            self._tell("state", f"ICE {state}", ice=state)

    def _tell_pair(self) -> None:
        pair = self._ice.getSelectedCandidatePair()
        if pair is not None:
            local, remote = pair.local, pair.remote
            where = f"{local.ip}:{local.port} to {remote.ip}:{remote.port}"
            self._tell("pair", f"sends from {where}")

    def _tell_restart(self, event: RestartEvent) -> None:
        if isinstance(event, RestartStarted):
            if event.reason != "requested":
                self._tell("restart", f"restarts ICE by itself: {event.reason}")
        elif isinstance(event, PathSwitched):
            ms = round(1000 * event.silence)
            self._tell("switched", f"went over to another path after {ms} ms: {event.reason}")
        elif isinstance(event, RestartFailed):
            self._tell("restart", f"restart failed: {event.reason}")
        else:
            ms = round(1000 * event.seconds)
            self._tell("restarted", f"restarted in {ms} ms", ms=ms)

    def _tell_recorded(self, _: int, time: float, kind: str, details: Any) -> None:
        self._news.put_nowait({"event": "recorded", "time": time, "type": kind, "details": details})

    def _tell_error(self, error: Exception) -> None:
        self._tell("error", f"{type(error).__name__}: {error}")

    def _tell(self, event: str, text: str, **more: str | int) -> None:
        self._news.put_nowait({"event": event, "text": text, **more})

    async def _send_news(self) -> None:
        await self._signaling.wait_for_peer()
        while True:
            await self._signaling.send_custom(await self._news.get())

    def _start(self, job: Any) -> None:
        self._tasks.append(asyncio.create_task(job))
