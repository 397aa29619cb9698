"""Starts DTLS, RTP and SCTP on transports that have become usable."""

import asyncio
from collections.abc import Iterator
from typing import Final

import aiortc
from aiortc.rtcrtptransceiver import RTCRtpTransceiver

from ..seam import ConnectionView
from .dtls import RTCDtlsTransport
from .sctp import RTCSctpTransport

__all__ = ["Connector"]

# The pause before a task is cancelled again, in seconds.
RETRY: Final = 0.05


class Connector:
    """Runs one task per DTLS transport, which waits for ICE and then starts DTLS, RTP and SCTP.

    DTLS starts once, after the first nomination. Neither a failure of ICE nor a restart ends it.
    """

    def __init__(self, connection: ConnectionView) -> None:
        self._connection = connection
        self._stale: set[RTCDtlsTransport] = set()
        self._tasks: dict[RTCDtlsTransport, asyncio.Task[None]] = {}

    def connect_soon(self) -> None:
        """Start the negotiated transports, media and data as soon as ICE has a pair."""
        for transport in self._connection.dtls_transports:
            assert isinstance(transport, RTCDtlsTransport)
            self._stale.add(transport)
            if transport not in self._tasks:
                self._tasks[transport] = asyncio.ensure_future(self._connect(transport))

    async def close(self) -> None:
        """End all tasks."""
        # More than once, because a task may swallow the cancellation. Until Python 3.12, wait_for()
        # does so if its result comes at the same moment.
        while tasks := [task for task in self._tasks.values() if not task.done()]:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=RETRY)

    async def _connect(self, transport: RTCDtlsTransport) -> None:
        try:
            await transport.transport._core.usable.wait()
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
        if transport.state == "failed":
            self._fail_data(transport)
        if transport.state != "connected":
            return
        # Listed again: users that were stopped during the handshake must not be started.
        for user in list(self._users_of(transport)):
            if not isinstance(user, RTCRtpTransceiver):
                await self._start_data(user)
            elif not user.stopped:
                await self._start_media(user)

    def _fail_data(self, transport: RTCDtlsTransport) -> None:
        sctp = self._connection.sctp_transport
        if isinstance(sctp, RTCSctpTransport) and sctp.transport is transport:
            sctp._core.transport_failed()

    def _users_of(
        self, transport: RTCDtlsTransport
    ) -> Iterator[aiortc.RTCRtpTransceiver | aiortc.RTCSctpTransport]:
        """Yield the negotiated users of a transport, the SCTP transport first.

        The peer's first SCTP packet may arrive right after the handshake.
        """
        connection = self._connection
        sctp = connection.sctp_transport
        if sctp is not None and sctp.transport is transport and sctp in connection.remote_dtls:
            yield sctp
        for transceiver in connection.transceivers:
            rides = transceiver.receiver.transport is transport
            if rides and transceiver in connection.remote_dtls:
                yield transceiver

    async def _start_data(self, sctp: aiortc.RTCSctpTransport) -> None:
        connection = self._connection
        await sctp.start(connection.sctp_remote_caps, connection.sctp_remote_port)

    async def _start_media(self, transceiver: aiortc.RTCRtpTransceiver) -> None:
        direction = transceiver.currentDirection
        if direction in {"sendonly", "sendrecv"}:
            await transceiver.sender.send(self._connection.local_rtp(transceiver))
        if direction in {"recvonly", "sendrecv"}:
            await transceiver.receiver.receive(self._connection.remote_rtp(transceiver))
