"""Nominates a pair: with its first check, after it, or when the peer has our answer to its restart.

aioice nominates the first pair that works, and never another one. Here the others have their turn
when nobody answers to that. (RFC 8445 section 8.1.1)

The answerer of a restart can send checks before its answer arrives. Firefox accepts them, but if
one of them nominates a pair after Firefox's ICE has failed, Firefox stays `checking` forever.

This is for the controlling side. The controlled side follows the peer's nomination in
`IceConnection.check_incoming()`.
"""

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Final, Protocol

from aioice import stun

from ...seam import CandidatePair, is_role_conflict

__all__ = ["nominate_at_once", "nominate_valid", "nominate_when_checked"]

COMPONENT: Final = 1
# How long to wait for the peer's first check, in seconds. It comes as soon as the peer has our
# answer.
PATIENCE: Final = 5.0
# How often aioice repeats a nominating request, within 1.5 s, before the next pair that works is
# nominated. It does so once more each time that it comes to the same pair again.
RETRANSMISSIONS: Final = 1


class Nominating(Protocol):
    """The connection whose pairs are nominated."""

    nominating: set[int]
    ice_controlling: bool
    check_list: list[CandidatePair]
    asked: asyncio.Event
    answered: asyncio.Event
    nominable: asyncio.Event
    promising: bool
    promised: CandidatePair | None
    remote_password: str | None

    @property
    def selected_pair(self) -> CandidatePair | None:
        """The nominated pair."""

    def build_request(self, pair: CandidatePair, nominate: bool) -> stun.Message:
        """Make a binding request."""

    def check_state(self, pair: CandidatePair, state: CandidatePair.State) -> None:
        """Change the state of a pair."""

    def check_complete(self, pair: CandidatePair) -> None:
        """Act on the new state of a pair."""

    def pairs_changed(self) -> None:
        """Check the waiting pairs."""

    def switch_role(self, ice_controlling: bool) -> None:
        """Become controlling or controlled."""


async def nominate_when_checked(connection: Nominating) -> None:
    """Nominate a pair after the peer's first check, or after `PATIENCE` without one.

    Has no effect on the controlled side.
    """
    connection.nominating.add(COMPONENT)
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            await connection.asked.wait()
    await nominate_valid(connection)


async def nominate_at_once(connection: Nominating, patience: float) -> None:
    """Nominate the pair with the addresses of the pair in use by its first check.

    This saves a round trip. A controlled peer nominates the pair when its own check succeeds (RFC
    8445 section 7.3.1.5). Another pair is nominated only if this one gets no response. Has no
    effect on the controlled side.

    Args:
        connection: The connection.
        patience: How long to wait for the response when another pair has succeeded, in seconds.
    """
    connection.nominating.add(COMPONENT)
    connection.promising = True
    await connection.answered.wait()
    connection.promising = False
    pair = connection.promised
    if pair is not None and pair.state is CandidatePair.State.IN_PROGRESS:
        await asyncio.sleep(patience)
    await nominate_valid(connection)


async def nominate_valid(connection: Nominating) -> None:
    """Nominate a pair that works, and if nobody answers to that another one, until one is selected.

    Has no effect on the controlled side, unless it becomes the controlling one.
    """
    connection.nominating.add(COMPONENT)
    tries = Counter[CandidatePair]()
    while connection.selected_pair is None:
        connection.nominable.clear()
        if (pair := _next_valid(connection, tries)) is None:
            await connection.nominable.wait()
        else:
            await _nominate(connection, pair, RETRANSMISSIONS + tries[pair])
            tries[pair] += 1


def _next_valid(connection: Nominating, tries: Counter[CandidatePair]) -> CandidatePair | None:
    """Return the pair that works which was nominated the fewest times, or None."""
    if not connection.ice_controlling:
        return None
    works = (p for p in connection.check_list if p.state is CandidatePair.State.SUCCEEDED)
    return min(works, key=tries.__getitem__, default=None)


async def _nominate(connection: Nominating, pair: CandidatePair, retransmissions: int) -> None:
    request = connection.build_request(pair, nominate=True)
    assert connection.remote_password is not None
    # While in progress, it is repeated as often as other checks, and at each check of the peer.
    connection.check_state(pair, CandidatePair.State.IN_PROGRESS)
    end = CandidatePair.State.SUCCEEDED
    nominated = True
    try:
        await pair.protocol.request(
            request,
            pair.remote_addr,
            integrity_key=connection.remote_password.encode(),
            retransmissions=retransmissions,
        )
    except stun.TransactionError as error:
        nominated = False
        if error.response is None:
            # The pair may come back, so it is checked again.
            end = CandidatePair.State.WAITING
        elif is_role_conflict(error.response):
            connection.switch_role(ice_controlling=False)
        else:
            end = CandidatePair.State.FAILED
    # The pair or its socket may have been removed meanwhile.
    if pair.state is CandidatePair.State.IN_PROGRESS:
        pair.nominated = nominated or pair.remote_nominated
        connection.check_state(pair, end)
        connection.check_complete(pair)
        connection.pairs_changed()
