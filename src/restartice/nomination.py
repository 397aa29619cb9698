"""When a pair is nominated where the other side may not know yet that the restart was answered.

Whoever answers a restart can send checks before the answer has arrived. Firefox takes them, but if
one of them nominates a pair, and its ICE had failed, it stays `checking` for good.
"""

import asyncio
from contextlib import suppress
from typing import Final, Protocol

from aioice import stun

from .internals import CandidatePair

__all__ = ["nominate_when_checked"]

COMPONENT: Final = 1
# How many seconds the other side's first check is waited for, which comes as soon as it has our
# answer: what we check it can check, too.
PATIENCE: Final = 5.0


class Nominating(Protocol):
    """The connection whose pairs are nominated."""

    nominating: set[int]
    ice_controlling: bool
    check_list: list[CandidatePair]
    asked: asyncio.Event
    remote_password: str | None

    @property
    def selected_pair(self) -> CandidatePair | None:
        """The nominated pair."""

    def build_request(self, pair: CandidatePair, nominate: bool) -> stun.Message:
        """Make a binding request."""

    def check_complete(self, pair: CandidatePair) -> None:
        """Act on what has become of a pair."""


async def nominate_when_checked(connection: Nominating) -> None:
    """Nominate no pair before the other side has sent its first check, or not for a long time.

    Has no effect on a side that is controlled.
    """
    connection.nominating.add(COMPONENT)
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            await connection.asked.wait()
    for pair in list(connection.check_list):
        if connection.ice_controlling and pair.state is CandidatePair.State.SUCCEEDED:
            await _nominate(connection, pair)
            if connection.selected_pair is not None:
                return
    # The next pair that works is nominated.
    connection.nominating.discard(COMPONENT)


async def _nominate(connection: Nominating, pair: CandidatePair) -> None:
    request = connection.build_request(pair, nominate=True)
    assert connection.remote_password is not None
    with suppress(stun.TransactionError):
        await pair.protocol.request(
            request, pair.remote_addr, integrity_key=connection.remote_password.encode()
        )
        pair.nominated = True
        connection.check_complete(pair)
