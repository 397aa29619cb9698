"""One peer of the call: it sends, receives, and reports.

Started by two_peers.py as a process of its own: it prints one JSON object per line, events and in
the end its report, and ends when its standard input is closed.
"""

import asyncio
import gc
import hashlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiortc.contrib.media import MediaBlackhole, MediaPlayer
from av import VideoFrame

from call_media import CountedVideo, Pace, Tone, read_number
from call_report import PairChange, PeerReport
from restartice import (
    IceSettings,
    MediaStreamError,
    MediaStreamTrack,
    RTCConfiguration,
    RTCIceTransport,
    RTCPeerConnection,
)
from restartice_signaling import Negotiator, SignalingError, WebSocketSignaling

MESSAGE_INTERVAL = 0.005
DONE = "done "
COUNTED = "counted"
THROUGH = "through "
CUTS = 2
# How long each step may take, in seconds. The machine may be busy.
PATIENCE = 60.0
POLL = 0.05
# A pause of this program that lasts longer than this is noted, in seconds.
STALL = 1.0

Tell = Callable[[dict[str, Any]], None]


class PeerGoneError(Exception):
    """The other peer can't be reached, or has left."""


@dataclass(frozen=True)
class CallOptions:
    """The settings of a call. Times are in seconds."""

    seconds: float = 20.0
    restarts: int = 6
    play: str | None = None
    webcam: str | None = None
    loopback: bool = False
    # Whether links are cut during the call. The signaling has ended before, so nothing can be
    # negotiated.
    cut: bool = False

    @property
    def quiet_seconds(self) -> float:
        """The time before the first restart, for comparison."""
        return self.seconds * 0.35

    @property
    def steps(self) -> int:
        """The number of restarts or cuts during the call."""
        return CUTS if self.cut else self.restarts

    def restart_times(self, turn: int) -> list[float]:
        """Return when the peer whose turn comes first (0) or second (1) restarts ICE, at least."""
        busy = self.seconds - self.quiet_seconds - 1
        step = busy / (self.restarts + 1)
        start = self.quiet_seconds + 0.5
        return [start + (n + 1) * step for n in range(self.restarts) if n % 2 == turn]


class Call:
    """One peer's side of the call."""

    def __init__(self, name: str, turn: int, options: CallOptions, tell: Tell) -> None:
        self.report = PeerReport(
            name,
            frames_counted=not (options.play or options.webcam),
            track_expected=turn == 1 and not options.cut,
        )
        self._turn = turn
        self._options = options
        self._tell = tell
        self._pc = RTCPeerConnection(
            RTCConfiguration(iceServers=[]),
            iceSettings=IceSettings(loopback_candidates=options.loopback),
        )
        self._start = 0.0
        self._player: MediaPlayer | None = None
        self._black_hole = MediaBlackhole()
        self._tasks: list[asyncio.Task[None]] = []
        self._remote_done = asyncio.Event()
        self._remote_counted = asyncio.Event()
        # How many restarts or cuts the other peer has gone through, and whether all is sent.
        self._remote_steps = 0
        self._sent_all = False
        self._video: CountedVideo | None = None
        self._audio_tracks = self._audio_tracks_before = 0

    @property
    def _quiet(self) -> bool:
        return time.monotonic() < self._start + self._options.quiet_seconds

    async def run(self, url: str) -> PeerReport:
        """Call the other peer through the signaling server; report when the call is over."""
        signaling = WebSocketSignaling(url, room="two-peers", peer=self.report.peer)
        self._signaling = signaling
        try:
            async with signaling, Negotiator(self._pc, signaling):
                await self._set_up()
                await self._wait(
                    self._opened, f"the other peer didn't connect within {PATIENCE:g} seconds"
                )
                await self._talk()
        finally:
            await self._hang_up()
        return self.report

    async def _wait(self, event: asyncio.Event, otherwise: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await event.wait()
        except TimeoutError:
            raise PeerGoneError(otherwise) from None

    async def _set_up(self) -> None:
        pc = self._pc
        pc.on("track", self._receive)
        for event in ("signalingstatechange", "iceconnectionstatechange", "connectionstatechange"):
            pc.on(event, self._tell_states)
        pc.on("iceconnectionstatechange", self._count_losses)
        for track in self._media():
            pc.addTrack(track)
        # Both sides make the same channel, and both make an offer at the same time: that is glare,
        # which perfect negotiation is for.
        self._channel = pc.createDataChannel("numbers", negotiated=True, id=0)
        self._opened = asyncio.Event()
        self._channel.on("open", self._opened.set)
        self._channel.on("message", self._take_message)
        self._channel.on("close", self._remote_counted.set)
        if self._channel.readyState == "open":
            self._opened.set()

    def _media(self) -> list[MediaStreamTrack]:
        options = self._options
        if options.play or options.webcam:
            webcam_format = "v4l2" if options.webcam else None
            self._player = MediaPlayer(options.play or options.webcam, format=webcam_format)
            return [track for track in (self._player.video, self._player.audio) if track]
        self._video = CountedVideo()
        return [self._video, Tone()]

    async def _talk(self) -> None:
        options = self._options
        # All objects so far stay. The garbage collector shouldn't look at them again, because the
        # call would pause meanwhile.
        gc.collect()
        gc.freeze()
        self._start = time.monotonic()
        self._audio_tracks_before = self._audio_tracks
        self._watch_transports()
        self._tasks += [
            asyncio.create_task(step)
            for step in (self._send_messages(), self._tell_every_second(), self._restart())
        ]
        if self._turn == 0 and not options.cut:
            await self._until(options.quiet_seconds)
            self._pc.addTrack(Tone())
            self._tell({"event": "track", "text": "adds an audio track"})
        await self._until(options.seconds)
        await self._until_through(options.steps)
        self._sent_all = True
        self._channel.send(f"{DONE}{self.report.messages_sent}")
        await self._wait(self._remote_done, "the other peer has gone silent in mid-call")
        await self._finish()
        # A closed connection has nothing left to count.
        if self._channel.readyState == "open":
            self._channel.send(COUNTED)
            await self._wait(self._remote_counted, "the other peer has gone silent at the end")

    async def _until(self, seconds: float) -> None:
        while (left := self._start + seconds - time.monotonic()) > 0:
            self._check_company()
            await asyncio.sleep(min(left, 0.5))

    async def _until_through(self, steps: int) -> None:
        """Return when both peers have gone through so many restarts or cuts, or are too slow.

        Else a restart would begin in the midst of another one, when the machine is busy, and the
        call would end before the last.
        """
        reached, deadline = -1, 0.0
        while (done := min(self._steps, self._remote_steps)) < steps:
            if done > reached:
                reached, deadline = done, time.monotonic() + PATIENCE
            elif time.monotonic() > deadline:
                return
            self._check_company()
            await asyncio.sleep(POLL)

    @property
    def _steps(self) -> int:
        return self.report.moves if self._options.cut else self.report.generations - 1

    def _check_company(self) -> None:
        has_left = self._pc.connectionState == "closed" or not self._signaling.peers
        if has_left and not self._remote_done.is_set():
            raise PeerGoneError("the other peer has left in mid-call")

    async def _send_messages(self) -> None:
        pace = Pace(MESSAGE_INTERVAL)
        last = time.monotonic()
        while not self._sent_all:
            now = time.monotonic()
            if now - last > STALL:
                self.report.stalls.append((last, now))
            last = now
            self._channel.send(str(self.report.messages_sent))
            self.report.messages_sent += 1
            await pace.wait()

    async def _restart(self) -> None:
        for place, moment in enumerate(self._options.restart_times(self._turn)):
            await self._until(moment)
            await self._until_through(2 * place + self._turn)
            self.report.restarts.append(time.monotonic())
            self._tell({"event": "restart", "text": "restartIce()"})
            self._pc.restartIce()

    async def _finish(self) -> None:
        """Count the losses, after the last packet has arrived."""
        for sender in self._pc.getSenders():
            sender.replaceTrack(None)
        # No event follows the last packet, but the path has hardly any delay.
        await asyncio.sleep(1)
        for stats in (await self._pc.getStats()).values():
            if stats.type == "inbound-rtp":
                self.report.rtp_received += stats.packetsReceived
                self.report.rtp_lost += stats.packetsLost
        if self._video is not None:
            self.report.frames_sent = self._video.sent
        self.report.track_added = self._audio_tracks > self._audio_tracks_before

    async def _hang_up(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._black_hole.stop()
        await self._pc.close()

    # What happens.

    def _take_message(self, message: str) -> None:
        if message.startswith(DONE):
            self.report.messages_announced = int(message.removeprefix(DONE))
            self._remote_done.set()
        elif message.startswith(THROUGH):
            self._remote_steps = int(message.removeprefix(THROUGH))
        elif message == COUNTED:
            self._remote_counted.set()
        else:
            self.report.messages.add(int(message), time.monotonic(), quiet=self._quiet)

    def _receive(self, track: MediaStreamTrack) -> None:
        if track.kind == "video":
            self._tasks.append(asyncio.create_task(self._count_frames(track)))
        else:
            self._audio_tracks += 1
            self._tasks.append(asyncio.create_task(self._drain(track)))

    async def _count_frames(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            assert isinstance(frame, VideoFrame)
            number = read_number(frame) if self.report.frames_counted else None
            if self._start:
                self.report.frames.add(number, time.monotonic(), quiet=self._quiet)

    async def _drain(self, track: MediaStreamTrack) -> None:
        self._black_hole.addTrack(track)
        await self._black_hole.start()

    def _watch_transports(self) -> None:
        sctp = self._pc.sctp
        assert sctp is not None
        dtls = sctp.transport
        dtls.on("statechange", lambda: self._count_handshake(dtls.state))
        # The first one is over when the data channel is open.
        self.report.dtls_handshakes = 1
        ice = dtls.transport
        assert isinstance(ice, RTCIceTransport)
        ice.on("selectedcandidatepairchange", lambda: self._note_pair(ice))
        self._note_pair(ice)

    def _count_handshake(self, state: str) -> None:
        self.report.dtls_handshakes += state == "connecting"

    def _note_pair(self, ice: RTCIceTransport) -> None:
        pair = ice.getSelectedCandidatePair()
        if pair is None:
            self._tell({"event": "pair", "text": "has lost its path"})
            return
        password = ice.getLocalParameters().password or ""
        change = PairChange(
            time=time.monotonic(),
            ufrag=pair.local.usernameFragment or "",
            credentials=hashlib.sha256(password.encode()).hexdigest()[:16],
            local_port=pair.local.port,
            remote_port=pair.remote.port,
        )
        self.report.pair_changes.append(change)
        if self._channel.readyState == "open":
            self._channel.send(f"{THROUGH}{self._steps}")
        local, remote = pair.local, pair.remote
        self._tell(
            {
                "event": "pair",
                "local": local.ip,
                "text": f"sends as {change.ufrag} on {local.ip}:{local.port} -> "
                f"{remote.ip}:{remote.port}",
            }
        )

    def _count_losses(self) -> None:
        if self._pc.iceConnectionState in {"disconnected", "failed"}:
            self.report.losses.append(time.monotonic())

    def _tell_states(self) -> None:
        pc = self._pc
        states = f"signaling {pc.signalingState}, ICE {pc.iceConnectionState}"
        self._tell({"event": "state", "text": f"{states}, connection {pc.connectionState}"})

    async def _tell_every_second(self) -> None:
        pace = Pace(1)
        frames = messages = 0
        while True:
            await pace.wait()
            arrivals = self.report.frames
            new_frames = arrivals.received + arrivals.unreadable - frames
            new_messages = self.report.messages.received - messages
            frames, messages = frames + new_frames, messages + new_messages
            text = f"{new_frames} frames and {new_messages} messages received in a second"
            self._tell({"event": "second", "text": text})


def print_line(event: dict[str, Any]) -> None:
    """Send an event to the parent process."""
    print(json.dumps(event), flush=True)


async def run_as_child(name: str, turn: int, url: str, options: CallOptions) -> int:
    """Run the peer until the call is over or the parent ends; return the exit status."""
    loop = asyncio.get_running_loop()
    parent_gone = asyncio.Event()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def watch_parent() -> None:
        await reader.read()
        parent_gone.set()

    call = asyncio.create_task(Call(name, turn, options, print_line).run(url))
    watch = asyncio.create_task(watch_parent())
    await asyncio.wait([call, watch], return_when=asyncio.FIRST_COMPLETED)
    if not call.done():
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        return 1
    watch.cancel()
    try:
        report = call.result()
    except (PeerGoneError, SignalingError) as error:
        print_line({"event": "error", "text": f"gives up: {error}"})
        return 1
    print_line({"event": "report", "report": report.to_json()})
    return 0
