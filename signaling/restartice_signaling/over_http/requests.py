"""Requests of a client, which are repeated until the network and the server are back."""

import asyncio
import email.utils
import logging
import re
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import aiohttp
import aiortc
from yarl import URL

from ..cancellation import end
from ..client.events import Event, Refused
from ..errors import ServerError, SignalingClosed
from .links import Link, read_links

__all__ = ["HttpClient", "Reply"]

logger = logging.getLogger(__name__)

# How many seconds a request may take, and how many to wait before it is made again.
TIMEOUT: Final = aiohttp.ClientTimeout(total=5.0)
FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 2.0
# The longest time that a server may ask for, in seconds.
LONGEST_RETRY_AFTER: Final = 300.0
# The server or its proxy can't answer now. (RFC 9110 section 15.5.9 and 15.6, RFC 6585 section 4)
TRY_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Reply:
    """A response that tells the result of a request."""

    status: int
    reason: str
    text: str
    headers: Mapping[str, str]
    url: URL
    links: tuple[Link, ...]


class HttpClient(ABC):
    """A channel that sends each description in a request of its own.

    Args:
        url: Where the first request goes.
        headers: Headers of all requests, such as `Authorization`.

    Raises:
        ValueError: It isn't a URL of HTTP.
    """

    polite: bool | None = True

    def __init__(self, url: str, *, headers: Mapping[str, str] | None = None) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"url must begin with http:// or https://, not {url!r}")
        # Raises a ValueError for what isn't a URL.
        if not URL(url).host:
            raise ValueError(f"url must have a host, got {url!r}")
        self._url = url
        # What the server has made for this client.
        self._resource: URL | None = None
        # What it may have made, though its answer hasn't come.
        self._expected: URL | None = None
        self._headers = dict(headers or {})
        self._events: asyncio.Queue[Event | SignalingClosed | None] = asyncio.Queue()
        self._http: aiohttp.ClientSession | None = None
        self._exchange: asyncio.Task[None] | None = None
        self._sending = ""
        # Whether no request waits for its response.
        self._idle = asyncio.Event()
        self._idle.set()

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(headers=self._headers, timeout=TIMEOUT)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Tell the server to close its connection, if it can be reached. It may be called twice."""
        if self._exchange is not None:
            if self._resource is None and self._expected is None:
                # The response to the offer tells what is to be deleted.
                await self._idle.wait()
            await end([self._exchange])
        http, self._http = self._http, None
        if http is None:
            return
        self._events.put_nowait(None)
        async with http:
            if (made := self._resource or self._expected) is not None:
                try:
                    await http.delete(made)
                except (aiohttp.ClientError, TimeoutError, OSError) as error:
                    logger.info("%s: couldn't say goodbye: %s", self._url, error)

    async def send_description(self, description: aiortc.RTCSessionDescription) -> None:
        """Begin to send a description, in place of an earlier one that is being sent.

        Args:
            description: The description, with all its candidates.

        Raises:
            SignalingClosed: The signaling is closed, or `async with` is missing.
        """
        if self._http is None:
            raise SignalingClosed("the signaling is closed, or `async with` is missing")
        if self._exchange is not None:
            # A Negotiator that has no answer yet sends its offer again, maybe with more candidates.
            again = origin_of(self._sending) == origin_of(description.sdp)
            if again and not self._exchange.done():
                return
            await end([self._exchange])
        self._sending = description.sdp
        self._exchange = asyncio.create_task(self._run(description))

    async def events(self) -> AsyncIterator[Event]:
        """Yield the answers until close() is called.

        Raises:
            SignalingClosed: The server has no connection of this session any more.
        """
        while (event := await self._events.get()) is not None:
            if isinstance(event, SignalingClosed):
                raise event
            yield event

    @abstractmethod
    async def _send(self, description: aiortc.RTCSessionDescription) -> None:
        """Make the requests for a description, and put the events of the responses."""

    async def _run(self, description: aiortc.RTCSessionDescription) -> None:
        try:
            await self._send(description)
        except SignalingClosed as error:
            self._events.put_nowait(error)

    async def _request(
        self, method: str, url: str | URL, *, headers: Mapping[str, str] | None = None, **body: Any
    ) -> Reply:
        """Make a request until there is a response that tells the result.

        Raises:
            SignalingClosed: The server has no connection of this session any more.
        """
        pause = FIRST_PAUSE
        while True:
            if self._http is None:
                raise SignalingClosed("the signaling is closed")
            wait = pause
            self._idle.clear()
            try:
                async with self._http.request(method, url, headers=headers, **body) as response:
                    reply = await read_reply(response)
                if reply.status not in TRY_AGAIN:
                    break
                reason = f"{reply.status} {reply.reason}"
                if (asked := retry_after(reply.headers.get("Retry-After", ""))) is not None:
                    wait = max(pause, asked)
                    error = ServerError(str(reply.status), reply.text[:200], retry_after=asked)
                    self._events.put_nowait(Refused(error))
            except aiohttp.TooManyRedirects as error:
                return endless(error)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                reason = f"{type(error).__name__} {error}"
            finally:
                self._idle.set()
            logger.info("%s: no answer, trying again in %g s: %s", self._url, wait, reason)
            await asyncio.sleep(wait)
            pause = min(2 * pause, LONGEST_PAUSE)
        if reply.status in {404, 410} and self._resource is not None:
            raise SignalingClosed("the server has no connection of this session any more")
        return reply


def origin_of(sdp: str) -> str:
    """Return the origin line of a description, which only candidates leave as it is."""
    found = re.search(r"^o=.*", sdp, re.MULTILINE)
    return found[0] if found else ""


async def read_reply(response: aiohttp.ClientResponse) -> Reply:
    """Return what a response says; what is malformed of its links counts for nothing."""
    links: list[Link] = []
    try:
        links.extend(read_links(response.headers.getall("Link", ())))
    except ValueError as error:
        logger.warning("%s: a malformed Link: %s", response.url, error)
    text = await response.text(errors="replace")
    headers, reason = response.headers, response.reason or ""
    return Reply(response.status, reason, text, headers, response.url, tuple(links))


def endless(error: aiohttp.TooManyRedirects) -> Reply:
    """Return the last redirection, when there were too many: the next request would get as many."""
    last = error.history[-1]
    text = f"{len(error.history)} redirections, the last one from {last.url}"
    return Reply(last.status, last.reason or "", text, last.headers, last.url, ())


def retry_after(value: str) -> float | None:
    """Return the seconds that Retry-After asks for, or None (RFC 9110 section 10.2.3)."""
    try:
        wait = float(min(int(value), LONGEST_RETRY_AFTER))
    except ValueError:
        try:
            wait = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return min(max(0.0, wait), LONGEST_RETRY_AFTER)
