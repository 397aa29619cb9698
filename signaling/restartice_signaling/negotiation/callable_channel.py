"""A signaling made of two functions."""

import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import aiortc

from restartice import RTCIceCandidate

from ..client.events import CandidateReceived, CustomReceived, DescriptionReceived, Event, Refused
from ..errors import BadMessage, SignalingClosed

__all__ = ["CallableChannel"]

Message: TypeAlias = Mapping[str, Any]


class CallableChannel:
    """Makes a signaling for a `Negotiator` from a function that sends and one that receives.

    Messages have the form of a browser's objects: `{"description": {"type": "offer", "sdp": "…"}}`
    and `{"candidate": {"candidate": "…", "sdpMid": "0", …}}`. The inner objects are accepted
    without the outer one, too. The `Negotiator` passes any other message to `on_custom`.

        Negotiator(pc, CallableChannel(lambda message: ws.send(json.dumps(message)), ws.recv))

    Args:
        send: A function or coroutine function that sends a message, a dictionary for JSON.
        receive: A coroutine function that returns the next message, as a mapping or as JSON text,
            or None after the last one. An exception ends the signaling.
        polite: Whether this side is the polite peer; None if unknown.

    Raises:
        TypeError: `send` or `receive` isn't a function.
    """

    def __init__(
        self,
        send: Callable[[dict[str, Any]], Awaitable[object] | object],
        receive: Callable[[], Awaitable[Message | str | bytes | None]],
        *,
        polite: bool | None = None,
    ) -> None:
        for name, given in (("send", send), ("receive", receive)):
            if not callable(given):
                raise TypeError(f"{name} must be a function, not {given!r}")
        self._send = send
        self._receive = receive
        self._polite = polite

    @property
    def polite(self) -> bool | None:
        """Whether this side is the polite peer; None if unknown."""
        return self._polite

    async def send_description(self, description: aiortc.RTCSessionDescription) -> None:
        """Send a description.

        Args:
            description: The offer or answer.
        """
        await self._pass({"description": {"type": description.type, "sdp": description.sdp}})

    async def send_candidate(self, candidate: aiortc.RTCIceCandidate | None) -> None:
        """Send a candidate.

        Args:
            candidate: The candidate, or None for the end of candidates.
        """
        init = None if candidate is None else RTCIceCandidate(**vars(candidate)).toJSON()
        await self._pass({"candidate": init})

    async def events(self) -> AsyncIterator[Event]:
        """Yield the events of messages until `receive` returns None.

        Raises:
            SignalingClosed: `receive` raised an exception.
        """
        while True:
            try:
                message = await self._receive()
            except Exception as error:
                raise SignalingClosed(f"receive: {type(error).__name__}: {error}") from error
            if message is None:
                return
            yield read_message(message)

    async def _pass(self, message: dict[str, Any]) -> None:
        result = self._send(message)
        if inspect.isawaitable(result):
            await result


def read_message(message: Message | str | bytes) -> Event:
    """Return the event of a message, which is `Refused` if the message is malformed."""
    try:
        value = json.loads(message) if isinstance(message, str | bytes) else message
        return _event_of(value)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        return Refused(BadMessage(f"{type(error).__name__}: {error}"))


def _event_of(value: Any) -> Event:
    if not isinstance(value, Mapping):
        return CustomReceived("", value)
    if isinstance(description := value.get("description"), Mapping):
        value = description
    if "sdp" in value and "type" in value:
        sdp, kind = value["sdp"], value["type"]
        if not isinstance(sdp, str):
            raise TypeError(f"sdp must be a string, not {type(sdp).__name__}")
        return DescriptionReceived("", aiortc.RTCSessionDescription(sdp, kind))
    if "candidate" not in value:
        return CustomReceived("", value)
    candidate = value["candidate"]
    init = value if isinstance(candidate, str) else candidate
    return CandidateReceived("", None if init is None else RTCIceCandidate.fromJSON(init))
