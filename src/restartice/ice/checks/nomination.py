"""When a pair is nominated where the other side may not know yet that the restart was answered.

Whoever answers a restart can send checks before the answer has arrived. Firefox takes them, but if
one of them nominates a pair, and its ICE had failed, it stays `checking` for good.
"""

import asyncio
from contextlib import suppress
from typing import Final, Protocol

from aioice import stun

from ...seam import CandidatePair, is_role_conflict

__all__ = ["nominate_when_checked"]

COMPONENT: Final = 1
# How many seconds the other side's first check is waited for, which comes as soon as it has our
# answer: what we check it can check, too.
PATIENCE: Final = 5.0
# How often aioice repeats a request that nominates a pair, within 3.5 s, before another pair gets
# its turn, which may have succeeded more recently.
RETRANSMISSIONS: Final = 2


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

    def check_state(self, pair: CandidatePair, state: CandidatePair.State) -> None:
        """Change the state of a pair."""

    def check_complete(self, pair: CandidatePair) -> None:
        """Act on what has become of a pair."""

    def pairs_changed(self) -> None:
        """Have the pairs checked that wait for it."""

    def switch_role(self, ice_controlling: bool) -> None:
        """Become controlling or controlled."""


async def nominate_when_checked(connection: Nominating) -> None:
    """Nominate no pair before the other side has sent its first check, or not for a long time.

    Has no effect on a side that is controlled.
    """
    connection.nominating.add(COMPONENT)
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            await connection.asked.wait()
    while connection.ice_controlling and (pair := _next_valid(connection)) is not None:
        await _nominate(connection, pair)
        if connection.selected_pair is not None:
            return
    # The next pair that works is nominated.
    connection.nominating.discard(COMPONENT)


def _next_valid(connection: Nominating) -> CandidatePair | None:
    works = (p for p in connection.check_list if p.state is CandidatePair.State.SUCCEEDED)
    return next(works, None)


async def _nominate(connection: Nominating, pair: CandidatePair) -> None:
    request = connection.build_request(pair, nominate=True)
    assert connection.remote_password is not None
    # In progress, it is repeated as often as other checks, and once more when one comes in.
    connection.check_state(pair, CandidatePair.State.IN_PROGRESS)
    end = CandidatePair.State.SUCCEEDED
    nominated = True
    try:
        await pair.protocol.request(
            request,
            pair.remote_addr,
            integrity_key=connection.remote_password.encode(),
            retransmissions=RETRANSMISSIONS,
        )
    except stun.TransactionError as error:
        nominated = False
        if error.response is None:
            # It may come back, and is checked again.
            end = CandidatePair.State.WAITING
        elif is_role_conflict(error.response):
            connection.switch_role(ice_controlling=False)
        else:
            end = CandidatePair.State.FAILED
    # Its socket may be gone, or the pair itself.
    if pair.state is CandidatePair.State.IN_PROGRESS:
        pair.nominated = nominated or pair.remote_nominated
        connection.check_state(pair, end)
        connection.check_complete(pair)
        connection.pairs_changed()
