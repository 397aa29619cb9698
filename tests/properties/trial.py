"""A connection in some state, to which something wrong is said, and what must stay as it was."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from aiortc import InvalidAccessError, InvalidStateError, RTCCertificate
from aiortc.exceptions import OperationError

from conftest import open_sockets, other_tasks
from properties.world import SilentTrack
from restartice import RTCConfiguration, RTCPeerConnection, SdpSyntaxError
from restartice.exceptions import InvalidContentError

DEADLINE = 60
# A ValueError from somewhere deep inside would be one by accident.
OF_DESCRIPTIONS = {
    SdpSyntaxError,
    InvalidContentError,
    InvalidStateError,
    InvalidAccessError,
    OperationError,
}
CERTIFICATE = RTCCertificate.generateCertificate()
EVERYTHING = ("audio", "video", "application")


def connection(offered: Iterable[str] = EVERYTHING) -> RTCPeerConnection:
    """Return a connection that offers sections, given as `"audio"` or `"video recvonly"`."""
    configuration = RTCConfiguration(iceServers=[], certificates=[CERTIFICATE])
    pc = RTCPeerConnection(configuration)
    for section in offered:
        kind, _, direction = section.partition(" ")
        if kind == "application":
            pc.createDataChannel("data")
        elif direction:
            pc.addTransceiver(kind, direction=direction)
        else:
            pc.addTrack(SilentTrack(kind))
    return pc


class Trial:
    """A connection in some state, whose state, sockets and tasks are watched."""

    def __init__(self, offered: Iterable[str] = EVERYTHING) -> None:
        self.pc = connection(offered)
        self.other: RTCPeerConnection | None = None

    async def offer(self) -> None:
        """Let it wait for an answer."""
        await self.pc.setLocalDescription()

    async def connect(self) -> None:
        """Negotiate with another connection."""
        self.other = connection()
        await self.pc.setLocalDescription()
        await self.other.setRemoteDescription(self.pc.localDescription)
        await self.other.setLocalDescription()
        await self.pc.setRemoteDescription(self.other.localDescription)

    async def close(self) -> None:
        """Close all connections."""
        for pc in filter(None, (self.pc, self.other)):
            async with asyncio.timeout(DEADLINE):
                await pc.close()

    def state(self) -> dict[str, Any]:
        """Return all that a call that fails must leave as it was."""
        pc = self.pc
        return {
            "signaling": pc.signalingState,
            "gathering": pc.iceGatheringState,
            "closed": pc.connectionState == "closed",
            "descriptions": [
                None if d is None else (d.type, d.sdp)
                for d in (
                    pc.currentLocalDescription,
                    pc.pendingLocalDescription,
                    pc.currentRemoteDescription,
                    pc.pendingRemoteDescription,
                )
            ],
            "transceivers": [_transceiver(t) for t in pc._core.state.transceivers],
            "sctp": pc.sctp and (pc.sctp, pc.sctp.mid, pc.sctp.transport),
            "dtls": set(pc._core.state.dtls_transports),
            "ice": sorted((_transport(t) for t in pc._core.state.ice_transports), key=repr),
        }


def _transceiver(t: Any) -> tuple[object, ...]:
    return (
        *(t, t.mid, t.direction, t.currentDirection, t.stopped, t.receiver.track),
        *(t.receiver.transport, t.sender.transport, t.sender.track),
        [(codec.mimeType, codec.payloadType) for codec in t._codecs],
        [extension.uri for extension in t._headerExtensions],
    )


def _transport(t: Any) -> tuple[object, ...]:
    core = t._core
    remotes = [
        r and (r.credentials, len(list(r.candidates))) for r in (core.remote, core.pending_remote)
    ]
    return (t, t.role, core.restarting, len(core.generations), *remotes)


async def leave(tasks: set[asyncio.Task[object]]) -> None:
    """Return when no other tasks run than these."""
    async with asyncio.timeout(DEADLINE):
        while others := other_tasks() - tasks:
            await asyncio.wait(others)


async def breathe() -> None:
    """Let what was begun go on a little."""
    for _ in range(5):
        await asyncio.sleep(0)


async def refused(
    trial: Trial, job: Coroutine[Any, Any, None], documented: set[type]
) -> Exception | None:
    """Return with which error a call fails, or None; check that nothing is left of a failure."""
    tasks, sockets, before = other_tasks(), open_sockets(), trial.state()
    try:
        async with asyncio.timeout(DEADLINE):
            await job
    except Exception as error:
        # A subclass may be an accident, as UnicodeError is a ValueError.
        if type(error) not in documented:
            raise
        assert trial.state() == before
        if trial.other is None:
            await leave(tasks)
            assert open_sockets() == sockets
        return error
    return None
