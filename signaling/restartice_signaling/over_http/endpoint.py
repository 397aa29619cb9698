"""The common part of resources for connections, for any web framework."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol, TypeAlias
from urllib.parse import quote

import aiortc
from aiohttp import web
from aiortc.exceptions import OperationError
from multidict import CIMultiDict

from restartice import InvalidAccessError, InvalidStateError, RTCPeerConnection

from .session import Prepare, Session

__all__ = ["AsgiApplication", "HttpEndpoint", "HttpRequest", "HttpResponse"]

# The longest body of a request, in bytes.
LONGEST_BODY: Final = 1024 * 1024
# For how many seconds to leave a server in peace that has enough connections.
RETRY_AFTER: Final = 5
Scope: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class HttpRequest:
    """A request to an `HttpEndpoint`.

    Attributes:
        method: Such as `POST`.
        path: The path that the client has asked for.
        session: The last part of the path, if it is that of a session.
        headers: The headers, by names of any case.
        body: The body.
    """

    method: str
    path: str
    session: str | None
    headers: Mapping[str, str]
    body: bytes = b""

    def below(self, session: str) -> str:
        """Return the path of a session below this one, as in a URL.

        Args:
            session: The id of the session.
        """
        return f"{quote(self.path.rstrip('/'))}/{session}"


@dataclass(frozen=True)
class HttpResponse:
    """The response of an `HttpEndpoint`.

    Attributes:
        status: The status code.
        text: The body, in UTF-8.
        headers: The headers.
    """

    status: int
    text: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def content(self) -> bytes:
        """The body in bytes."""
        return self.text.encode(errors="replace")


class AsgiApplication(Protocol):
    """A Starlette or FastAPI application."""

    @property
    def router(self) -> Any:
        """The router, which has the lifespan."""
        ...

    def add_route(self, path: str, route: Any) -> None:
        """Let a route take the requests for a path."""
        ...


Handler: TypeAlias = Callable[[Any, HttpRequest], Awaitable[HttpResponse]]


class HttpEndpoint:
    """Makes connections with clients, and keeps them.

    Check in a middleware who the client is: this class doesn't.

    Args:
        prepare: A function or coroutine function that is called with each new connection, to add
            tracks, channels and listeners. A ValueError that it raises refuses the offer. An
            exception that the framework turns into a response, such as FastAPI's HTTPException, is
            sent as one.
        connection: Makes a connection, for a configuration or settings of its own.
        limit: How many connections there may be at a time.
    """

    # What is done with the requests for the resource itself, and for those of the sessions.
    ON_ENDPOINT: ClassVar[Mapping[str, Handler]]
    ON_SESSION: ClassVar[Mapping[str, Handler]]

    def __init__(
        self,
        prepare: Prepare,
        *,
        connection: Callable[[], RTCPeerConnection] = RTCPeerConnection,
        limit: int = 100,
    ) -> None:
        self._prepare = prepare
        self._make_connection = connection
        self._limit = limit
        self._sessions: dict[str, Session] = {}

    @property
    def connections(self) -> Mapping[str, RTCPeerConnection]:
        """The connections, by the ids of their sessions."""
        return {name: session.pc for name, session in self._sessions.items()}

    async def hang_up(self, session: str) -> None:
        """Close the connection of a client, if there is one.

        Args:
            session: The id of its session.
        """
        known = self._sessions.pop(session, None)
        if known is not None:
            await known.pc.close()

    async def close(self) -> None:
        """Close all connections."""
        for name in list(self._sessions):
            await self.hang_up(name)

    def add_to(self, app: web.Application | AsgiApplication, path: str) -> None:
        """Let an application take requests at a path, and close all connections when it ends.

        Args:
            app: An application of aiohttp, Starlette or FastAPI.
            path: The path of the resource. Those of sessions are below it.

        Raises:
            TypeError: It is an application of another framework, which has to call respond().
        """
        paths = {path: self.ON_ENDPOINT, path.rstrip("/") + "/{session}": self.ON_SESSION}
        if isinstance(app, web.Application):

            async def close(_: web.Application) -> None:
                await self.close()

            for each, handlers in paths.items():
                for method in handlers:
                    app.router.add_route(method, each, self._respond_to_aiohttp)
            app.on_shutdown.append(close)
            return
        if not hasattr(app, "add_route"):
            raise TypeError(f"expected an application of aiohttp or Starlette, not {app!r}")
        for each in paths:
            app.add_route(each, AsgiRoute(self))
        lifespan = app.router.lifespan_context

        @asynccontextmanager
        async def closing(app: Any) -> AsyncIterator[Any]:
            async with lifespan(app) as state:
                try:
                    yield state
                finally:
                    await self.close()

        app.router.lifespan_context = closing

    async def respond(self, request: HttpRequest) -> HttpResponse:
        """Return the response to a request, for frameworks that add_to() doesn't know.

        Args:
            request: The request. If it is wrong, the status of the response tells why.
        """
        handlers = self.ON_ENDPOINT if request.session is None else self.ON_SESSION
        if request.method not in handlers:
            return HttpResponse(405, headers=(("Allow", ", ".join(handlers)),))
        try:
            return await handlers[request.method](self, request)
        except OverflowError as error:
            return HttpResponse(503, str(error), (("Retry-After", str(RETRY_AFTER)),))
        except LookupError as error:
            return HttpResponse(404, str(error))
        except (ValueError, InvalidAccessError, InvalidStateError, OperationError) as error:
            return HttpResponse(400, str(error))

    async def _connect(self, name: str, offer: aiortc.RTCSessionDescription) -> Session:
        """Make a connection, and answer its first offer."""
        if len(self._sessions) >= self._limit:
            raise OverflowError(f"there are {self._limit} connections, which is the limit")
        session = self._sessions[name] = Session(name, self._make_connection())
        session.pc.on("connectionstatechange", lambda: self._forget(session))
        try:
            await session.answer(offer, self._prepare)
        except BaseException:
            await self.hang_up(name)
            raise
        return session

    def _session(self, name: str | None) -> Session:
        """Return the session, or raise a LookupError."""
        if name not in self._sessions:
            raise LookupError("there is no connection of this session")
        return self._sessions[name]

    def _forget(self, session: Session) -> None:
        if session.pc.connectionState == "closed" and self._sessions.get(session.name) is session:
            del self._sessions[session.name]

    async def _respond_to_aiohttp(self, request: web.Request) -> web.Response:
        response = await self.respond(
            HttpRequest(
                request.method,
                request.path,
                request.match_info.get("session"),
                request.headers,
                await request.read(),
            )
        )
        headers = CIMultiDict(response.headers)
        return web.Response(status=response.status, headers=headers, body=response.content)


class AsgiRoute:
    """An endpoint as a route of Starlette."""

    def __init__(self, endpoint: HttpEndpoint) -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Respond to a request."""
        body, more = b"", True
        while more and len(body) <= LONGEST_BODY:
            event = await receive()
            if event["type"] == "http.disconnect":
                return
            body += event.get("body", b"")
            more = event.get("more_body", False)
        headers = CIMultiDict(
            (k.decode("latin-1"), v.decode("latin-1")) for k, v in scope["headers"]
        )
        session = scope["path_params"].get("session")
        request = HttpRequest(scope["method"], scope["path"], session, headers, body)
        response = (
            HttpResponse(413, f"expected at most {LONGEST_BODY} bytes")
            if len(body) > LONGEST_BODY
            else await self._endpoint.respond(request)
        )
        content = response.content
        given = [(k.lower().encode(), v.encode("latin-1")) for k, v in response.headers]
        if response.status != 204:
            given.append((b"content-length", str(len(content)).encode()))
        await send({"type": "http.response.start", "status": response.status, "headers": given})
        await send({"type": "http.response.body", "body": content})
