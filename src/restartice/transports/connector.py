"""Starting DTLS, RTP and SCTP on transports that have become usable."""

import asyncio
from collections.abc import Iterator
from typing import Final

import aiortc
from aiortc.rtcrtptransceiver import RTCRtpTransceiver

from ..seam import ConnectionView
from .dtls import RTCDtlsTransport

__all__ = ["Connector"]

# After how many seconds a task is cancelled again.
RETRY: Final = 0.05


class Connector:
    """One task for each DTLS transport, which waits for ICE and then starts what runs on it.

    DTLS starts once, after the first nomination: neither a failure of ICE nor a restart ends it.
    """

    def __init__(self, connection: ConnectionView) -> None:
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
        # More than once, because what is waited for may swallow a cancellation, as wait_for() does
        # until Python 3.12 if something comes in at the same moment.
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
        remote = self._connection.remote_dtls
        first = next(self._users_of(transport), None)
        if first is not None and transport.state == "new":
            await transport.start(remote[first])
        if transport.state != "connected":
            return
        # Looked at again, because what was stopped during the handshake must not be started.
        for user in list(self._users_of(transport)):
            if isinstance(user, RTCRtpTransceiver):
                await self._start_media(user)
            else:
                await self._start_data(user)

    def _users_of(
        self, transport: RTCDtlsTransport
    ) -> Iterator[aiortc.RTCRtpTransceiver | aiortc.RTCSctpTransport]:
        """Yield what rides on a transport and is negotiated, the SCTP transport last."""
        connection = self._connection
        for transceiver in connection.transceivers:
            rides = transceiver.receiver.transport is transport
            if rides and transceiver in connection.remote_dtls and not transceiver.stopped:
                yield transceiver
        sctp = connection.sctp_transport
        if sctp is not None and sctp.transport is transport and sctp in connection.remote_dtls:
            yield sctp

    async def _start_data(self, sctp: aiortc.RTCSctpTransport) -> None:
        connection = self._connection
        await sctp.start(connection.sctp_remote_caps, connection.sctp_remote_port)

    async def _start_media(self, transceiver: aiortc.RTCRtpTransceiver) -> None:
        direction = transceiver.currentDirection
        if direction in {"sendonly", "sendrecv"}:
            await transceiver.sender.send(self._connection.local_rtp(transceiver))
        if direction in {"recvonly", "sendrecv"}:
            await transceiver.receiver.receive(self._connection.remote_rtp(transceiver))
