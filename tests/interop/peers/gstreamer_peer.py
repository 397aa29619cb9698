"""GStreamer's webrtcbin as a peer, run by Debian's Python, whose certificate is RSA.

`gstreamer_peer.py --version` prints the version, and fails if something is missing.
"""

import asyncio
import importlib
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from lines import Counter, Flow, Order, obey, tell

STATES = {
    "signalingState": "signaling-state",
    "iceGatheringState": "ice-gathering-state",
    "iceConnectionState": "ice-connection-state",
    "connectionState": "connection-state",
}
# Video is as large and comes as often as that of the other peers.
SOURCES = {
    "video": "videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,"
    "framerate=15/1 ! queue ! vp8enc deadline=1 keyframe-max-dist=60 ! rtpvp8pay pt={pt} "
    "picture-id-mode=15-bit ! queue name=out",
    "audio": "audiotestsrc is-live=true wave=silence ! audioconvert ! audioresample ! queue ! "
    "opusenc ! rtpopuspay pt={pt} ! queue name=out",
}
CAPS = "application/x-rtp,media={kind},encoding-name={codec},payload={pt},clock-rate={rate}"
CODECS = {"video": ("VP8", 96, 90000), "audio": ("OPUS", 97, 48000)}
SINKS = {
    "video": "rtpvp8depay ! vp8dec ! fakesink name=sink sync=false async=false",
    "audio": "rtpopusdepay ! opusdec ! fakesink name=sink sync=false async=false",
}
# How long the other side may take to agree that a data channel is closed, in seconds.
CLOSING = 2.0
# How long a pipeline goes on after that, in seconds: webrtcbin says "closed" when its own stream is
# reset, and has still to answer that the other side resets its stream.
LINGERING = 2.0
ELEMENTS = (
    "webrtcbin nicesink dtlssrtpenc sctpenc vp8enc vp8dec opusenc opusdec rtpvp8pay rtpopuspay "
    "videotestsrc audiotestsrc audioconvert audioresample rtpbin srtpenc fakesink"
)


def load() -> tuple[Any, Any, Any]:
    """Return the modules of GStreamer."""
    gi = importlib.import_module("gi")
    names = ("Gst", "GstWebRTC", "GstSdp")
    for name in names:
        gi.require_version(name, "1.0")
    gst, webrtc, sdp = (importlib.import_module(f"gi.repository.{name}") for name in names)
    gst.init(None)
    lacking = [name for name in ELEMENTS.split() if gst.ElementFactory.find(name) is None]
    if lacking:
        raise ImportError(f"GStreamer lacks {', '.join(lacking)}")
    return gst, webrtc, sdp


class PeerError(Exception):
    """What webrtcbin says of an operation that has failed."""


class Connection:
    """One webrtcbin, and what the orders do to it. Its signals come in threads of its own."""

    def __init__(self, number: int, modules: tuple[Any, Any, Any]) -> None:
        self._gst, self._webrtc, self._sdp = modules
        self._number = number
        self._loop = asyncio.get_running_loop()
        self._channel: Any = None
        self._closed = asyncio.Event()
        self._wanted: list[str] = []
        self._flow = Flow()
        self._sources: dict[str, Any] = {}
        self._counters: dict[str, Counter] = {}
        self._pipeline = self._gst.Pipeline.new(None)
        self._bin = self._gst.ElementFactory.make("webrtcbin", None)
        self._bin.set_property("bundle-policy", self._webrtc.WebRTCBundlePolicy.MAX_BUNDLE)
        self._pipeline.add(self._bin)
        for state, name in STATES.items():
            self._bin.connect(f"notify::{name}", self._later(self._state_changed), state)
        self._bin.connect("on-negotiation-needed", self._later(self._negotiation_needed))
        self._bin.connect("on-ice-candidate", self._later(self._gathered))
        self._bin.connect("on-data-channel", self._later(self._got_channel))
        # There the pad has to be linked before it returns.
        self._bin.connect("pad-added", self._got_media)
        bus = self._pipeline.get_bus()
        bus.enable_sync_message_emission()
        for kind in ("error", "warning"):
            bus.connect(f"sync-message::{kind}", self._later(self._failed))
        self._pipeline.set_state(self._gst.State.PLAYING)

    async def channel(
        self,
        *,
        ordered: bool = True,
        maxRetransmits: int = -1,  # noqa: N803  the browser's names
        maxPacketLifeTime: int = -1,  # noqa: N803
        **_: Any,
    ) -> None:
        """Make a data channel."""
        options = (
            f"options, ordered=(boolean){str(ordered).lower()}, "
            f"max-retransmits=(int){maxRetransmits}, max-packet-lifetime=(int){maxPacketLifeTime}"
        )
        structure = self._gst.Structure.new_from_string(options)
        self._use(self._bin.emit("create-data-channel", "interop", structure))

    async def leave(self, **_: Any) -> None:
        """Close the data channel."""
        self._channel.emit("close")

    async def buffered(self, **_: Any) -> Any:
        """Tell how many bytes wait in the data channel."""
        return self._channel.get_property("buffered-amount")

    async def flood(self, count: int, size: int, **_: Any) -> None:
        """Send so many numbered messages of so many bytes at once."""
        self._flow.flood(lambda text: self._channel.emit("send-string", text), count, size)

    async def flow(self, interval: float, **_: Any) -> None:
        """Send numbered messages every so many seconds; 0 ends that."""
        if interval:
            self._flow.begin(lambda text: self._channel.emit("send-string", text), interval)
        else:
            self._flow.end()

    async def flowed(self, **_: Any) -> Any:
        """Tell how many messages have come and gone, and the longest time without any."""
        return self._flow.take()

    async def track(self, kind: str, **_: Any) -> None:
        """Send audio or video, from the next negotiation, which tells by which payload type."""
        self._wanted.append(kind)

    async def local(self, description: dict[str, str] | None = None, **_: Any) -> Any:
        """Set the local description, the fitting one if there is none given; return it."""
        if description is not None:
            return await self._set("local", description)
        offered = self._state("signalingState") == "have-remote-offer"
        kind = "answer" if offered else "offer"
        if not offered:
            self._send_wanted({})
        reply = await self._ask(f"create-{kind}", None)
        created = reply.get_value(kind)
        await self._set("local", {"type": kind, "sdp": created.sdp.as_text()})
        current = self._bin.get_property("local-description")
        return {"type": kind, "sdp": current.sdp.as_text()}

    async def remote(self, description: dict[str, str], **_: Any) -> None:
        """Set the remote description."""
        if description["type"] == "offer":
            self._send_wanted(payload_types(description["sdp"]))
        await self._set("remote", description)

    async def candidate(self, candidate: dict[str, Any] | None, **_: Any) -> None:
        """Add a remote candidate."""
        if candidate and candidate["candidate"]:
            index = candidate["sdpMLineIndex"]
            self._bin.emit("add-ice-candidate", index, candidate["candidate"])

    async def send(self, text: str, **_: Any) -> None:
        """Send a message."""
        self._channel.emit("send-string", text)

    async def media(self, **_: Any) -> Any:
        """Tell how many frames have been decoded, and the longest time without any."""
        return {kind: counter.take() for kind, counter in self._counters.items()}

    async def state(self, **_: Any) -> Any:
        """Tell all states."""
        return {state: self._state(state) for state in STATES}

    async def close(self, **_: Any) -> None:
        """Close the data channel, which is all that webrtcbin tells the other side, and stop."""
        self._flow.end()
        if self._channel is not None:
            self._channel.emit("close")
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSING):
                    await self._closed.wait()
        self._loop.call_later(LINGERING, self._stop)

    def _stop(self) -> None:
        self._loop.run_in_executor(None, self._pipeline.set_state, self._gst.State.NULL)

    # Descriptions.

    async def _set(self, side: str, description: dict[str, str]) -> None:
        kind = getattr(self._webrtc.WebRTCSDPType, description["type"].upper())
        text = description.get("sdp", "")
        _, message = self._sdp.SDPMessage.new_from_text(text)
        session = self._webrtc.WebRTCSessionDescription.new(kind, message)
        await self._ask(f"set-{side}-description", session)

    async def _ask(self, what: str, argument: Any) -> Any:
        promise = self._gst.Promise.new()
        self._bin.emit(what, argument, promise)
        await self._loop.run_in_executor(None, promise.wait)
        reply = promise.get_reply()
        if reply is not None and reply.has_field("error"):
            raise PeerError(reply.get_value("error").message)
        return reply

    # Media.

    def _send_wanted(self, payload_types: dict[str, int]) -> None:
        for kind in self._wanted:
            codec, pt, rate = CODECS[kind]
            pt = payload_types.get(codec, pt)
            source = self._gst.parse_bin_from_description(SOURCES[kind].format(pt=pt), True)
            self._pipeline.add(source)
            caps = self._gst.Caps.from_string(CAPS.format(kind=kind, codec=codec, pt=pt, rate=rate))
            template = self._bin.get_pad_template("sink_%u")
            pad = self._bin.request_pad(template, None, caps)
            # The source's own ones come too late for an offer.
            pad.get_property("transceiver").set_property("codec-preferences", caps)
            source.get_static_pad("src").link(pad)
            source.sync_state_with_parent()
            self._sources[kind] = source
        self._wanted.clear()

    def _got_media(self, _: Any, pad: Any) -> None:
        if pad.get_direction() != self._gst.PadDirection.SRC:
            return
        kind = pad.get_current_caps().get_structure(0).get_value("media")
        sink = self._gst.parse_bin_from_description(SINKS[kind], True)
        self._pipeline.add(sink)
        sink.sync_state_with_parent()
        pad.link(sink.get_static_pad("sink"))
        count = self._later(self._count)

        def probe(*_: Any) -> Any:
            count(None, kind)
            return self._gst.PadProbeReturn.OK

        counted = sink.get_by_name("sink").get_static_pad("sink")
        counted.add_probe(self._gst.PadProbeType.BUFFER, probe)
        self._later(self._tell_track)(None, kind)

    def _count(self, kind: str) -> None:
        self._counters.setdefault(kind, Counter()).add()

    def _tell_track(self, kind: str) -> None:
        self._counters.setdefault(kind, Counter())
        self._tell(event="track", kind=kind)

    # Events.

    def _later(self, act: Callable[..., None]) -> Callable[..., None]:
        """Return what lets the loop's thread act on a signal, without the signal's source."""

        def happen(_: Any, *arguments: Any) -> None:
            self._loop.call_soon_threadsafe(act, *arguments)

        return happen

    def _tell(self, **values: Any) -> None:
        tell(pc=self._number, **values)

    def _state(self, state: str) -> str:
        return str(self._bin.get_property(STATES[state]).value_nick)

    def _state_changed(self, _: Any, state: str) -> None:
        now = self._state(state)
        self._tell(event=state.lower() + "change", state=now)
        if state == "iceGatheringState" and now == "complete":
            self._tell(event="icecandidate", candidate=None)

    def _failed(self, message: Any) -> None:
        error, _ = getattr(message, f"parse_{message.type.first_value_nick}")()
        element = message.src.get_factory().get_name()
        self._tell(event="failure", element=element, text=error.message)
        if element == "sctpenc":
            # There is nobody to agree any more.
            self._closed.set()

    def _negotiation_needed(self) -> None:
        self._tell(event="negotiationneeded")

    def _gathered(self, index: int, candidate: str) -> None:
        value = {"candidate": candidate, "sdpMid": None, "sdpMLineIndex": index}
        self._tell(event="icecandidate", candidate=value)

    def _got_channel(self, channel: Any) -> None:
        self._use(channel)
        # One of ours can't be asked yet: its state has a value that the bindings don't know.
        self._channel_changed()

    def _use(self, channel: Any) -> None:
        self._channel = channel
        channel.connect("on-message-string", self._later(self._message))
        channel.connect("notify::ready-state", self._later(self._channel_changed))

    def _message(self, text: str) -> None:
        if not self._flow.takes(text):
            self._tell(event="message", text=text)

    def _channel_changed(self, *_: Any) -> None:
        state = self._channel.get_property("ready-state").value_nick
        self._tell(event="channel", state=state)
        if state == "closed":
            self._closed.set()


def payload_types(sdp: str) -> dict[str, int]:
    """Return the payload types of a description by codec, the first of each."""
    found: dict[str, int] = {}
    for number, codec in re.findall(r"^a=rtpmap:(\d+) (\w+)/", sdp, re.MULTILINE):
        found.setdefault(codec.upper(), int(number))
    return found


def main() -> None:
    """Carry out orders."""
    modules = load()
    if "--version" in sys.argv[1:]:
        print(".".join(map(str, modules[0].version()[:3])))
        return
    connections: dict[int, Connection] = {}

    async def handle(order: Order) -> Any:
        what, number = order.pop("do"), order.pop("pc")
        if what == "new":
            connections[number] = Connection(number, modules)
            return None
        act = getattr(connections[number], what, None)
        if act is None:
            raise PeerError(f"webrtcbin has no {what}")
        return await act(**order)

    asyncio.run(obey(handle))


if __name__ == "__main__":
    main()
