"""Signaling over a data channel of the connection itself, with another signaling behind it."""

import asyncio
import json
import logging
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, Final

import aiortc

from restartice import DataChannelIdError, RTCIceCandidate, RTCPeerConnection

from ..cancellation import end
from ..client.events import CandidateReceived, DescriptionReceived, Event
from ..errors import NoPeer, SignalingClosed
from .callable_channel import read_message
from .channel import SignalingChannel, TrickleChannel
from .matching import with_attribute
from .politeness import ufrags_in

__all__ = ["InBandChannel"]

logger = logging.getLogger(__name__)

UNACKNOWLEDGED: Final = "%s: no acknowledgment of the %s in band: using the server"
SERVER_ENDED: Final = "%s: the signaling has ended; the data channel carries on: %s"

# Both sides make the channel, so that a program on a side that doesn't gets no event for it.
LABEL: Final = "restartice-negotiation"
# The highest that Chromium allows.
CHANNEL_ID: Final = 1023
VERSION: Final = 1
# For how many seconds to wait for an acknowledgment, before a message is sent by the server, too.
PATIENCE: Final = 1.0
# A description that is sent by the server has its number in the channel in this attribute.
NUMBER: Final = re.compile(r"^a=x-restartice-number:(\d{1,15})\r?\n", re.MULTILINE)
# How many messages may wait for the Negotiator. Others aren't acknowledged, so come by the server.
MOST_WAITING: Final = 1000
# How many candidates may wait for their description.
MOST_HELD: Final = 100


class InBandChannel:
    """Carries the messages of a Negotiator in a data channel, and by the server if that fails.

    Each message in the data channel has a number, which the other side acknowledges. A message that
    isn't acknowledged in time is sent by the server, too, with its number. The data channel has all
    descriptions in their order, so the receiver drops those that aren't newer than what it has. If
    an offer comes again whose answer isn't acknowledged, the answer is sent by the server again.

    Args:
        pc: The connection.
        server: The signaling that is used until the data channel is open, and when it fails.
        on_agreed: Called when the other side has turned out to use the data channel, too.
    """

    def __init__(
        self, pc: RTCPeerConnection, server: SignalingChannel, on_agreed: Callable[[], None]
    ) -> None:
        self._pc = pc
        self._server = server
        self._on_agreed = on_agreed
        self._channel: aiortc.RTCDataChannel | None = None
        self._agreed = False
        # Whether the last message wasn't acknowledged in time.
        self._doubted = False
        self._number = 0
        self._unacknowledged: dict[int, asyncio.Future[None]] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._overdue: asyncio.Queue[Callable[[], Coroutine[Any, Any, None]]] = asyncio.Queue()
        self._incoming: asyncio.Queue[Event | Exception | None] = asyncio.Queue()
        self._closed = asyncio.Event()
        # Our last description, its number, and the number of theirs before it.
        self._last_sent: aiortc.RTCSessionDescription | None = None
        self._last_number = 0
        self._replied_to = 0
        # The other side's last description: its number, and what it is if it came without one.
        self._taken = 0
        self._unnumbered = ""
        self._ufrags: set[str] = set()
        self._held: deque[CandidateReceived] = deque(maxlen=MOST_HELD)

    @property
    def polite(self) -> bool | None:
        """Whether the server says that this side is the polite peer."""
        return self._server.polite

    @property
    def works(self) -> bool:
        """Whether messages need no server at the moment."""
        lost = self._pc.iceConnectionState in {"disconnected", "failed", "closed"}
        return self._is_open and not lost and not self._doubted

    @property
    def agreed(self) -> bool:
        """Whether the other side uses the data channel, too, and drops what it has already."""
        return self._agreed

    @property
    def _is_open(self) -> bool:
        opened = self._channel is not None and self._channel.readyState == "open"
        return opened and self._agreed

    def prepare(self) -> None:
        """Make the data channel, if there is none yet, and no other channel has its id.

        That of an earlier Negotiator has it until it is closed.
        """
        if self._channel is None:
            try:
                channel = self._pc.createDataChannel(LABEL, negotiated=True, id=CHANNEL_ID)
            except DataChannelIdError as error:
                logger.info("%s: negotiates by the server for now: %s", self._pc, error)
                return
            channel.on("open", self._say_hello)
            channel.on("message", self._receive)
            channel.on("close", self._closed.set)
            self._channel = channel

    def close(self) -> None:
        """Close the data channel."""
        for timer in self._timers.values():
            timer.cancel()
        if self._channel is not None and self._channel.readyState in {"connecting", "open"}:
            self._channel.close()

    async def send_description(self, description: aiortc.RTCSessionDescription) -> None:
        """Send a description in the data channel, and by the server if it isn't acknowledged.

        Raises:
            SignalingClosed: There is neither a data channel nor a server.
        """
        last, self._last_sent = self._last_sent, description
        acknowledged = self._unacknowledged.get(self._last_number)
        if acknowledged is None or last is None or _identity(last) != _identity(description):
            acknowledged = self._post(_json_of(description))
            self._last_number = 0 if acknowledged is None else self._number
            self._replied_to = self._taken
        if acknowledged is None:
            await self._server.send_description(description)
        elif not await self._arrives(acknowledged):
            logger.info(UNACKNOWLEDGED, self._pc, description.type)
            sending = self._server.send_description(_with_number(description, self._last_number))
            await self._send_by_server(sending, acknowledged)

    async def send_candidate(self, candidate: RTCIceCandidate | None) -> None:
        """Send a candidate in the data channel, and by the server if it isn't acknowledged."""
        init = None if candidate is None else RTCIceCandidate(**vars(candidate)).toJSON()
        acknowledged = self._post({"candidate": init})
        if acknowledged is not None and self.works:
            self._watch(self._number, candidate)
        elif isinstance(self._server, TrickleChannel):
            sending = self._server.send_candidate(candidate)
            await (sending if acknowledged is None else self._send_by_server(sending, acknowledged))

    async def events(self) -> AsyncIterator[Event]:
        """Yield the events of both, until neither works any more.

        Raises:
            SignalingClosed: The server is lost, and the data channel closed.
        """
        tasks = [asyncio.create_task(self._follow_server()), asyncio.create_task(self._resend())]
        try:
            while (event := await self._incoming.get()) is not None:
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            await end(tasks)

    # Sending.

    def _post(self, message: dict[str, Any]) -> asyncio.Future[None] | None:
        """Send a message in the data channel; return what tells of its acknowledgment."""
        if not self._is_open:
            return None
        assert self._channel is not None
        number = self._number + 1
        try:
            self._channel.send(json.dumps({"id": number, **message}))
        except ValueError as error:  # it is larger than the other side's limit
            logger.info("%s: the server must carry a message: %s", self._pc, error)
            return None
        self._number = number
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unacknowledged[number] = acknowledged
        return acknowledged

    async def _arrives(self, acknowledged: asyncio.Future[None]) -> bool:
        """Return whether a message is acknowledged in time."""
        try:
            async with asyncio.timeout(PATIENCE if self.works else 0):
                await asyncio.shield(acknowledged)
        except TimeoutError:
            self._doubted = True
            return False
        return True

    async def _send_by_server(
        self, sending: Coroutine[Any, Any, None], acknowledged: asyncio.Future[None]
    ) -> None:
        """Send by the server, unless the message is acknowledged while that waits for a peer."""
        task = asyncio.create_task(sending)
        try:
            await asyncio.wait({task, acknowledged}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                await task
        except SignalingClosed:
            # The data channel delivers it when the path is back.
            if not self._is_open:
                raise
        finally:
            await end([task])

    def _watch(self, number: int, candidate: RTCIceCandidate | None) -> None:
        """Send a candidate by the server if it isn't acknowledged in time."""

        def expire() -> None:
            self._timers.pop(number, None)
            if number in self._unacknowledged and isinstance(self._server, TrickleChannel):
                self._doubted = True
                self._overdue.put_nowait(partial(self._server.send_candidate, candidate))

        loop = asyncio.get_running_loop()
        self._timers[number] = loop.call_later(PATIENCE, expire)

    async def _resend(self) -> None:
        while True:
            send = await self._overdue.get()
            with suppress(SignalingClosed, NoPeer):
                await send()

    # Receiving.

    async def _follow_server(self) -> None:
        error: Exception | None = None
        try:
            async for event in self._server.events():
                self._take_from_server(event)
        except Exception as raised:  # noqa: BLE001  it is raised by events()
            error = raised
        if self._is_open:
            logger.info(SERVER_ENDED, self._pc, error or "bye")
            await self._closed.wait()
        self._incoming.put_nowait(error)

    def _take_from_server(self, event: Event) -> None:
        if not isinstance(event, DescriptionReceived):
            self._take(event)
            return
        description = event.description
        number = NUMBER.search(description.sdp)
        if number is not None:
            sdp = NUMBER.sub("", description.sdp)
            description = aiortc.RTCSessionDescription(sdp, description.type)
            self._take_numbered(DescriptionReceived(event.peer, description), int(number[1]))
            if int(number[1]) == self._replied_to:
                self._repeat_answer()
        elif not self._agreed or _identity(description) != self._unnumbered:
            self._unnumbered = _identity(description)
            self._take(event)

    def _repeat_answer(self) -> None:
        """Send the answer by the server again, for an offer that came again."""
        answer = self._last_sent
        if answer is None or answer.type != "answer":
            return
        if self._last_number in self._unacknowledged:
            numbered = _with_number(answer, self._last_number)
            self._overdue.put_nowait(partial(self._server.send_description, numbered))

    def _take_numbered(self, event: DescriptionReceived, number: int) -> None:
        if number > self._taken:
            self._taken = number
            self._take(event)

    def _take(self, event: Event) -> None:
        """Pass an event on; a candidate waits for its description, which came another way."""
        if isinstance(event, CandidateReceived) and event.candidate is not None:
            ufrag = event.candidate.usernameFragment
            if self._agreed and ufrag is not None and ufrag not in self._ufrags:
                self._held.append(event)
                return
        self._incoming.put_nowait(event)
        if isinstance(event, DescriptionReceived):
            self._ufrags |= ufrags_in(event.description.sdp)
            held, self._held = self._held, deque(maxlen=MOST_HELD)
            for candidate in held:
                self._take(candidate)

    def _say_hello(self) -> None:
        self._say({"hello": VERSION})

    def _say(self, message: dict[str, Any]) -> None:
        if self._channel is not None and self._channel.readyState == "open":
            self._channel.send(json.dumps(message))

    def _receive(self, text: str | bytes) -> None:
        """Handle a message of the data channel."""
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            logger.info("%s: ignored a malformed message of the other Negotiator", self._pc)
        elif "hello" in message:
            self._agree()
        elif isinstance(message.get("ack"), int):
            self._acknowledge(message["ack"])
        elif isinstance(message.get("id"), int) and self._incoming.qsize() < MOST_WAITING:
            self._say({"ack": message["id"]})
            self._handle(message)

    def _agree(self) -> None:
        if self._agreed:
            return
        self._agreed = True
        # Ours was lost if the other side has made its channel after that.
        self._say_hello()
        self._on_agreed()
        if self._last_sent is not None:
            # It may be on its way by the server still, and overtaken by what comes next.
            self._post({**_json_of(self._last_sent), "again": True})

    def _acknowledge(self, number: int) -> None:
        acknowledged = self._unacknowledged.pop(number, None)
        if acknowledged is not None and not acknowledged.done():
            acknowledged.set_result(None)
        timer = self._timers.pop(number, None)
        if timer is not None:
            timer.cancel()
        self._doubted = False

    def _handle(self, message: dict[str, Any]) -> None:
        event = read_message(message)
        if not isinstance(event, DescriptionReceived):
            self._take(event)
        elif message.get("again"):
            if _identity(event.description) != self._unnumbered:
                self._unnumbered = _identity(event.description)
                self._take_numbered(event, message["id"])
        else:
            self._take_numbered(event, message["id"])


def _json_of(description: aiortc.RTCSessionDescription) -> dict[str, Any]:
    return {"description": {"type": description.type, "sdp": description.sdp}}


def _identity(description: aiortc.RTCSessionDescription) -> str:
    """Return the type and the origin, whose version differs in each description of a connection."""
    origin = re.search(r"^o=.*", description.sdp, re.MULTILINE)
    return f"{description.type} {origin[0].strip() if origin else ''}"


def _with_number(
    description: aiortc.RTCSessionDescription, number: int
) -> aiortc.RTCSessionDescription:
    """Return a description with its number among the attributes of the session."""
    sdp = with_attribute(description.sdp, f"x-restartice-number:{number}")
    return aiortc.RTCSessionDescription(sdp, description.type)
