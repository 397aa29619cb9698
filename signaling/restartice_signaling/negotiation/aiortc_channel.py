"""Adapts the signalings of aiortc, and other classes derived from its `BaseSignaling`."""

import asyncio
import errno
import random
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Final

import aiortc
from aiortc.contrib.signaling import (
    BYE,
    BaseSignaling,
    CopyAndPasteSignaling,
    TcpSocketSignaling,
    UnixSocketSignaling,
)

from restartice import RTCIceCandidate

from ..client.events import CandidateReceived, DescriptionReceived, Event, Refused
from ..errors import BadMessage, SignalingClosed
from .channel import SignalingChannel

__all__ = ["AiortcChannel", "as_channel"]

# The pause between attempts to reach the other side's socket, in seconds.
PAUSE: Final = 0.1
# How long the polite side waits for the other side to listen, in seconds.
PATIENCE: Final = 1.0
# The other side listens on this address, or has it.
TAKEN: Final = frozenset({errno.EADDRINUSE, errno.EADDRNOTAVAIL})
# The most malformed messages in a row.
MOST_UNREADABLE: Final = 20


class AiortcChannel:
    """Lets a Negotiator use one of aiortc's signalings, which must be connected.

    In aiortc's socket signalings, the side that sends first listens, and the other side connects
    when it receives, so the program must know which side sends first. Here the side that starts
    first listens.

    Args:
        signaling: The signaling of aiortc.
        polite: Whether this side lets the other side listen.
    """

    polite: bool | None = None

    def __init__(self, signaling: BaseSignaling, polite: bool | None = None) -> None:
        self._signaling = signaling
        chance = PAUSE * random.random()  # so that both sides don't begin to listen at once
        self._patience = chance if polite is None else PATIENCE * polite
        self._open = not isinstance(signaling, TcpSocketSignaling | UnixSocketSignaling)
        self._opening = asyncio.Lock()
        self._early: deque[Any] = deque()
        self._last_sent: aiortc.RTCSessionDescription | None = None
        self._ended = False

    async def send_description(self, description: aiortc.RTCSessionDescription) -> None:
        """Wait for the other side, and send a description.

        Raises:
            SignalingClosed: The other side has ended the signaling.
        """
        # Don't ask a person to copy and paste the same text again.
        by_hand = isinstance(self._signaling, CopyAndPasteSignaling)
        if by_hand and description == self._last_sent:
            return
        while not self._open and not self._ended:
            if await self._listen(description):
                return
            await asyncio.sleep(PAUSE)
        if self._ended:
            raise SignalingClosed("the other side has ended the signaling")
        await self._signaling.send(description)
        self._last_sent = description

    async def _listen(self, description: aiortc.RTCSessionDescription) -> bool:
        """Open the socket by sending the first message, unless the other side is listening.

        Returns:
            Whether it was sent.
        """
        await asyncio.sleep(self._patience)
        async with self._opening:
            if self._open or await self._reach():
                return False
            try:
                await self._signaling.send(description)
            except OSError as error:
                if error.errno not in TAKEN:
                    raise
                return False
            self._open = True
            return True

    async def _reach(self) -> bool:
        """Connect to the other side; return whether it has listened."""
        try:
            message = await self._signaling.receive()
        except OSError:
            return False
        self._early.append(message)
        self._open = True
        return True

    async def events(self) -> AsyncIterator[Event]:
        """Yield the events of messages until the other side ends the signaling.

        Raises:
            SignalingClosed: The connection is lost, or too many messages are malformed.
        """
        unreadable = 0
        try:
            while unreadable < MOST_UNREADABLE:
                try:
                    event = await self._next()
                except OSError as error:
                    raise SignalingClosed(str(error)) from error
                except Exception as error:  # noqa: BLE001  aiortc's readers raise anything
                    event = Refused(BadMessage(f"{type(error).__name__}: {error}"))
                if event is None:
                    return
                unreadable = unreadable + 1 if isinstance(event, Refused) else 0
                yield event
            raise SignalingClosed(f"{MOST_UNREADABLE} malformed messages in a row")
        finally:
            self._ended = True

    async def _next(self) -> Event | None:
        while not self._open:
            async with self._opening:
                if self._open or await self._reach():
                    break
            await asyncio.sleep(PAUSE)
        message = self._early.popleft() if self._early else await self._signaling.receive()
        if message is None or message is BYE:
            return None
        if isinstance(message, aiortc.RTCIceCandidate):
            return CandidateReceived("", RTCIceCandidate(**vars(message)))
        if isinstance(message, aiortc.RTCSessionDescription):
            return DescriptionReceived("", message)
        raise TypeError(f"expected a description or a candidate, got {type(message).__name__}")


def as_channel(
    signaling: SignalingChannel | BaseSignaling, polite: bool | None
) -> SignalingChannel:
    """Return a signaling as a SignalingChannel.

    Raises:
        TypeError: It is neither a SignalingChannel nor one of aiortc's signalings.
    """
    if isinstance(signaling, SignalingChannel):
        return signaling
    if isinstance(signaling, BaseSignaling):
        return AiortcChannel(signaling, polite)
    raise TypeError(
        "signaling must be a SignalingChannel or one of aiortc's signalings, "
        f"not {type(signaling).__name__}"
    )
