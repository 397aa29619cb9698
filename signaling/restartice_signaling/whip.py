"""WHIP and WHEP: media to and from a server by HTTP, with one request for the offer.

WHIP (RFC 9725) publishes, WHEP (draft-ietf-wish-whep) plays. ICE is restarted by a request with the
new credentials. aiohttp is needed, which is in the extra `http`.
"""

import logging
import re
from asyncio import Queue
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from secrets import token_urlsafe
from typing import ClassVar, Final

import aiortc
from aiortc.exceptions import OperationError
from yarl import URL

from restartice import RTCIceCandidate, RTCPeerConnection

from .client.events import DescriptionReceived, IceServersReceived, Refused
from .errors import BadMessage, ServerError, SignalingClosed
from .over_http.endpoint import Handler, HttpEndpoint, HttpRequest, HttpResponse
from .over_http.fragments import (
    Fragment,
    answer_again,
    apply_fragment,
    fragment_of,
    ice_of,
    read_fragment,
    tagged_mid,
)
from .over_http.requests import HttpClient, Reply
from .over_http.session import Prepare

__all__ = [
    "HttpRequest",
    "HttpResponse",
    "WhepClient",
    "WhepEndpoint",
    "WhipClient",
    "WhipEndpoint",
]

logger = logging.getLogger(__name__)

SDP: Final = "application/sdp"
FRAGMENT: Final = "application/trickle-ice-sdpfrag"
# The server has no PATCH, or not for this.
UNSUPPORTED: Final = frozenset({405, 415, 422, 501})
# RFC 6750 section 2.1.
TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
EXPOSED: Final = (
    ("Access-Control-Expose-Headers", "Location, ETag, Link, Retry-After"),
    ("Access-Control-Allow-Methods", "POST, PATCH, DELETE, OPTIONS"),
    ("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match"),
)


class WhipClient(HttpClient):
    """Lets a `Negotiator` publish to a WHIP endpoint (RFC 9725), and restart ICE there.

    The first offer is POSTed, candidates that are found later and restarts are PATCHed, and the
    session is DELETEd in the end. A request that fails because of the network or the server is
    repeated until it is answered. WHIP has no other negotiation: what you add after the first offer
    is refused.

        pc = RTCPeerConnection(RTCConfiguration(bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        async with WhipClient("https://example.org/whip/robot", token="…") as signaling:
            async with Negotiator(pc, signaling):
                pc.addTrack(camera)

    The endpoint's STUN and TURN servers (`Link`) are used from the next restart on. What it refuses
    goes to the Negotiator's `on_error`, as a `ServerError` whose code is the status. When it has
    forgotten the session, or can't restart ICE, `Negotiator.wait_closed()` raises SignalingClosed:
    make a new connection then.

    Args:
        url: The URL of the endpoint.
        token: The bearer token, without the word `Bearer`.
        headers: Further headers of all requests.

    Raises:
        ValueError: It isn't a URL of HTTP, or the token isn't one of RFC 6750.
    """

    def __init__(
        self, url: str, *, token: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        if token is not None and not TOKEN.fullmatch(token):
            raise ValueError("token must be a bearer token as in RFC 6750 section 2.1")
        bearer = {} if token is None else {"Authorization": f"Bearer {token}"}
        super().__init__(url, headers={**(headers or {}), **bearer})
        self._etag: str | None = None
        # Our last description that counts, and the server's.
        self._agreed = self._answer = ""
        self._candidates: Queue[RTCIceCandidate] = Queue()
        self._trickles = True

    async def send_description(self, description: aiortc.RTCSessionDescription) -> None:
        """Begin to send a description, in place of an earlier one that is being sent.

        Args:
            description: An offer, or the answer to an offer of the endpoint.

        Raises:
            SignalingClosed: The signaling is closed, or `async with` is missing.
        """
        if description.type == "answer" and self._resource is not None:
            # An offer that follows it must not take its place.
            await self._answer_counter_offer(self._resource, description)
        await super().send_description(description)

    async def send_candidate(self, candidate: aiortc.RTCIceCandidate | None) -> None:
        """Send a candidate when its description is answered.

        Args:
            candidate: The candidate; None, the end of candidates, isn't sent.
        """
        if candidate is not None and self._trickles:
            self._candidates.put_nowait(RTCIceCandidate(**vars(candidate)))

    async def _send(self, description: aiortc.RTCSessionDescription) -> None:
        if not self._answer:
            sent = await self._begin(description)
        elif self._resource is None:
            raise SignalingClosed("ICE can't be restarted: the server gave no Location")
        else:
            sent = description.type == "answer" or await self._continue(self._resource, description)
        while sent and self._trickles and self._resource is not None:
            await self._trickle(self._resource, description.sdp)

    async def _begin(self, offer: aiortc.RTCSessionDescription) -> bool:
        reply = await self._request("POST", self._url, data=offer.sdp, headers=of_type(SDP))
        countered = reply.status == 406 and has_type(reply.headers, SDP)
        if reply.status >= 300 and not countered:
            return self._refuse(reply)
        if not reply.text.startswith("v="):
            return self._complain(f"expected a description as the answer, got {reply.text[:80]!r}")
        if self._http is not None and reply.url.origin() != URL(self._url).origin():
            # The redirection has taken the token away, and the session is there, too.
            self._http.headers.popall("Authorization", None)
        try:
            location = reply.headers.get("Location")
            self._resource = None if location is None else reply.url.join(URL(location))
        except ValueError as error:
            return self._complain(f"expected a URL as Location: {error}")
        self._etag = reply.headers.get("ETag")
        self._agreed, self._answer = offer.sdp, reply.text
        if servers := ice_servers_in(reply):
            self._events.put_nowait(IceServersReceived(servers))
        self._tell(reply.text, "offer" if countered else "answer")
        return not countered

    async def _answer_counter_offer(
        self, resource: URL, answer: aiortc.RTCSessionDescription
    ) -> None:
        """Send the answer to a counter-offer; after that, the roles in DTLS stay as they are."""
        reply = await self._request("PATCH", resource, data=answer.sdp, headers=of_type(SDP))
        if reply.status >= 300:
            self._refuse(reply)
            return
        self._etag = reply.headers.get("ETag", self._etag)
        role = "active" if "a=setup:passive" in answer.sdp else "passive"
        self._agreed = answer.sdp
        self._answer = self._answer.replace("a=setup:actpass", f"a=setup:{role}")

    async def _continue(self, resource: URL, offer: aiortc.RTCSessionDescription) -> bool:
        """Restart ICE, and refuse what else a later offer asks for."""
        restarts = ice_of(offer.sdp) != ice_of(self._agreed)
        if restarts:
            headers = {**of_type(FRAGMENT), "If-Match": "*"}
            body = fragment_of(offer.sdp)
            reply = await self._request("PATCH", resource, data=body, headers=headers)
            if reply.status in UNSUPPORTED:
                raise SignalingClosed(f"the server can't restart ICE: {reply.status} {reply.text}")
            if reply.status >= 300:
                return self._refuse(reply)
            try:
                self._answer = apply_fragment(self._answer, read_fragment(reply.text))
            except ValueError as error:
                return self._complain(f"expected a fragment as the answer to a restart: {error}")
            self._etag = reply.headers.get("ETag", self._etag)
            self._agreed = offer.sdp
        answer, adds = answer_again(self._answer, offer.sdp)
        if adds or not restarts:
            refusal = ServerError("renegotiation", "WHIP allows only a first offer, and restarts")
            self._events.put_nowait(Refused(refusal))
        self._tell(answer, "answer")
        return True

    async def _trickle(self, resource: URL, sdp: str) -> None:
        """Send the candidates that have been found since the last request."""
        found = [await self._candidates.get()]
        while not self._candidates.empty():
            found.append(self._candidates.get_nowait())
        ufrag, mid = ice_of(sdp)[0], tagged_mid(sdp)
        lines = [
            candidate.candidate
            for candidate in found
            if candidate.usernameFragment == ufrag and candidate.sdpMid == mid
        ]
        if not lines:
            return
        headers = of_type(FRAGMENT) | ({"If-Match": self._etag} if self._etag else {})
        body = fragment_of(sdp, lines)
        reply = await self._request("PATCH", resource, data=body, headers=headers)
        if reply.status in UNSUPPORTED:
            logger.info("%s: the server takes no candidates: status %d", self._url, reply.status)
            self._trickles = False
        elif reply.status >= 300:
            self._refuse(reply)

    def _tell(self, sdp: str, kind: str) -> None:
        self._events.put_nowait(DescriptionReceived("", aiortc.RTCSessionDescription(sdp, kind)))

    def _complain(self, message: str) -> bool:
        self._events.put_nowait(Refused(BadMessage(message)))
        return False

    def _refuse(self, reply: Reply) -> bool:
        error = ServerError(str(reply.status), f"{reply.reason}: {reply.text[:200]}")
        self._events.put_nowait(Refused(error))
        return False


class WhepClient(WhipClient):
    """A `WhipClient` for WHEP: it lets a `Negotiator` play from an endpoint.

    If the endpoint makes an offer instead of an answer, that is answered.

        async with WhepClient("https://example.org/whep/robot") as signaling:
            async with Negotiator(pc, signaling):
                pc.addTransceiver("video", direction="recvonly")
    """


class WhipEndpoint(HttpEndpoint):
    """Takes offers as a WHIP endpoint (RFC 9725), and keeps the connection of each client.

        def prepare(pc):
            pc.on("track", recorder.addTrack)

        endpoint = WhipEndpoint(prepare)
        app = aiohttp.web.Application()  # or starlette.applications.Starlette(), fastapi.FastAPI()
        endpoint.add_to(app, "/whip")

    Other frameworks call `respond()` from their handlers, and `close()` at their end. Check the
    bearer token in a middleware: this class doesn't.

    Args:
        prepare: A function or coroutine function that is called with each new connection, to add
            tracks and listeners. A ValueError that it raises refuses the offer. An exception that
            the framework turns into a response, such as FastAPI's HTTPException, is sent as one.
        connection: Makes a connection, for a configuration or settings of its own.
        limit: How many connections there may be at a time.
        ice_servers: Returns the STUN and TURN servers for a new client.
        allow_origin: The origin of pages that may use it, or `"*"`. Other pages can't, except for
            those of its own origin.
    """

    def __init__(
        self,
        prepare: Prepare,
        *,
        connection: Callable[[], RTCPeerConnection] = RTCPeerConnection,
        limit: int = 100,
        ice_servers: Callable[[], Sequence[aiortc.RTCIceServer]] = tuple,
        allow_origin: str | None = None,
    ) -> None:
        super().__init__(prepare, connection=connection, limit=limit)
        self._ice_servers = ice_servers
        self._allowed = (
            ()
            if allow_origin is None
            else (("Access-Control-Allow-Origin", allow_origin), *EXPOSED)
        )

    async def respond(self, request: HttpRequest) -> HttpResponse:
        """Return the response to a request, for frameworks that add_to() doesn't know.

        Args:
            request: The request. If it is wrong, the status of the response tells why.
        """
        response = await super().respond(request)
        return replace(response, headers=(*response.headers, *self._allowed))

    async def _on_offer(self, request: HttpRequest) -> HttpResponse:
        if not has_type(request.headers, SDP):
            return HttpResponse(415, f"expected {SDP}", (("Accept-Post", SDP),))
        offer = aiortc.RTCSessionDescription(request.body.decode(), "offer")
        session = await self._connect(token_urlsafe(16), offer)
        headers = [
            ("Content-Type", SDP),
            ("Location", request.below(session.name)),
            ("ETag", session.etag),
            *(("Link", link) for server in self._ice_servers() for link in links_to(server)),
        ]
        return HttpResponse(201, session.pc.localDescription.sdp, tuple(headers))

    async def _on_fragment(self, request: HttpRequest) -> HttpResponse:
        session = self._session(request.session)
        if not has_type(request.headers, FRAGMENT):
            return HttpResponse(415, f"expected {FRAGMENT}", (("Accept-Patch", FRAGMENT),))
        asked = request.headers.get("If-Match")
        if asked is None:
            return HttpResponse(428, "expected If-Match, with the ETag, or * to restart ICE")
        fragment = read_fragment(request.body.decode())
        async with session.turn:
            # RFC 9725 has the asterisk in quotes in its example.
            is_any = asked.strip() in {"*", '"*"'}
            if not is_any and session.etag not in map(str.strip, asked.split(",")):
                return HttpResponse(412, "ICE was restarted since")
            offer = session.pc.remoteDescription.sdp
            if fragment.ufrag and (fragment.ufrag, fragment.pwd) != ice_of(offer):
                offer = apply_fragment(offer, fragment)
                await session.answer_now(aiortc.RTCSessionDescription(offer, "offer"))
            else:
                await add_candidates(session.pc, fragment)
                # Whoever didn't get the answer to a restart asks again.
                if not (is_any and session.restarts):
                    return HttpResponse(204)
            headers = (("Content-Type", FRAGMENT), ("ETag", session.etag))
            return HttpResponse(200, fragment_of(session.pc.localDescription.sdp), headers)

    async def _on_delete(self, request: HttpRequest) -> HttpResponse:
        await self.hang_up(self._session(request.session).name)
        return HttpResponse(200)

    async def _on_options(self, request: HttpRequest) -> HttpResponse:
        allow = ", ".join(self.ON_ENDPOINT if request.session is None else self.ON_SESSION)
        return HttpResponse(200, "", (("Allow", allow), ("Accept-Post", SDP)))

    async def _on_get(self, _: HttpRequest) -> HttpResponse:
        return HttpResponse(204)

    OTHERS: ClassVar[Mapping[str, Handler]] = {
        "OPTIONS": _on_options,
        "GET": _on_get,
        "HEAD": _on_get,
    }
    ON_ENDPOINT: ClassVar[Mapping[str, Handler]] = {"POST": _on_offer, **OTHERS}
    ON_SESSION: ClassVar[Mapping[str, Handler]] = {
        "PATCH": _on_fragment,
        "DELETE": _on_delete,
        **OTHERS,
    }


class WhepEndpoint(WhipEndpoint):
    """A `WhipEndpoint` for WHEP: it takes offers to play, and `prepare` adds tracks to send.

    def prepare(pc):
        pc.addTrack(relay.subscribe(camera))

    WhepEndpoint(prepare).add_to(app, "/whep")
    """


async def add_candidates(pc: RTCPeerConnection, fragment: Fragment) -> None:
    """Add the candidates of a fragment, except for those that can't be used."""
    for mid, line in fragment.candidates:
        text = "" if line == "end-of-candidates" else line
        init = {"candidate": text, "sdpMid": mid or None, "sdpMLineIndex": None if mid else 0}
        try:
            await pc.addIceCandidate(RTCIceCandidate.fromJSON(init))
        except (ValueError, OperationError) as error:
            logger.info("%s: a candidate that can't be used: %s", pc, error)


def of_type(kind: str) -> dict[str, str]:
    """Return the header for the type of a body."""
    return {"Content-Type": kind}


def has_type(headers: Mapping[str, str], kind: str) -> bool:
    """Return whether a body has a type, whatever its parameters."""
    return headers.get("Content-Type", "").partition(";")[0].strip().lower() == kind


def ice_servers_in(reply: Reply) -> tuple[aiortc.RTCIceServer, ...]:
    """Return the STUN and TURN servers in the links of a response (RFC 9725 section 4.6)."""
    return tuple(
        aiortc.RTCIceServer(
            link.target, link.parameters.get("username"), link.parameters.get("credential")
        )
        for link in reply.links
        if link.has_rel("ice-server")
    )


def links_to(server: aiortc.RTCIceServer) -> list[str]:
    """Return the links to a server, one for each of its URLs."""
    urls = [server.urls] if isinstance(server.urls, str) else server.urls
    given = {"username": server.username, "credential": server.credential}
    quoted = {key: re.sub(r'(["\\])', r"\\\1", value) for key, value in given.items() if value}
    attributes = "".join(f'; {key}="{value}"' for key, value in quoted.items())
    return [f'<{url}>; rel="ice-server"{attributes}' for url in urls]
