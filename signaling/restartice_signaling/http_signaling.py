"""Offers and answers by HTTP: the client POSTs an offer, and the response is the answer.

This is the pattern of aiortc's `server` example. aiohttp is needed, which is in the extra `http`.
"""

import json
import re
from collections.abc import Mapping
from secrets import token_urlsafe
from typing import Any, ClassVar, Final

import aiortc
from yarl import URL

from .client.events import DescriptionReceived, Refused
from .errors import BadMessage, ServerError
from .over_http.endpoint import Handler, HttpEndpoint, HttpRequest, HttpResponse
from .over_http.requests import HttpClient
from .over_http.session import Session

__all__ = ["HttpAnswerer", "HttpRequest", "HttpResponse", "HttpSignaling"]

# What a client may choose as the id of its session.
ID: Final = re.compile(r"[A-Za-z0-9._~-]{1,64}")


class HttpSignaling(HttpClient):
    """Lets a `Negotiator` send its offers to a web server, which answers them.

    The first offer is POSTed to the URL, as JSON with `sdp`, `type` and `session`, a random id.
    Later ones, such as those of restarts, are POSTed to the URL with `/` and this id in its path. A
    request that fails because of the network or the server is repeated until it is answered. The
    server makes no offers, so none collide.

        async with HttpSignaling("https://robot.example.org/offer") as signaling:
            async with Negotiator(pc, signaling):
                ...

    Args:
        url: The URL that takes the offers of an `HttpAnswerer`.
        headers: Headers of all requests, such as `Authorization`.

    Raises:
        ValueError: It isn't a URL of HTTP.
    """

    def __init__(self, url: str, *, headers: Mapping[str, str] | None = None) -> None:
        base, mark, query = url.partition("?")
        base = base.rstrip("/")
        super().__init__(f"{base}{mark}{query}", headers=headers)
        self._id = token_urlsafe(16)
        self._below = URL(f"{base}/{self._id}{mark}{query}")

    async def _send(self, description: aiortc.RTCSessionDescription) -> None:
        body = {"type": description.type, "sdp": description.sdp, "session": self._id}
        self._expected = self._below
        reply = await self._request("POST", self._resource or self._url, json=body)
        if reply.status >= 300:
            error = ServerError(str(reply.status), reply.text[:200])
            self._events.put_nowait(Refused(error))
            return
        try:
            answer = read_description(read_json(reply.text), "answer")
        except ValueError as error:
            self._events.put_nowait(Refused(BadMessage(str(error))))
            return
        self._resource = self._below
        self._events.put_nowait(DescriptionReceived("", answer))


class HttpAnswerer(HttpEndpoint):
    """Answers offers that come by HTTP, and keeps the connection of each client.

        def prepare(pc):
            pc.addTrack(relay.subscribe(camera))

        answerer = HttpAnswerer(prepare)
        app = aiohttp.web.Application()  # or starlette.applications.Starlette(), fastapi.FastAPI()
        answerer.add_to(app, "/offer")

    Other frameworks call `respond()`, or `connect()`, `renegotiate()` and `hang_up()`, from their
    handlers, and `close()` at their end. Check in a middleware who the client is: this class
    doesn't.

    Args:
        prepare: A function or coroutine function that is called with each new connection, to add
            tracks, channels and listeners. Its errors are those of `connect()`.
        connection: Makes a connection, for a configuration or settings of its own.
        limit: How many connections there may be at a time.
    """

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
        if not (isinstance(name, str) and ID.fullmatch(name)):
            raise ValueError("session must have 1 to 64 characters of A-Z, a-z, 0-9, -, _, . and ~")
        if name in self._sessions:
            return await self.renegotiate(name, offer)
        return answer_of(await self._connect(name, read_description(offer, "offer")))

    async def renegotiate(self, session: str, offer: Mapping[str, Any]) -> dict[str, str]:
        """Answer a later offer of a client, as connect() does.

        Args:
            session: The `session` that connect() returned.
            offer: The JSON of the request: `type` and `sdp`.

        Returns:
            The JSON of the response: `type`, `sdp` and `session`.

        Raises:
            LookupError: There is no connection of this session.
            ValueError: The offer is malformed.
        """
        known = self._session(session)
        await known.answer(read_description(offer, "offer"))
        return answer_of(known)

    async def _on_first(self, request: HttpRequest) -> HttpResponse:
        answer = await self.connect(read_json(request.body))
        return in_json(201, answer, Location=request.below(answer["session"]))

    async def _on_later(self, request: HttpRequest) -> HttpResponse:
        offer = read_json(request.body)
        return in_json(200, await self.renegotiate(request.session or "", offer))

    async def _on_delete(self, request: HttpRequest) -> HttpResponse:
        await self.hang_up(request.session or "")
        return HttpResponse(204)

    ON_ENDPOINT: ClassVar[Mapping[str, Handler]] = {"POST": _on_first}
    ON_SESSION: ClassVar[Mapping[str, Handler]] = {"POST": _on_later, "DELETE": _on_delete}


def answer_of(session: Session) -> dict[str, str]:
    """Return the answer of a session in JSON."""
    answer = session.pc.localDescription
    return {"type": answer.type, "sdp": answer.sdp, "session": session.name}


def in_json(status: int, value: Mapping[str, str], **headers: str) -> HttpResponse:
    """Return a response."""
    kind = ("Content-Type", "application/json; charset=utf-8")
    return HttpResponse(status, json.dumps(value), (kind, *headers.items()))


def read_description(value: object, kind: str) -> aiortc.RTCSessionDescription:
    """Return the description in a JSON object.

    Raises:
        ValueError: It isn't one, or not of this type.
    """
    sdp, given = (value.get("sdp"), value.get("type")) if isinstance(value, Mapping) else (0, 0)
    if not isinstance(sdp, str) or given != kind:
        raise ValueError(f"expected a JSON object with sdp and the type {kind!r}")
    return aiortc.RTCSessionDescription(sdp, kind)


def read_json(body: bytes | str) -> Mapping[str, Any]:
    """Return the JSON object of a request or response.

    Raises:
        ValueError: It isn't one.
    """
    try:
        value = json.loads(body)
    except RecursionError as error:
        raise ValueError("too deep") from error
    if not isinstance(value, dict):
        raise ValueError("expected a JSON object")  # noqa: TRY004  bad input, not a wrong call
    return value
