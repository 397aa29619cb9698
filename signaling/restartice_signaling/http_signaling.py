"""Offers and answers by HTTP: the client POSTs an offer, and the response is the answer.

This is the pattern of aiortc's `server` example. aiohttp is needed, which is in the extra `http`.
"""

import asyncio
import inspect
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from secrets import token_urlsafe
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import aiortc
from aiohttp import web

from restartice import InvalidAccessError, InvalidStateError, RTCPeerConnection

from .cancellation import end
from .client.events import DescriptionReceived, Event, Refused
from .errors import BadMessage, ServerError, SignalingClosed

__all__ = ["HttpAnswerer", "HttpSignaling"]

logger = logging.getLogger(__name__)

# How many seconds a request may take, and how many to wait before it is made again.
TIMEOUT: Final = aiohttp.ClientTimeout(total=5.0)
FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 2.0
# The server or its proxy can't answer now. (RFC 9110 section 15.5.9 and 15.6, RFC 6585 section 4)
TRY_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
# The longest id that a client may choose for its session.
LONGEST_ID: Final = 64


class HttpSignaling:
    """Lets a `Negotiator` send its offers to a web server, which answers them.

    The first offer is POSTed to the URL, as JSON with `sdp`, `type` and `session`, a random id.
    Later ones, such as those of restarts, are POSTed to the URL with `/` and this id. A request
    that fails because of the network or the server is repeated until it is answered. The server
    makes no offers, so none collide.

        async with HttpSignaling("https://robot.example.org/offer") as signaling:
            async with Negotiator(pc, signaling):
                ...

    Args:
        url: The URL that takes the offers of an `HttpAnswerer`.
        headers: Headers of all requests, such as `Authorization`.
    """

    polite: bool | None = True

    def __init__(self, url: str, *, headers: Mapping[str, str] | None = None) -> None:
        self._url = url.rstrip("/")
        self._headers = dict(headers or {})
        self._id = token_urlsafe(16)
        self._answered = False
        self._events: asyncio.Queue[Event | SignalingClosed | None] = asyncio.Queue()
        self._http: aiohttp.ClientSession | None = None
        self._request: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(headers=self._headers, timeout=TIMEOUT)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Tell the server to close its connection, if it can be reached. It may be called twice."""
        if self._request is not None:
            await end([self._request])
        http, self._http = self._http, None
        if http is None:
            return
        self._events.put_nowait(None)
        async with http:
            if self._answered:
                try:
                    await http.delete(f"{self._url}/{self._id}")
                except (aiohttp.ClientError, TimeoutError, OSError) as error:
                    logger.info("%s: couldn't say goodbye: %s", self._url, error)

    async def send_description(self, description: aiortc.RTCSessionDescription) -> None:
        """Begin to send an offer, instead of the one before.

        Raises:
            SignalingClosed: It is closed, or wasn't entered as a context manager.
        """
        if self._http is None:
            raise SignalingClosed("the signaling is closed, or `async with` is missing")
        if self._request is not None:
            await end([self._request])
        self._request = asyncio.create_task(self._send(self._http, description))

    async def events(self) -> AsyncIterator[Event]:
        """Yield the answers until close() is called.

        Raises:
            SignalingClosed: The server has no connection of this session any more.
        """
        while (event := await self._events.get()) is not None:
            if isinstance(event, SignalingClosed):
                raise event
            yield event

    async def _send(
        self, http: aiohttp.ClientSession, description: aiortc.RTCSessionDescription
    ) -> None:
        """Make a request until there is a response."""
        pause = FIRST_PAUSE
        body = {"type": description.type, "sdp": description.sdp, "session": self._id}
        while True:
            url = f"{self._url}/{self._id}" if self._answered else self._url
            try:
                async with http.post(url, json=body) as response:
                    text = await response.text()
                if response.status not in TRY_AGAIN:
                    break
                reason = f"{response.status} {response.reason}"
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                reason = f"{type(error).__name__} {error}"
            logger.info("%s: no answer, trying again in %g s: %s", self._url, pause, reason)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        self._events.put_nowait(self._event_of(response.status, text))

    def _event_of(self, status: int, text: str) -> Event | SignalingClosed:
        if status in {404, 410} and self._answered:
            return SignalingClosed("the server has no connection of this session any more")
        if status >= 300:
            return Refused(ServerError(str(status), text[:200]))
        try:
            answer = read_description(json.loads(text), "answer")
        except ValueError as error:
            return Refused(BadMessage(str(error)))
        self._answered = True
        return DescriptionReceived("", answer)


class HttpAnswerer:
    """Answers offers that come by HTTP, and keeps the connection of each client.

        def prepare(pc):
            pc.addTrack(relay.subscribe(camera))

        answerer = HttpAnswerer(prepare)
        app = aiohttp.web.Application()
        answerer.add_to(app, "/offer")

    Other frameworks call `connect()`, `renegotiate()` and `hang_up()` from their handlers, and
    `close()` at their end. Check in a middleware who the client is: this class doesn't.

    Args:
        prepare: A function or coroutine function that is called with each new connection, to add
            tracks, channels and listeners. Its errors are those of `connect()`.
        connection: Makes a connection, for a configuration or settings of its own.
        limit: How many connections there may be at a time.
    """

    def __init__(
        self,
        prepare: Callable[[RTCPeerConnection], Awaitable[None] | None],
        *,
        connection: Callable[[], RTCPeerConnection] = RTCPeerConnection,
        limit: int = 100,
    ) -> None:
        self._prepare = prepare
        self._make_connection = connection
        self._limit = limit
        self._sessions: dict[str, _Session] = {}

    @property
    def connections(self) -> Mapping[str, RTCPeerConnection]:
        """The connections, by the ids of their sessions."""
        return {name: session.pc for name, session in self._sessions.items()}

    async def connect(self, offer: Mapping[str, Any]) -> dict[str, str]:
        """Answer the first offer of a client; if it comes again, answer it again.

        Args:
            offer: The JSON of the request: `type`, `sdp`, and a `session` if the client gives one.

        Returns:
            The JSON of the response: `type`, `sdp` and `session`.

        Raises:
            ValueError: The offer is malformed.
            OverflowError: There are too many connections.
        """
        name = offer.get("session") or token_urlsafe(16)
        if not isinstance(name, str) or len(name) > LONGEST_ID:
            raise ValueError(f"session must be a string of at most {LONGEST_ID} characters")
        description = read_description(offer, "offer")
        if name in self._sessions:
            return await self._sessions[name].answer(description)
        if len(self._sessions) >= self._limit:
            raise OverflowError(f"there are {self._limit} connections, which is the limit")
        session = self._sessions[name] = _Session(name, self._make_connection())
        session.pc.on("connectionstatechange", lambda: self._forget(session))
        try:
            return await session.answer(description, self._prepare)
        except BaseException:
            await self.hang_up(name)
            raise

    async def renegotiate(self, session: str, offer: Mapping[str, Any]) -> dict[str, str]:
        """Answer a later offer of a client, as connect() does.

        Raises:
            LookupError: There is no connection of this session.
            ValueError: The offer is malformed.
        """
        if session not in self._sessions:
            raise LookupError("there is no connection of this session")
        return await self._sessions[session].answer(read_description(offer, "offer"))

    async def hang_up(self, session: str) -> None:
        """Close the connection of a client, if there is one."""
        known = self._sessions.pop(session, None)
        if known is not None:
            await known.pc.close()

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*map(self.hang_up, list(self._sessions)))

    def add_to(self, app: web.Application, path: str) -> None:
        """Let an aiohttp application take offers at a path, and close all when it shuts down."""

        async def connect(request: web.Request) -> web.Response:
            answer = await self._respond(self.connect(await read_json(request)))
            location = f"{request.path.rstrip('/')}/{answer['session']}"
            return web.json_response(answer, status=201, headers={"Location": location})

        async def renegotiate(request: web.Request) -> web.Response:
            offer = await read_json(request)
            name = request.match_info["session"]
            return web.json_response(await self._respond(self.renegotiate(name, offer)))

        async def hang_up(request: web.Request) -> web.Response:
            await self.hang_up(request.match_info["session"])
            return web.Response(status=204)

        async def close(_: web.Application) -> None:
            await self.close()

        app.router.add_post(path, connect)
        app.router.add_post(path.rstrip("/") + "/{session}", renegotiate)
        app.router.add_delete(path.rstrip("/") + "/{session}", hang_up)
        app.on_shutdown.append(close)

    async def _respond(self, answering: Awaitable[dict[str, str]]) -> dict[str, str]:
        """Turn the errors of an offer into responses."""
        try:
            return await answering
        except OverflowError as error:
            raise web.HTTPServiceUnavailable(text=str(error)) from error
        except LookupError as error:
            raise web.HTTPNotFound(text=str(error)) from error
        except (ValueError, InvalidAccessError, InvalidStateError) as error:
            raise web.HTTPBadRequest(text=str(error)) from error

    def _forget(self, session: "_Session") -> None:
        if session.pc.connectionState == "closed" and self._sessions.get(session.name) is session:
            del self._sessions[session.name]


class _Session:
    """The connection of a client."""

    def __init__(self, name: str, pc: RTCPeerConnection) -> None:
        self.name = name
        self.pc = pc
        self._turn = asyncio.Lock()

    async def answer(
        self,
        offer: aiortc.RTCSessionDescription,
        prepare: Callable[[RTCPeerConnection], Awaitable[None] | None] = lambda _: None,
    ) -> dict[str, str]:
        """Answer an offer, when those before it are answered."""
        async with self._turn:
            result = prepare(self.pc)
            if inspect.isawaitable(result):
                await result
            await self.pc.setRemoteDescription(offer)
            # Returns with all candidates, as nothing listens for them.
            await self.pc.setLocalDescription()
            answer = self.pc.localDescription
            return {"type": answer.type, "sdp": answer.sdp, "session": self.name}


def read_description(value: object, kind: str) -> aiortc.RTCSessionDescription:
    """Return the description in a JSON object.

    Raises:
        ValueError: It isn't one, or not of this type.
    """
    sdp, given = (value.get("sdp"), value.get("type")) if isinstance(value, Mapping) else (0, 0)
    if not isinstance(sdp, str) or given != kind:
        raise ValueError(f"expected a JSON object with sdp and the type {kind!r}")
    return aiortc.RTCSessionDescription(sdp, kind)


async def read_json(request: web.Request) -> Mapping[str, Any]:
    """Return the JSON object of a request, or refuse the request."""
    try:
        value = await request.json()
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"expected JSON: {error}") from error
    if not isinstance(value, dict):
        raise web.HTTPBadRequest(text="expected a JSON object")
    return value
