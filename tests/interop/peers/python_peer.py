"""A peer that is restartice, or plain aiortc: `python_peer.py restartice|aiortc`."""

import asyncio
import fractions
import importlib
import logging
import os
import sys
from typing import TYPE_CHECKING, Any

import aiortc
import av
from aiortc.sdp import candidate_from_sdp
from cryptography.hazmat.primitives.asymmetric import rsa
from lines import Counter, Flow, Order, obey, tell

import restartice

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

FRAME_RATE = 15
STATES = ("signalingState", "iceGatheringState", "iceConnectionState", "connectionState")


class Picture(aiortc.MediaStreamTrack):
    """Small frames with a bar that moves."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._number = 0
        self._start: float | None = None

    async def recv(self) -> av.VideoFrame:
        """Return the next frame when its time has come."""
        loop = asyncio.get_running_loop()
        self._start = loop.time() if self._start is None else self._start
        self._number += 1
        await asyncio.sleep(self._start + self._number / FRAME_RATE - loop.time())
        frame = av.VideoFrame(320, 240, "gray")
        line = bytes(
            255 if abs(x - self._number * 4 % 320) < 8 else 64
            for x in range(frame.planes[0].line_size)
        )
        frame.planes[0].update(line * 240)
        frame = frame.reformat(format="yuv420p")
        frame.pts, frame.time_base = (
            self._number * 90000 // FRAME_RATE,
            fractions.Fraction(1, 90000),
        )
        return frame


class Connection:
    """One connection of the class under test, and what the orders do to it."""

    def __init__(self, number: int, pc: Any) -> None:
        self.pc = pc
        self._number = number
        self._channel: Any = None
        self._reading = asyncio.Event()
        self._flow = Flow()
        self._senders: dict[str, Any] = {}
        self._counters: dict[str, Counter] = {}
        self._frames: dict[Any, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        for state in STATES:
            event = state.lower() + "change"
            pc.on(event, lambda e=event, s=state: self._tell(event=e, state=getattr(pc, s)))
        pc.on("negotiationneeded", lambda: self._tell(event="negotiationneeded"))
        pc.on("datachannel", self._use)
        pc.on("track", self._watch)
        pc.on("icecandidate", self._candidate_gathered)

    async def channel(self, **options: Any) -> None:
        """Make a data channel, with the options of createDataChannel()."""
        options.pop("number", None)  # of the order
        self._use(self.pc.createDataChannel("interop", **options))

    async def leave(self, **_: Any) -> None:
        """Close the data channel."""
        self._channel.close()

    async def buffered(self, **_: Any) -> Any:
        """Tell how many bytes wait in the data channel."""
        return self._channel.bufferedAmount

    async def pause(self, **_: Any) -> None:
        """Read nothing more of the data channel until `resume`."""
        self._reading.clear()
        self._channel.remove_listener("message", self._receive)
        self._channel.on("message", self._receive_later)

    async def resume(self, **_: Any) -> None:
        """Read on."""
        self._reading.set()

    async def flood(self, count: int, size: int, **_: Any) -> None:
        """Send so many numbered messages of so many bytes at once."""
        self._flow.flood(self._channel.send, count, size)

    async def transceiver(self, kind: str, direction: str, **_: Any) -> None:
        """Offer a section of audio or video without any track."""
        self.pc.addTransceiver(kind, direction=direction)

    async def track(self, kind: str, **_: Any) -> None:
        """Send audio or video."""
        track = Picture() if kind == "video" else aiortc.AudioStreamTrack()
        self._senders[kind] = self.pc.addTrack(track)

    async def untrack(self, kind: str, **_: Any) -> None:
        """Stop sending it."""
        self.pc.removeTrack(self._senders.pop(kind))

    async def restart(self, **_: Any) -> None:
        """Ask for an ICE restart."""
        self.pc.restartIce()

    async def local(self, description: dict[str, str] | None = None, **_: Any) -> Any:
        """Set the local description, the fitting one if there is none given; return it."""
        if description is None:
            await self.pc.setLocalDescription()
        else:
            await self.pc.setLocalDescription(session(description))
        return self._described(self.pc.localDescription)

    async def offer(self, **_: Any) -> Any:
        """Create an offer that restarts ICE."""
        return self._described(await self.pc.createOffer(iceRestart=True))

    async def remote(self, description: dict[str, str], **_: Any) -> None:
        """Set the remote description."""
        await self.pc.setRemoteDescription(session(description))

    async def candidate(self, candidate: dict[str, Any] | None, **_: Any) -> None:
        """Add a remote candidate."""
        plain = not hasattr(self.pc, "restartIce")
        await self.pc.addIceCandidate(plain_candidate(candidate) if plain else candidate)

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

    async def frames(self, **_: Any) -> Any:
        """Tell how many frames of each track have been decoded."""
        return list(self._frames.values())

    async def state(self, **_: Any) -> Any:
        """Tell all states, and whose candidates are in use."""
        states = {state: getattr(self.pc, state) for state in STATES}
        remote = self.pc.remoteDescription
        ended = remote is not None and "a=end-of-candidates" in remote.sdp
        return {**states, **transport_state(self.pc), "remoteEnded": ended}

    async def sent(self, **_: Any) -> Any:
        """Tell how many packets of each track have been sent."""
        report = await self.pc.getStats()
        return [entry.packetsSent for entry in report.values() if entry.type == "outbound-rtp"]

    async def close(self, **_: Any) -> None:
        """Close the connection."""
        self._flow.end()
        await self.pc.close()

    def _tell(self, **values: Any) -> None:
        tell(pc=self._number, **values)

    def _described(self, description: Any) -> Any:
        return description and {"type": description.type, "sdp": description.sdp}

    def _candidate_gathered(self, candidate: Any) -> None:
        value = None if candidate is None else candidate.toJSON()
        self._tell(event="icecandidate", candidate=value)

    def _use(self, channel: Any) -> None:
        self._channel = channel
        channel.on("message", self._receive)
        channel.on("close", lambda: self._tell(event="channel", state="closed"))
        if channel.readyState == "open":
            self._tell(event="channel", state="open")
        else:
            channel.on("open", lambda: self._tell(event="channel", state="open"))

    def _receive(self, text: Any) -> None:
        if not self._flow.takes(text):
            self._tell(event="message", text=text)

    async def _receive_later(self, text: Any) -> None:
        await self._reading.wait()
        self._receive(text)

    def _watch(self, track: Any) -> None:
        self._tell(event="track", kind=track.kind)
        task = asyncio.ensure_future(self._count(track))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _count(self, track: Any) -> None:
        counter = self._counters.setdefault(track.kind, Counter())
        self._frames.setdefault(track, 0)
        try:
            while True:
                await track.recv()
                self._frames[track] += 1
                counter.add()
        except aiortc.MediaStreamError:
            self._tell(event="ended", kind=track.kind)


def session(description: dict[str, str]) -> aiortc.RTCSessionDescription:
    """Return a description in aiortc's form."""
    return aiortc.RTCSessionDescription(description.get("sdp", ""), description["type"])


def plain_candidate(candidate: dict[str, Any] | None) -> aiortc.RTCIceCandidate | None:
    """Return a candidate in aiortc's form, which has none for the end of a generation's."""
    if not candidate or not candidate["candidate"]:
        return None
    found = candidate_from_sdp(candidate["candidate"].removeprefix("candidate:"))
    found.sdpMid, found.sdpMLineIndex = candidate["sdpMid"], candidate["sdpMLineIndex"]
    return found


def transport_state(pc: Any) -> dict[str, Any]:
    """Return what only restartice tells: which generation sends, and the remote candidates.

    Of aiortc, return how many checks it has cancelled when another pair was nominated: it checks
    these pairs never again, and can't move to them.
    """
    users = [*(t.receiver for t in pc.getTransceivers()), *([pc.sctp] if pc.sctp else [])]
    if not users:
        return {}
    transport = users[0].transport.transport
    if not hasattr(transport, "getSelectedCandidatePair"):
        pairs = transport._connection._check_list
        return {"cancelledChecks": sum(p.state is p.State.IN_PROGRESS for p in pairs)}
    pair = transport.getSelectedCandidatePair()
    return {
        "ufrag": transport.getLocalParameters().usernameFragment,
        "sendingUfrag": pair and pair.local.usernameFragment,
        "sendingTo": pair and pair.remote.ip,
        "role": transport.role,
        "remoteCandidates": [c.ip for c in transport.getRemoteCandidates()],
        "dtls": users[0].transport.state,
        "interleaves": pc.sctp is not None and pc.sctp._core.interleaves,
        "certificate": certificate_kind(users[0].transport._core.tls),
    }


def certificate_kind(tls: Any) -> str | None:
    """Return the kind of the key in the certificate of the other side, or None if there is none."""
    certificate = tls and tls.get_peer_certificate(as_cryptography=True)
    if certificate is None:
        return None
    return "RSA" if isinstance(certificate.public_key(), rsa.RSAPublicKey) else "EC"


def main() -> None:
    """Carry out orders."""
    if path := os.environ.get("INTEROP_LOG"):
        logging.basicConfig(
            level=logging.DEBUG,
            format="%(asctime)s %(name)s %(message)s",
            filename=f"{path}-{sys.argv[1]}",
        )
    nowhere = aiortc.RTCConfiguration(iceServers=[])
    peer_connection: Callable[..., Any] = importlib.import_module(sys.argv[1]).RTCPeerConnection
    connections: dict[int, Connection] = {}

    async def handle(order: Order) -> Any:
        what, number = order.pop("do"), order.pop("pc")
        if what == "new":
            options: dict[str, Any] = {}
            if order.get("stays"):
                options["iceSettings"] = restartice.IceSettings(spares=0, follow_networks=False)
            if order.get("prefer"):
                options["iceSettings"] = restartice.IceSettings(prefer=order["prefer"])
            connections[number] = Connection(number, peer_connection(nowhere, **options))
            return None
        act: Callable[..., Awaitable[Any]] = getattr(connections[number], what)
        return await act(**order)

    asyncio.run(obey(handle))


if __name__ == "__main__":
    main()
