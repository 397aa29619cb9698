"""Connects a client to a server: sockets, hello, welcome, and pauses between attempts."""

import asyncio
import contextlib
import itertools
import logging
import random
import ssl as tls
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.typing import Subprotocol

from ..cancellation import end, finish_within
from ..errors import BadMessage, ServerError, SignalingClosed
from ..protocol.decoding import decode_with_ack
from ..protocol.encoding import encode
from ..protocol.messages import ERROR_CODES, SUBPROTOCOL, Error, Welcome
from ..sockets import ClientSocket
from .events import Event, server_error
from .session import ClientSession

__all__ = [
    "CLOSE_TIMEOUT",
    "OPEN_TIMEOUT",
    "Dialer",
    "TokenSource",
    "failure",
    "pauses",
]

logger = logging.getLogger(__name__)

TokenSource = str | Callable[[], Awaitable[str]]

# In seconds: for the socket, and again for the welcome.
OPEN_TIMEOUT: Final = 10.0
CLOSE_TIMEOUT: Final = 5.0
FRAME_LIMIT: Final = 2**20
# Errors after which another attempt would fail, too.
FINAL_ERRORS: Final = frozenset({"auth", "room-full", "protocol", "too-large"})


class Dialer:
    """Opens sockets on which a session begins or continues.

    Args:
        urls: The URLs of the servers, tried in turn.
        session: The session.
        token: The room token, or a function that returns it.
        ssl: The context for `wss`.
        give_up_after: How many seconds to try to reconnect; None for ever.

    Raises:
        TypeError: The token is neither text nor a function.
        ValueError: A URL isn't one of a WebSocket, there is none, or the time isn't a number.
    """

    def __init__(
        self,
        urls: Sequence[str],
        session: ClientSession,
        *,
        token: TokenSource | None,
        ssl: tls.SSLContext | None,
        give_up_after: float | None,
    ) -> None:
        if not urls:
            raise ValueError("expected the URL of a server, got none")
        for url in urls:
            check_url(url)
        if token is not None and not isinstance(token, str) and not callable(token):
            raise TypeError(f"token must be a string, a function or None, not {type(token)}")
        if give_up_after is not None and not give_up_after >= 0:
            raise ValueError(f"give_up_after must be a number of seconds, not {give_up_after!r}")
        self._urls = itertools.cycle(urls)
        self._url = next(self._urls)
        self._session = session
        self._token = token
        self._ssl = ssl
        self._give_up_after = give_up_after
        self._hurry = asyncio.Event()
        self._not_before = 0.0

    def hurry(self) -> None:
        """Try again at once, and cancel an attempt under way, whose path may be lost."""
        self._hurry.set()

    def wait_at_least(self, seconds: float) -> None:
        """Wait at least so long before the next attempt, as the server asked."""
        self._not_before = time.monotonic() + seconds

    async def dial_again(self) -> tuple[ClientConnection, list[Event]]:
        """Reconnect; return the socket and the events for the application.

        Raises:
            ServerError: The server refuses the client.
            SignalingClosed: The server can't be reached for too long.
        """
        started = time.monotonic()
        for pause in pauses(random.random):
            lost_for = time.monotonic() - started
            if self._give_up_after is not None and lost_for > self._give_up_after:
                raise SignalingClosed(f"the server can't be reached for {lost_for:.0f} s")
            await self._pause(max(pause, self._not_before - time.monotonic()))
            try:
                if (opened := await self._dial_unless_hurried()) is not None:
                    return opened
            except SignalingClosed as error:
                self._log_retry(error)
                self._url = next(self._urls)
            except ServerError as error:
                if error.code in FINAL_ERRORS:
                    raise
                self._log_retry(error)
                self.wait_at_least((error.retry_after or 0) * random.random())
                self._url = next(self._urls)
        raise AssertionError

    def _log_retry(self, error: SignalingClosed | ServerError) -> None:
        logger.info("%s: trying again: %s", self._session.label, failure(error))

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        self._hurry.clear()

    async def _dial_unless_hurried(self) -> tuple[ClientConnection, list[Event]] | None:
        dialing = asyncio.ensure_future(self.dial())
        hurried = asyncio.ensure_future(self._hurry.wait())
        try:
            await asyncio.wait([dialing, hurried], return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            await _drop(dialing)
            raise
        finally:
            hurried.cancel()
        if self._hurry.is_set():
            # The socket may use the path that is lost.
            await _drop(dialing)
            return None
        return dialing.result()

    async def dial(self) -> tuple[ClientConnection, list[Event]]:
        """Open a socket, send the hello, and read the welcome.

        Returns:
            The socket, and the events for the application.

        Raises:
            ServerError: The server refuses the client.
            SignalingClosed: The server can't be reached, or doesn't speak the protocol.
        """
        token = await self._get_token()
        socket = await self._open_socket()
        try:
            async with asyncio.timeout(OPEN_TIMEOUT):
                await socket.send(encode(self._session.hello(token)))
                events = self._session.take_welcome(await _receive_welcome(socket))
        except BaseException as error:
            socket.transport.abort()
            if isinstance(error, TimeoutError | BadMessage | ConnectionClosed):
                raise SignalingClosed(
                    f"no welcome from the server: {error or 'timeout'}"
                ) from error
            raise
        return socket, events

    async def _get_token(self) -> str | None:
        if not callable(self._token):
            return self._token
        try:
            # The program's function may ignore a cancellation.
            return await finish_within(OPEN_TIMEOUT, _call(self._token))
        except Exception as error:  # the network may come back
            raise SignalingClosed(f"can't get a token: {error}") from error

    async def _open_socket(self) -> ClientConnection:
        is_secure = self._url.lower().startswith("wss:")
        try:
            return await connect(
                self._url,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                ssl=self._ssl or (True if is_secure else None),
                compression=None,
                open_timeout=OPEN_TIMEOUT,
                close_timeout=CLOSE_TIMEOUT,
                ping_interval=None,
                max_size=FRAME_LIMIT,
                create_connection=ClientSocket,
            )
        except (OSError, InvalidHandshake, InvalidURI, TimeoutError, EOFError) as error:
            raise SignalingClosed(f"can't reach the signaling server: {error}") from error


async def _drop(dialing: asyncio.Future[tuple[ClientConnection, list[Event]]]) -> None:
    # Close the socket even if this call is cancelled.
    dialing.add_done_callback(_abort)
    await end([dialing])


def check_url(url: object) -> None:
    """Raise ValueError unless this is the URL of a WebSocket."""
    parts = urlsplit(url) if isinstance(url, str) else None
    # An impossible port raises a ValueError, too.
    if parts is None or parts.scheme not in {"ws", "wss"} or not parts.hostname or parts.port == 0:
        raise ValueError(f"expected a URL that begins with ws:// or wss://, got {url!r}")


def _abort(dialing: asyncio.Future[tuple[ClientConnection, list[Event]]]) -> None:
    if not dialing.cancelled() and dialing.exception() is None:
        dialing.result()[0].transport.abort()


async def _call(source: Callable[[], Awaitable[str]]) -> str:
    return await source()


async def _receive_welcome(socket: ClientConnection) -> Welcome:
    message, _ = decode_with_ack(await socket.recv())
    if isinstance(message, Error):
        raise server_error(message)
    if not isinstance(message, Welcome):
        raise BadMessage(f"the first message must be a welcome, not {type(message).__name__}")
    return message


def failure(error: SignalingClosed | ServerError) -> str:
    """Return a text for the log, without parts that may contain a token or a URL."""
    if isinstance(error, ServerError):
        code = error.code if error.code in ERROR_CODES else "unknown code"
        return f"the server refused ({code})"
    cause = "" if error.__cause__ is None else f" ({type(error.__cause__).__name__})"
    return f"no connection to the server{cause}"


def pauses(chance: Callable[[], float]) -> Iterator[float]:
    """Yield the pauses before attempts to reconnect: 0, then up to 0.3, 1.2, 2.7, 4.8, 7 s.

    Args:
        chance: Returns a random number between 0 and 1, so that clients that lost the same server
            don't reconnect in step.
    """
    attempt = 0
    while True:
        yield chance() * min(7.0, 0.3 * attempt**2)
        attempt += 1
