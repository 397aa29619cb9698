"""Starting DTLS, RTP and SCTP on transports that have become usable."""

import asyncio
from typing import Final

import aiortc

from .dtlstransport import RTCDtlsTransport
from .internals import AiortcPeerConnection

__all__ = ["Connector"]

# After how many seconds a task is cancelled again.
RETRY: Final = 0.05


class Connector:
    """One task for each DTLS transport, which waits for ICE and then starts what runs on it.

    DTLS starts once, after the first nomination: neither a failure of ICE nor a restart ends it.
    """

    def __init__(self, connection: AiortcPeerConnection) -> None:
        self._connection = connection
        self._stale: set[RTCDtlsTransport] = set()
        self._tasks: dict[RTCDtlsTransport, asyncio.Task[None]] = {}

    def connect_soon(self) -> None:
        """Start what the descriptions newly call for, as soon as that is possible."""
        for transport in self._connection.dtls_transports:
            assert isinstance(transport, RTCDtlsTransport)
            self._stale.add(transport)
            if transport not in self._tasks:
                self._tasks[transport] = asyncio.ensure_future(self._connect(transport))

    async def close(self) -> None:
        """End all tasks."""
        # More than once: wait_for(), in which DTLS waits for the other side, swallows the first
        # cancellation if something comes in at the same moment, until Python 3.12.
        while tasks := [task for task in self._tasks.values() if not task.done()]:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=RETRY)

    async def _connect(self, transport: RTCDtlsTransport) -> None:
        try:
            await transport.transport.usable.wait()
            while transport in self._stale:
                self._stale.discard(transport)
                await self._start(transport)
        finally:
            del self._tasks[transport]

    async def _start(self, transport: RTCDtlsTransport) -> None:
        connection = self._connection
        transceivers = [
            t
            for t in connection.transceivers
            if t.receiver.transport is transport and t in connection.remote_dtls and not t.stopping
        ]
        sctp = connection.sctp_transport
        has_sctp = (
            sctp is not None and sctp.transport is transport and sctp in connection.remote_dtls
        )
        users: list[object] = [*transceivers, *([sctp] if has_sctp else [])]
        if users and transport.state == "new":
            await transport.start(connection.remote_dtls[users[0]])
        if transport.state != "connected":
            return
        for transceiver in transceivers:
            await self._start_media(transceiver)
        if has_sctp and sctp is not None:
            await sctp.start(connection.sctp_remote_caps, connection.sctp_remote_port)

    async def _start_media(self, transceiver: aiortc.RTCRtpTransceiver) -> None:
        direction = transceiver.currentDirection
        if direction in {"sendonly", "sendrecv"}:
            await transceiver.sender.send(self._connection.local_rtp(transceiver))
        if direction in {"recvonly", "sendrecv"}:
            await transceiver.receiver.receive(self._connection.remote_rtp(transceiver))
