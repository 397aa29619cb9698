"""One of two peers, as a process: connects through a Negotiator, sends, and tells what happens.

Usage: `peer.py NAME URL OPTIONS`, with the options as JSON. Orders come as JSON lines on stdin,
events go out as JSON lines on stdout, each with the time, which is the same clock in all processes.
"""

import asyncio
import dataclasses
import inspect
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aioice.ice
import aiortc
from av import VideoFrame

from owntime import own_time
from restartice import (
    IceSettings,
    RTCConfiguration,
    RTCIceTransport,
    RTCIceTransportPolicy,
    RTCPeerConnection,
)
from restartice_signaling import Negotiator, WebSocketSignaling

MANAGEMENT = "192.168."
# Of 30 in a second, for each that is sent.
PICTURES_LEFT_OUT = 2


def tell(event: str, **values: Any) -> None:
    """Print an event, with its time and how long this process has waited for a processor."""
    now = time.monotonic()
    times = {"at": now, "waited": now - own_time()}
    print(json.dumps({**times, "event": event, **values}), flush=True)


class Silence:
    """The longest time between two messages: as it was, and without waiting for a processor."""

    def __init__(self) -> None:
        self._clocks = {"gap": time.monotonic, "silence": own_time}
        self._longest = dict.fromkeys(self._clocks, 0.0)
        self._since = {name: clock() for name, clock in self._clocks.items()}

    def end(self) -> None:
        """A message has come."""
        self._longest = self.longest()
        self._since = {name: clock() for name, clock in self._clocks.items()}

    def longest(self) -> dict[str, float]:
        """Return the longest ones, that of now included."""
        return {
            name: max(self._longest[name], clock() - self._since[name])
            for name, clock in self._clocks.items()
        }


class SmallVideo(aiortc.VideoStreamTrack):
    """Few and small pictures, so that many calls run at a time."""

    async def recv(self) -> VideoFrame:
        """Return the next picture."""
        pts = 0
        for _ in range(PICTURES_LEFT_OUT + 1):
            pts, time_base = await self.next_timestamp()
        frame = VideoFrame(width=160, height=120)
        frame.pts, frame.time_base = pts, time_base
        return frame


class Peer:
    """A connection with a data channel, on which numbered messages go both ways."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        self.pc = RTCPeerConnection(
            configuration(**options["configuration"]) if "configuration" in options else None,
            iceSettings=IceSettings(**options.get("ice", {})),
        )
        self.offers = name == "left"
        self.media = options.get("media", False)
        self.sent = 0
        self.received = 0
        self.in_order = True
        self.expected = -1
        self.notify_after = float("inf")
        self.frame_after = float("inf")
        self.flow_after = float("inf")
        self.silence = Silence()
        self.negotiator: Negotiator | None = None
        self._open = False
        self._channel: aiortc.RTCDataChannel | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._watch()
        if options.get("restart") == "application":
            self.pc.on("iceconnectionstatechange", self._restart_when_failed)

    def begin(self) -> None:
        """Ask for a connection, if this is the side that does so."""
        if self.offers:
            self._use(self.pc.createDataChannel("numbers"))
        if self.offers and self.media:
            self._add_media()

    def _watch(self) -> None:
        pc = self.pc
        states = ("iceConnectionState", "connectionState", "signalingState")
        for state in states:
            pc.on(state.lower() + "change", lambda s=state: tell(s, state=getattr(pc, s)))
        pc.on("datachannel", self._use)
        pc.on("track", self._receive_track)

    def _opened(self) -> None:
        # What is open when it is announced emits `open` after that.
        if self._open:
            return
        self._open = True
        tell("channel-open")
        transport = self._ice_transport()
        ufrag = None

        def tell_pair() -> None:
            nonlocal ufrag
            pair = transport.getSelectedCandidatePair()
            if pair is not None and pair.local.usernameFragment != ufrag:
                ufrag = pair.local.usernameFragment
                tell("switched", ufrag=ufrag)
            if pair is not None:
                tell("pair", local=pair.local.ip, remote=pair.remote.ip)

        transport.on("selectedcandidatepairchange", tell_pair)

    def _ice_transport(self) -> RTCIceTransport:
        assert self.pc.sctp is not None
        transport = self.pc.sctp.transport.transport
        assert isinstance(transport, RTCIceTransport)
        return transport

    def _restart_when_failed(self) -> None:
        # The program that MDN shows.
        if self.pc.iceConnectionState == "failed":
            self.pc.restartIce()

    def _use(self, channel: aiortc.RTCDataChannel) -> None:
        self._channel = channel
        channel.on("message", self._receive)
        channel.on("close", lambda: tell("channel-closed"))
        channel.on("open", self._opened)
        if channel.readyState == "open":
            self._opened()

    def _receive(self, message: str) -> None:
        number, sent_at = message.split()
        self.in_order = self.in_order and int(number) == self.received
        self.received += 1
        self.silence.end()
        if time.monotonic() > self.flow_after:
            self.flow_after = float("inf")
            tell("flow")
        if float(sent_at) > self.notify_after:
            self.notify_after = float("inf")
            tell("data", sent_at=float(sent_at))
        if self.received == self.expected:
            tell("all-received")

    def _receive_track(self, track: aiortc.MediaStreamTrack) -> None:
        if track.kind == "video" and self.media and not self.offers:
            self._add_media()
        self._in_background(self._consume(track))

    def _add_media(self) -> None:
        self.pc.addTrack(SmallVideo())
        if self.media != "video":
            self.pc.addTrack(aiortc.AudioStreamTrack())

    async def _consume(self, track: aiortc.MediaStreamTrack) -> None:
        first = True
        while True:
            try:
                await track.recv()
            except aiortc.MediaStreamError:
                tell("track-ended", kind=track.kind)
                return
            if first:
                tell("first", kind=track.kind)
            if track.kind != "video":
                first = False
                continue
            if first or time.monotonic() > self.frame_after:
                first, self.frame_after = False, float("inf")
                tell("frame")

    async def _send_numbers(self, interval: float) -> None:
        while self.pc.connectionState != "closed":
            self.send()
            await asyncio.sleep(interval)

    def send(self) -> None:
        """Send the next message."""
        assert self._channel is not None
        self._channel.send(f"{self.sent} {time.monotonic()}")
        self.sent += 1

    def _in_background(self, job: Awaitable[Any]) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # Orders.

    async def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """Carry an order out; return what to answer."""
        method: Callable[..., Any] = getattr(self, "do_" + order.pop("do"))
        answer = method(**order)
        return (await answer if inspect.isawaitable(answer) else answer) or {}

    def do_send(self, interval: float) -> None:
        """Send a message every so many seconds."""
        self._sending = self._in_background(self._send_numbers(interval))

    def do_stop_sending(self) -> dict[str, Any]:
        """Send no more."""
        self._sending.cancel()
        return {"sent": self.sent}

    def do_expect(self, count: int) -> None:
        """Tell when that many messages have been received in all."""
        self.expected = count
        if self.received == count:
            tell("all-received")

    def do_notify(self, after: float) -> None:
        """Tell what comes first after a time: a message, one that was sent then, a frame."""
        self.notify_after = self.frame_after = self.flow_after = after

    def do_listen(self) -> None:
        """Begin to measure how long no message comes, at most."""
        self.silence = Silence()

    def do_add_audio(self) -> None:
        """Send sound, too."""
        self.pc.addTrack(aiortc.AudioStreamTrack())

    def do_restart(self) -> None:
        """Restart ICE."""
        self.pc.restartIce()

    def do_stand_still(self, seconds: float) -> None:
        """Do nothing at all."""
        time.sleep(seconds)

    def do_configure(self, **description: Any) -> None:
        """Use other servers, or another policy."""
        self.pc.setConfiguration(configuration(**description))

    async def do_count_packets(self, kind: str) -> dict[str, Any]:
        """Tell how many packets of the other side's audio or video came, and how many are lost."""
        report = (await self.pc.getStats()).values()
        inbound = [s for s in report if s.type == "inbound-rtp" and s.kind == kind]
        return {
            "received": sum(stats.packetsReceived for stats in inbound),
            "lost": sum(stats.packetsLost for stats in inbound),
        }

    def do_report(self) -> dict[str, Any]:
        """Tell how things are."""
        transport = self._ice_transport()
        pair = transport.getSelectedCandidatePair()
        checked = transport._core.generations[0].connection.check_list
        return {
            "received": self.received,
            "in_order": self.in_order,
            "role": transport.role,
            "working": sum(p.state.name == "SUCCEEDED" for p in checked),
            **self.silence.longest(),
            "channel": None if self._channel is None else self._channel.readyState,
            "in_band": self.negotiator is not None and self.negotiator.in_band,
            "type": None if pair is None else pair.local.type,
            "local": None if pair is None else pair.local.ip,
            "remote": None if pair is None else pair.remote.ip,
        }


def configuration(
    servers: list[dict[str, str]] | None = None, policy: str = "all"
) -> RTCConfiguration:
    """Make a configuration of what JSON can say."""
    return RTCConfiguration(
        iceServers=[aiortc.RTCIceServer(**server) for server in servers or []],
        iceTransportPolicy=RTCIceTransportPolicy(policy),
    )


def hide_management_link() -> None:
    """Let ICE know of the links only, by what programs replace for that."""
    all_addresses = aioice.ice.get_host_addresses

    def addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        found = all_addresses(use_ipv4=use_ipv4, use_ipv6=use_ipv6)
        return [address for address in found if not address.startswith(MANAGEMENT)]

    aioice.ice.get_host_addresses = addresses


async def read_orders(peer: Peer) -> None:
    """Carry out what comes on stdin, until it ends."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        order = json.loads(line)
        number = order.pop("number")
        tell("done", order=number, **await peer.obey(order))


async def main(name: str, url: str, options: dict[str, Any]) -> None:
    """Run the peer."""
    for constant in ("CONSENT_FAILURES", "CONSENT_INTERVAL"):
        setattr(aioice.ice, constant, options.get(constant, getattr(aioice.ice, constant)))
    hide_management_link()
    peer = Peer(name, options)
    async with WebSocketSignaling(url, room="network", peer=name) as signaling:
        negotiator = Negotiator(
            peer.pc,
            signaling,
            recovery=options.get("restart") == "negotiator",
            on_restart=lambda event: tell(type(event).__name__, **dataclasses.asdict(event)),
            in_band=options.get("in_band", False),
        )
        peer.negotiator = negotiator
        peer.begin()
        async with negotiator:
            await read_orders(peer)
    await peer.pc.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))
