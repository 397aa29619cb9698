"""A peer that is libwebrtc, through the package wrtc. Its interface is the browser's."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import webrtc
from lines import Counter, Flow, Order, obey, tell

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

FRAME_RATE = 15
WIDTH, HEIGHT = 320, 240
AUDIO_RATE = 48000
STATES = ("signalingState", "iceGatheringState", "iceConnectionState", "connectionState")


class Connection:
    """One connection, and what the orders do to it."""

    def __init__(self, number: int) -> None:
        self.pc = pc = webrtc.RTCPeerConnection()
        self._number = number
        self._channel: Any = None
        self._flow = Flow()
        self._senders: dict[str, Any] = {}
        self._counters: dict[str, Counter] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        for state in STATES:
            event = state.lower() + "change"
            pc.on(event, lambda _, e=event, s=state: self._tell(event=e, state=str(getattr(pc, s))))
        pc.on("negotiationneeded", lambda _: self._tell(event="negotiationneeded"))
        pc.on("datachannel", lambda event: self._use(event.channel))
        pc.on("track", lambda event: self._watch(event.track))
        pc.on("icecandidate", self._candidate_gathered)

    async def channel(
        self,
        *,
        ordered: bool = True,
        maxRetransmits: int | None = None,  # noqa: N803  the browser's names
        maxPacketLifeTime: int | None = None,  # noqa: N803
        **_: Any,
    ) -> None:
        """Make a data channel."""
        given = {"max_retransmits": maxRetransmits, "max_packet_life_time": maxPacketLifeTime}
        options = {name: value for name, value in given.items() if value is not None}
        init = webrtc.RTCDataChannelInit(ordered=ordered, **options)
        self._use(self.pc.createDataChannel("interop", init))

    async def leave(self, **_: Any) -> None:
        """Close the data channel."""
        self._channel.close()

    async def buffered(self, **_: Any) -> Any:
        """Tell how many bytes wait in the data channel."""
        return self._channel.bufferedAmount

    async def flood(self, count: int, size: int, **_: Any) -> None:
        """Send so many numbered messages of so many bytes at once."""
        self._flow.flood(self._channel.send, count, size)

    async def transceiver(
        self, kind: str, direction: str, codec: str | None = None, **_: Any
    ) -> None:
        """Offer a section of audio or video without any track, and with one codec only if told."""
        init = webrtc.RTCRtpTransceiverInit(direction=direction)
        transceiver = self.pc.addTransceiver(kind, init)
        if codec is not None:
            codecs = webrtc.RTCRtpReceiver.getCapabilities(kind).codecs
            transceiver.setCodecPreferences([c for c in codecs if c.mimeType == codec])

    async def stop(self, index: int, **_: Any) -> None:
        """Stop a transceiver."""
        self.pc.getTransceivers()[index].stop()

    async def track(self, kind: str, **_: Any) -> None:
        """Send audio or video."""
        track = webrtc.MediaStreamTrackGenerator(kind)
        self._keep(write_frames(track) if kind == "video" else write_audio(track))
        self._senders[kind] = self.pc.addTrack(track)

    async def untrack(self, kind: str, **_: Any) -> None:
        """Stop sending it."""
        self.pc.removeTrack(self._senders.pop(kind))

    async def restart(self, **_: Any) -> None:
        """Ask for an ICE restart."""
        self.pc.restartIce()

    async def local(self, description: dict[str, str] | None = None, **_: Any) -> Any:
        """Set the local description, the fitting one if there is none given; return it."""
        given = description and webrtc.RTCSessionDescriptionInit(**description)
        await self.pc.setLocalDescription(*([given] if given else []))
        return described(self.pc.localDescription)

    async def remote(self, description: dict[str, str], **_: Any) -> None:
        """Set the remote description."""
        await self.pc.setRemoteDescription(webrtc.RTCSessionDescriptionInit(**description))

    async def candidate(self, candidate: dict[str, Any] | None, **_: Any) -> None:
        """Add a remote candidate."""
        given = candidate and webrtc.RTCIceCandidateInit(
            candidate=candidate["candidate"],
            sdp_mid=candidate["sdpMid"],
            sdp_m_line_index=candidate["sdpMLineIndex"],
            username_fragment=candidate["usernameFragment"],
        )
        await self.pc.addIceCandidate(given)

    async def send(self, text: str, **_: Any) -> None:
        """Send a message."""
        self._channel.send(text)

    async def flow(self, interval: float, **_: Any) -> None:
        """Send numbered messages every so many seconds; 0 ends that."""
        if interval:
            self._flow.begin(self._channel.send, interval)
        else:
            self._flow.end()

    async def flowed(self, **_: Any) -> Any:
        """Tell how many messages have come and gone, and the longest time without any."""
        return self._flow.take()

    async def media(self, **_: Any) -> Any:
        """Tell how many frames have been decoded, and the longest time without any."""
        return {kind: counter.take() for kind, counter in self._counters.items()}

    async def state(self, **_: Any) -> Any:
        """Tell all states."""
        return {state: str(getattr(self.pc, state)) for state in STATES}

    async def close(self, **_: Any) -> None:
        """Close the connection."""
        self._flow.end()
        self.pc.close()
        for task in self._tasks:
            task.cancel()

    def _tell(self, **values: Any) -> None:
        tell(pc=self._number, **values)

    def _candidate_gathered(self, event: Any) -> None:
        found = event.candidate
        self._tell(event="icecandidate", candidate=found and found.toJSON())

    def _use(self, channel: Any) -> None:
        self._channel = channel
        channel.on("message", lambda event: self._receive(event.data))
        channel.on("close", lambda _: self._tell(event="channel", state="closed"))
        if channel.readyState == "open":
            self._tell(event="channel", state="open")
        else:
            channel.on("open", lambda _: self._tell(event="channel", state="open"))

    def _receive(self, text: Any) -> None:
        if not self._flow.takes(text):
            self._tell(event="message", text=text)

    def _watch(self, track: Any) -> None:
        self._tell(event="track", kind=str(track.kind))
        counter = self._counters.setdefault(str(track.kind), Counter())
        if track.kind == "video":
            self._keep(count_frames(track, counter))
        else:
            self._keep(count_packets(self.pc, counter))

    def _keep(self, job: Any) -> None:
        task = asyncio.ensure_future(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def described(description: Any) -> Any:
    """Return a description as JSON."""
    return description and {"type": str(description.type), "sdp": description.sdp}


async def write_frames(track: Any) -> None:
    """Write small frames of changing brightness."""
    writer = track.writable.getWriter()
    number = 0
    while True:
        number += 1
        luma = bytes([number * 4 % 200 + 20]) * (WIDTH * HEIGHT)
        init = webrtc.VideoFrameBufferInit(
            format="I420",
            coded_width=WIDTH,
            coded_height=HEIGHT,
            timestamp=number * 1_000_000 // FRAME_RATE,
        )
        chroma = bytes([128]) * (WIDTH * HEIGHT // 2)
        await writer.write(webrtc.VideoFrame(luma + chroma, init))
        await asyncio.sleep(1 / FRAME_RATE)


async def write_audio(track: Any) -> None:
    """Write a square wave, 10 ms at a time."""
    writer = track.writable.getWriter()
    samples = AUDIO_RATE // 100
    wave = (b"\x00\x10" * 60 + b"\x00\xf0" * 60) * (samples // 120)
    number = 0
    start = asyncio.get_running_loop().time()
    while True:
        number += 1
        await writer.write(
            webrtc.AudioData(
                webrtc.AudioDataInit(
                    format="s16",
                    sample_rate=AUDIO_RATE,
                    number_of_frames=samples,
                    number_of_channels=1,
                    timestamp=number * 10_000,
                    data=wave,
                )
            )
        )
        await asyncio.sleep(start + number / 100 - asyncio.get_running_loop().time())


async def count_frames(track: Any, counter: Counter) -> None:
    """Count decoded frames."""
    reader = webrtc.MediaStreamTrackProcessor(
        webrtc.MediaStreamTrackProcessorInit(track=track)
    ).readable.getReader()
    while not (item := await reader.read()).done:
        counter.add()
        item.value.close()


async def count_packets(pc: Any, counter: Counter) -> None:
    """Count audio by its packets, because what is decoded goes on without any."""
    seen = 0
    while True:
        await asyncio.sleep(0.02)
        try:
            report = await pc.getStats()
        except ValueError:  # Its JSON is broken at times.
            continue
        for entry in report.values():
            if entry.type == "inbound-rtp" and entry.kind == "audio":
                received = entry.packetsReceived
                if received > seen:
                    seen = received
                    counter.add()


async def main() -> None:
    """Carry out orders."""
    connections: dict[int, Connection] = {}

    async def handle(order: Order) -> Any:
        what, number = order.pop("do"), order.pop("pc")
        if what == "new":
            connections[number] = Connection(number)
            return None
        act: Callable[..., Awaitable[Any]] = getattr(connections[number], what)
        return await act(**order)

    await obey(handle)
    for connection in connections.values():
        with suppress(Exception):
            await connection.close()


if __name__ == "__main__":
    asyncio.run(main())
