"""Web servers on loopback with endpoints for connections: of aiohttp, and of FastAPI."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import fastapi
import uvicorn
from aiohttp import web

from connecting import DEADLINE
from restartice_signaling.over_http.endpoint import HttpEndpoint

__all__ = ["AiohttpServer", "FastApiServer", "WebServer"]


class WebServer:
    """A web server."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.origin = f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def add(self, endpoint: HttpEndpoint, path: str) -> None:
        """Let an endpoint take the requests for a path."""
        raise NotImplementedError

    async def start(self) -> None:
        """Return when it listens."""
        raise NotImplementedError

    async def close(self) -> None:
        """End it."""
        raise NotImplementedError


class AiohttpServer(WebServer):
    """One of aiohttp."""

    def __init__(self) -> None:
        super().__init__()
        self.app = web.Application()
        self._runner = web.AppRunner(self.app, shutdown_timeout=1.0)

    def add(self, endpoint: HttpEndpoint, path: str) -> None:
        """Let an endpoint take the requests for a path."""
        endpoint.add_to(self.app, path)

    async def start(self) -> None:
        """Return when it listens."""
        await self._runner.setup()
        await web.SockSite(self._runner, self.socket).start()

    async def stop_listening(self) -> None:
        """Refuse connections, and keep the calls."""
        for site in list(self._runner.sites):
            await site.stop()

    async def listen(self) -> None:
        """Take connections again."""
        port = int(self.origin.rpartition(":")[2])
        await web.TCPSite(self._runner, "127.0.0.1", port, reuse_address=True).start()

    async def close(self) -> None:
        """End it."""
        await self._runner.cleanup()
        self.socket.close()


class Uvicorn(uvicorn.Server):
    """A server that says when it listens, and leaves signals to pytest."""

    def __init__(self, app: fastapi.FastAPI) -> None:
        super().__init__(uvicorn.Config(app, log_config=None, lifespan="on"))
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        self.up.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield


class FastApiServer(WebServer):
    """One of FastAPI, which is Starlette, in uvicorn."""

    def __init__(self) -> None:
        super().__init__()
        self.app = fastapi.FastAPI()
        self._server = Uvicorn(self.app)
        self._task: asyncio.Task[None] | None = None

    def add(self, endpoint: HttpEndpoint, path: str) -> None:
        """Let an endpoint take the requests for a path."""
        endpoint.add_to(self.app, path)

    async def start(self) -> None:
        """Return when it listens."""
        self._task = asyncio.create_task(self._server.serve([self.socket]))
        async with asyncio.timeout(DEADLINE):
            await self._server.up.wait()

    async def close(self) -> None:
        """End it."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        self.socket.close()
