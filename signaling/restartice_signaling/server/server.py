"""The signaling server: accepts connections, checks timeouts, and answers HTTP requests."""

import asyncio
import contextlib
import http
import logging
import re
import socket
import ssl as tls
import time
from collections.abc import AsyncIterator
from typing import Any, Final, Self, cast

import websockets.asyncio.server as ws
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.typing import Origin, Subprotocol

from ..cancellation import end, finish_within
from ..protocol.close_codes import CLOSE_GOING_AWAY
from ..protocol.messages import SUBPROTOCOL, GoAway
from .connection import ServerConnection
from .connection_limiter import (
    AdoptedProtocol,
    AdoptedSocket,
    ConnectionLimiter,
    CountedSocket,
)
from .context import ServerContext
from .local_access import LOOPBACK, comes_from_elsewhere, is_loopback
from .logs import event
from .metrics import CONTENT_TYPE, Metrics
from .rooms.interface import Backend, BackendDown
from .rooms.memory import MemoryBackend
from .settings import ServerSettings
from .tokens import check_secret
from .workers import Workers

__all__ = ["SignalingServer", "serve", "url_of"]

logger = logging.getLogger(__name__)

TICK: Final = 1.0
CLOSE_TIMEOUT: Final = 5.0
# The most frames of a client that wait in memory.
READ_AHEAD: Final = 4
THIS_MACHINE: Final = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?")


class SignalingServer:
    """A running server; made by serve().

    Args:
        settings: The settings.
        backend: Keeps sessions and rooms; None for a `MemoryBackend`.
        workers: The processes that share the port, or None if this is the only one.

    Raises:
        ValueError: The secret is too short.
    """

    def __init__(
        self,
        settings: ServerSettings,
        backend: Backend | None = None,
        workers: Workers | None = None,
    ) -> None:
        if not isinstance(settings, ServerSettings):
            raise TypeError(f"expected ServerSettings, got {settings!r}")
        if settings.secret is not None:
            check_secret(settings.secret)
        self.settings = settings
        self._backend = backend or MemoryBackend(settings.rooms, settings.limits)
        self._workers = workers
        self._context = ServerContext(settings, self._backend, workers)
        records = workers is not None and workers.keeps_rooms
        self._limiter = ConnectionLimiter(settings, self._context.metrics, records=records)
        self._adopting: set[asyncio.Task[Any]] = set()
        self._connections: dict[ServerConnection, asyncio.Task[Any]] = {}
        self._server: ws.Server | None = None
        self._clock: asyncio.Task[None] | None = None
        self._draining = False
        self._healthy = True
        self._secure = False
        # Whether only this machine may join: there is no secret, and `insecure` isn't set.
        self._local = False

    @property
    def metrics(self) -> Metrics:
        """The counters of the server."""
        return self._context.metrics

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        assert self._server is not None
        port: int = next(iter(self._server.sockets)).getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The URL of the server, with a loopback address if it listens on all addresses."""
        assert self._server is not None
        host: str = next(iter(self._server.sockets)).getsockname()[0]
        return url_of(host, self.port, secure=self._secure)

    @property
    def _options(self) -> dict[str, Any]:
        """The arguments of each connection."""
        # The protocol has its own heartbeat, because browsers can't send WebSocket pings.
        return {"max_queue": READ_AHEAD, "close_timeout": CLOSE_TIMEOUT, "ping_interval": None}

    async def listen(self, host: str, port: int, ssl: tls.SSLContext | None = None) -> Self:
        """Start to listen.

        Args:
            host: The address or host name.
            port: The port; 0 for any free one.
            ssl: The context for TLS, or None.

        Raises:
            OSError: The server can't listen on this address.
            BackendDown: The backend can't be reached.

        Returns:
            This server.
        """
        await self._backend.start()
        self._secure = ssl is not None
        try:
            self._server = await ws.serve(
                self._handle,
                host,
                port,
                ssl=ssl,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                origins=self._origins(),
                process_request=self._process_request,
                create_connection=cast("type[ws.ServerConnection]", self._make_connection),
                max_size=self.settings.limits.max_message_size,
                open_timeout=self.settings.hello_timeout,
                compression=None,
                # One socket for each worker; the kernel chooses among them.
                reuse_port=self._workers is not None,
                **self._options,
            )
        except BaseException:
            await self._backend.close()
            raise
        self._clock = asyncio.create_task(self._keep_time())
        if self._workers is not None:
            self._workers.begin(self.metrics)
            self._workers.listen(self._adopt)
            self._workers.set_ready()
        if self.settings.secret is None:
            self._tell_open(host)
        return self

    def _tell_open(self, host: str) -> None:
        self._local = is_loopback(host) and not self.settings.insecure
        level, clients = logging.WARNING, "any client, also through a proxy,"
        if self._local:
            level, clients = logging.INFO, "any client on this machine"
        event(logger, level, "open", reason=f"without a secret, {clients} may join any room")

    def _origins(self) -> list[Any] | None:
        origins = self.settings.origins
        if origins is not None:
            return [None if origin is None else Origin(origin) for origin in origins]
        # Without tokens, any web site that is open in a browser here could join any room.
        return [None, THIS_MACHINE] if self.settings.secret is None else None

    def _make_connection(self, *args: Any, **kwargs: Any) -> ws.ServerConnection:
        return CountedSocket(self._limiter, *args, **kwargs)

    def _adopt(self, sock: socket.socket, record: bytes) -> None:
        """Serve a client of another worker, whose room is kept here."""
        protocol = AdoptedProtocol(
            origins=self._origins(),
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            max_size=self.settings.limits.max_message_size,
        )

        def make() -> AdoptedSocket:
            assert self._server is not None
            return AdoptedSocket(record, self._limiter, protocol, self._server, **self._options)

        loop = asyncio.get_running_loop()
        adopting = loop.create_task(loop.connect_accepted_socket(make, sock))
        self._adopting.add(adopting)
        adopting.add_done_callback(self._adopting.discard)

    async def close(self) -> None:
        """Send `goaway` to all clients, close their connections, and stop listening.

        It takes `drain_timeout` at most, even if a client or the backend hangs.
        """
        if self._server is None or self._draining:
            return
        self._draining = True
        started = time.monotonic()

        def left(part: float) -> float:
            """Return the seconds that are left of a part of the timeout."""
            return max(0.0, started + part * self.settings.drain_timeout - time.monotonic())

        event(logger, logging.INFO, "draining", connections=len(self._connections))
        if self._workers is not None:
            self._workers.close()
        await self._send_elsewhere(left(0.1))
        self._context.stopping.set()
        self._server.close(code=CLOSE_GOING_AWAY, reason="draining")
        # These have no session to lose.
        self._limiter.cut_pending()
        closed = asyncio.ensure_future(self._server.wait_closed())
        await asyncio.wait([closed], timeout=left(0.6))
        if not closed.done():
            event(logger, logging.WARNING, "cut", connections=self._limiter.cut_all())
            await asyncio.wait([closed], timeout=left(0.7))
            await end([*self._connections.values(), closed], left(0.8))
        if self._clock is not None:
            await end([self._clock], left(0.85))
        try:
            await finish_within(left(0.95), self._backend.close())
        except TimeoutError:
            event(logger, logging.WARNING, "backend down", reason="it didn't close in time")

    async def _send_elsewhere(self, within: float) -> None:
        goaway = GoAway(self.settings.reconnect_in, "draining")
        farewells = [asyncio.ensure_future(c.outgoing.say_last(goaway)) for c in self._connections]
        if farewells:
            # Don't wait for clients that don't read.
            _, unread = await asyncio.wait(farewells, timeout=within)
            await end(unread, within)

    async def _handle(self, socket: ws.ServerConnection) -> None:
        assert isinstance(socket, CountedSocket)
        connection = ServerConnection(self._context, socket, socket.note_hello)
        task = asyncio.current_task()
        assert task is not None
        self._connections[connection] = task
        try:
            await connection.run()
        finally:
            del self._connections[connection]

    async def _keep_time(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            now = time.monotonic()
            for connection in list(self._connections):
                connection.tick(now)
            if self._workers is not None:
                self._workers.tell(self.metrics)
            try:
                await self._backend.sweep()
                self._healthy = True
            except BackendDown as error:
                if self._healthy:
                    event(logger, logging.ERROR, "backend down", reason=str(error))
                self._healthy = False

    # HTTP.

    def _process_request(
        self, connection: ws.ServerConnection, request: Request
    ) -> Response | None:
        path = request.path.partition("?")[0]
        if path == "/metrics":
            metrics = self.metrics
            metrics.tasks = len(asyncio.all_tasks())
            if self._workers is not None:
                self._workers.tell(metrics)
                metrics = self._workers.total()
            return _answer(http.HTTPStatus.OK, metrics.render(), CONTENT_TYPE)
        if path == "/healthz":
            return self._tell_health()
        if self._draining:
            return connection.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, "draining\n")
        if self._local and comes_from_elsewhere(request.headers):
            self.metrics.refused["auth"] += 1
            reason = "without a secret or --insecure, only clients on this machine may join"
            event(logger, logging.WARNING, "refused", code="auth", reason=reason)
            return connection.respond(http.HTTPStatus.FORBIDDEN, f"{reason}\n")
        return None

    def _tell_health(self) -> Response:
        if self._draining:
            return _answer(http.HTTPStatus.SERVICE_UNAVAILABLE, "draining\n")
        if not self._healthy:
            return _answer(http.HTTPStatus.SERVICE_UNAVAILABLE, "backend down\n")
        return _answer(http.HTTPStatus.OK, "ok\n")


def url_of(host: str, port: int, *, secure: bool) -> str:
    """Return the URL of a server, with a loopback address if it listens on all addresses."""
    host = {"0.0.0.0": LOOPBACK, "::": "::1"}.get(host, host)  # noqa: S104  no binding
    scheme = "wss" if secure else "ws"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _answer(
    status: http.HTTPStatus, text: str, kind: str = "text/plain; charset=utf-8"
) -> Response:
    body = text.encode()
    headers = Headers(
        {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Connection": "close",
        }
    )
    return Response(status.value, status.phrase, headers, body)


@contextlib.asynccontextmanager
async def serve(
    host: str = LOOPBACK,
    port: int = 0,
    settings: ServerSettings | None = None,
    *,
    backend: Backend | None = None,
    ssl: tls.SSLContext | None = None,
) -> AsyncIterator[SignalingServer]:
    """Run a signaling server while the `async with` block runs.

    Give `settings` a secret unless the server is for this machine only: without one, any client
    may join any room. On a loopback address, requests that a proxy passes on are then refused,
    unless `settings.insecure` is set.

    Args:
        host: The address to listen on.
        port: The port, or 0 for any free one; `server.port` is the result.
        settings: The settings; by default `ServerSettings()`.
        backend: Keeps sessions and rooms; by default a `MemoryBackend`.
        ssl: The context for `wss`.

    Raises:
        OSError: The server can't listen on this address.
        ValueError: The secret is too short.
        BackendDown: The backend can't be reached.
    """
    server = SignalingServer(settings or ServerSettings(), backend)
    await server.listen(host, port, ssl)
    try:
        yield server
    finally:
        await server.close()
