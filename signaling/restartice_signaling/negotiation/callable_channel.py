"""A signaling of two functions."""

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
    """Lets a `Negotiator` use whatever sends and receives messages.

    Messages are what browsers make of JSON: `{"description": {"type": "offer", "sdp": "…"}}` and
    `{"candidate": {"candidate": "…", "sdpMid": "0", …}}`. A description or candidate that comes in
    without that frame, as `{"type": …, "sdp": …}`, is understood, too. Anything else is for the
    application, which gets it by `on_custom`.

        Negotiator(pc, CallableChannel(lambda message: ws.send(json.dumps(message)), ws.recv))

    Args:
        send: Sends a message, a dictionary that can be JSON. May be a coroutine function.
        receive: A coroutine function that returns the next message, as a mapping or as the text
            of its JSON; None says that there will be no more. An exception ends the signaling.
        polite: Whether this side takes its offer back when both make one; None if it isn't known.
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
        """Whether this side takes its offer back when both make one; None if it isn't known."""
        return self._polite

    async def send_description(self, description: aiortc.RTCSessionDescription) -> None:
        """Send a description."""
        await self._pass({"description": {"type": description.type, "sdp": description.sdp}})

    async def send_candidate(self, candidate: aiortc.RTCIceCandidate | None) -> None:
        """Send a candidate; None means the end of candidates."""
        init = None if candidate is None else RTCIceCandidate(**vars(candidate)).toJSON()
        await self._pass({"candidate": init})

    async def events(self) -> AsyncIterator[Event]:
        """Yield what comes in, until `receive` returns None.

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
    """Return what a message means; one that is malformed is `Refused`."""
    try:
        value = json.loads(message) if isinstance(message, str | bytes) else message
        return _event_of(value)
    except (ValueError, TypeError, KeyError) as error:
        return Refused(BadMessage(f"{type(error).__name__}: {error}"))


def _event_of(value: Any) -> Event:
    if not isinstance(value, Mapping):
        return CustomReceived("", value)
    if isinstance(value.get("description"), Mapping):
        return _event_of(value["description"])
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
