"""The implementations that are compared, behind the little that the measurements need of them."""

import asyncio
import importlib
import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from benchmarks.media import GreyPicture, Silence

__all__ = ["STACKS", "Link", "Stack", "Switch", "load"]

Handler = Callable[[Any], None]
UFRAG: Final = re.compile(r"a=ice-ufrag:(\S+)")
STACKS: Final = {"restartice": "restartice", "aiortc": "aiortc", "libwebrtc": "webrtc"}
DEADLINE: Final = 90.0


class Stack:
    """restartice, or plain aiortc, whose interface is the same."""

    def __init__(self, name: str, module: Any) -> None:
        self.name = name
        self.module = module

    @property
    def restarts(self) -> bool:
        """Whether there is a restartIce()."""
        return hasattr(self.module.RTCPeerConnection, "restartIce")

    def make(self, stun: str | None = None) -> Any:
        """Make a connection, with a STUN server or none."""
        servers = [] if stun is None else [self.module.RTCIceServer(urls=f"stun:{stun}")]
        return self.module.RTCPeerConnection(self.module.RTCConfiguration(iceServers=servers))

    def on(self, emitter: Any, event: str, handler: Handler) -> None:
        """Call a function with what an event brings."""
        emitter.on(event, lambda *payload: handler(payload[0] if payload else None))

    def unreliable(self, pc: Any, label: str) -> Any:
        """Open a channel that repeats nothing."""
        return pc.createDataChannel(label, ordered=False, maxRetransmits=0)

    async def gathered(self, pc: Any) -> None:
        """Return when all candidates are in the local description."""

    def ice(self, pc: Any) -> Any:
        """Return the ICE transport of the data channels."""
        return pc.sctp.transport.transport

    async def microphone(self) -> Any:
        """Return a track of audio."""
        return Silence()

    def camera(self) -> Any:
        """Return a track of video."""
        return GreyPicture()

    async def add_candidate(self, pc: Any, candidate: dict[str, Any]) -> None:
        """Add a candidate in the form that browsers signal."""
        await pc.addIceCandidate(candidate)

    async def close(self, *connections: Any) -> None:
        """Close connections."""
        await asyncio.gather(*(pc.close() for pc in connections))


class Libwebrtc(Stack):
    """libwebrtc, by the package wrtc."""

    def make(self, stun: str | None = None) -> Any:
        """Make a connection, with a STUN server or none."""
        servers = [] if stun is None else [self.module.RTCIceServer(urls=f"stun:{stun}")]
        return self.module.RTCPeerConnection(self.module.RTCConfiguration(ice_servers=servers))

    def on(self, emitter: Any, event: str, handler: Handler) -> None:
        """Call a function with what an event brings."""
        name = {"message": "data", "datachannel": "channel", "icecandidate": "candidate"}.get(event)
        emitter.on(event, lambda e: handler(None if name is None else getattr(e, name)))

    def unreliable(self, pc: Any, label: str) -> Any:
        """Open a channel that repeats nothing."""
        options = self.module.RTCDataChannelInit(ordered=False, max_retransmits=0)
        return pc.createDataChannel(label, options)

    async def gathered(self, pc: Any) -> None:
        """Return when all candidates are in the local description."""
        done = asyncio.Event()

        def look(_: object) -> None:
            if pc.iceGatheringState == "complete":
                done.set()

        self.on(pc, "icegatheringstatechange", look)
        look(None)
        async with asyncio.timeout(DEADLINE):
            await done.wait()

    def ice(self, pc: Any) -> Any:
        """Return the ICE transport of the data channels."""
        return pc.sctp.transport.iceTransport

    async def microphone(self) -> Any:
        """Return a track of audio."""
        wanted = self.module.MediaStreamConstraints(audio=True)
        return (await self.module.media_devices.get_user_media(wanted)).get_audio_tracks()[0]

    async def add_candidate(self, pc: Any, candidate: dict[str, Any]) -> None:
        """Add a candidate in the form that browsers signal."""
        await pc.addIceCandidate(self.module.RTCIceCandidateInit.from_json(candidate))

    async def close(self, *connections: Any) -> None:
        """Close connections."""
        for pc in connections:
            pc.close()
        await asyncio.sleep(0)


def load(name: str) -> Stack:
    """Return an implementation by its name.

    Raises:
        ImportError: It isn't installed.
    """
    module = importlib.import_module(STACKS[name])
    return (Libwebrtc if name == "libwebrtc" else Stack)(name, module)


def ufrag(description: Any) -> str | None:
    """Return the first username fragment of a description."""
    match = None if description is None else UFRAG.search(description.sdp)
    return None if match is None else match.group(1)


class Switch:
    """Tells when a connection sends on a pair of its newest generation."""

    def __init__(self, stack: Stack, pc: Any) -> None:
        self._pc, self._transport = pc, stack.ice(pc)
        self._changed = asyncio.Event()
        stack.on(self._transport, "selectedcandidatepairchange", lambda _: self._changed.set())

    async def wait(self) -> None:
        """Return when it does."""
        while True:
            pair = self._transport.getSelectedCandidatePair()
            if pair is not None and pair.local.usernameFragment == ufrag(self._pc.localDescription):
                return
            self._changed.clear()
            await self._changed.wait()


class Link:
    """Two connections of one process, and what is signaled between them, without any delay."""

    def __init__(
        self, stack: Stack, *, trickle: bool, stun: str | None = None, media: bool = False
    ) -> None:
        self.stack = stack
        self._media = media
        self.near, self.far = stack.make(stun), stack.make(stun)
        self._trickle = trickle
        self._waiting: dict[Any, list[Any]] = {self.near: [], self.far: []}
        # Whose newest description the other one doesn't have yet.
        self._ahead = {self.near, self.far}
        self._adding: set[asyncio.Future[None]] = set()
        self._switches: list[Switch] = []
        if trickle:
            for pc in (self.near, self.far):
                stack.on(pc, "icecandidate", partial(self._pass_on, pc))

    async def negotiate(self) -> None:
        """Let the near side offer, and the far side answer."""
        for offering, answering in ((self.near, self.far), (self.far, self.near)):
            self._ahead.add(offering)
            await offering.setLocalDescription()
            if not self._trickle:
                await self.stack.gathered(offering)
            await answering.setRemoteDescription(offering.localDescription)
            self._ahead.discard(offering)
            self._flush(offering)

    async def open(self, open_channel: Callable[[Any, str], Any] | None = None) -> tuple[Any, Any]:
        """Connect; return the two ends of a data channel when both are open."""
        create = open_channel or (lambda pc, label: pc.createDataChannel(label))
        loop = asyncio.get_running_loop()
        opened, arrived = loop.create_future(), loop.create_future()
        channel = create(self.near, "benchmark")
        self.stack.on(channel, "open", lambda _: opened.set_result(None))
        self.stack.on(self.far, "datachannel", arrived.set_result)
        for pc in (self.near, self.far) if self._media else ():
            pc.addTrack(await self.stack.microphone())
            pc.addTrack(self.stack.camera())
        await self.negotiate()
        async with asyncio.timeout(DEADLINE):
            await opened
            return channel, await arrived

    async def restart(self) -> float:
        """Restart ICE; return the seconds until both sides send on a pair of the new generation."""
        if not self._switches:
            self._switches = [Switch(self.stack, pc) for pc in (self.near, self.far)]
        began = time.perf_counter()
        self.near.restartIce()
        await self.negotiate()
        async with asyncio.timeout(DEADLINE):
            for switch in self._switches:
                await switch.wait()
        return time.perf_counter() - began

    async def close(self) -> None:
        """Close both connections."""
        await self.stack.close(self.near, self.far)

    def _pass_on(self, pc: Any, candidate: Any) -> None:
        if candidate is not None and getattr(candidate, "candidate", True):
            self._waiting[pc].append(candidate)
            self._flush(pc)

    def _flush(self, pc: Any) -> None:
        # A candidate must not arrive before the description it belongs to.
        if pc in self._ahead:
            return
        other = self.far if pc is self.near else self.near
        waiting, self._waiting[pc] = self._waiting[pc], []
        for candidate in waiting:
            adding = asyncio.ensure_future(other.addIceCandidate(candidate))
            self._adding.add(adding)
            adding.add_done_callback(self._adding.discard)
