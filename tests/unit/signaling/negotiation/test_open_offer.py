"""Offers that wait, and answers that come twice."""

import asyncio

import pytest

from restartice_signaling.negotiation import open_offer
from restartice_signaling.negotiation.matching import with_offer_named
from restartice_signaling.negotiation.open_offer import OpenOffer

FIRST, SECOND = "a=ice-ufrag:first\r\n", "a=ice-ufrag:second\r\n"
OPEN, STABLE = "have-local-offer", "stable"


def test_waits_longer_each_time() -> None:
    offer = OpenOffer()
    waits = []
    for _ in range(5):
        waits.append(offer.timeout)
        offer.repeat()
    assert waits == [10, 20, 40, 60, 60]
    offer.settle()
    assert offer.timeout == 10


def test_takes_one_answer_of_two() -> None:
    offer = OpenOffer()
    offer.repeat()
    assert offer.takes(FIRST, OPEN)
    assert not offer.takes(FIRST, OPEN)
    # The next offer may well be answered in the same words.
    assert offer.takes(FIRST, OPEN)


def test_takes_another_answer_whatever_was_repeated() -> None:
    offer = OpenOffer()
    offer.repeat()
    assert offer.takes(FIRST, OPEN)
    assert offer.takes(SECOND, OPEN)


def test_takes_no_answer_when_nothing_is_offered() -> None:
    offer = OpenOffer()
    assert not offer.takes(FIRST, STABLE)
    assert offer.takes(FIRST, OPEN)


def test_nobody_answers_an_offer_that_was_withdrawn() -> None:
    offer = OpenOffer()
    assert offer.takes(FIRST, OPEN)
    offer.repeat()
    offer.withdraw()
    assert offer.takes(FIRST, OPEN)


def test_answers_that_name_their_offer_need_no_counting() -> None:
    offer = OpenOffer()
    first, second = (f"v=0\r\no=- 7 {version} IN IP4 0.0.0.0\r\n" for version in (1, 2))
    to_first, to_second = (with_offer_named(FIRST, text) for text in (first, second))
    assert offer.takes(to_first, OPEN, first)
    assert not offer.takes(to_first, OPEN, second)
    assert not offer.takes(to_second, STABLE)
    offer.repeat()
    assert offer.takes(to_second, OPEN, second)


async def test_an_offer_is_overdue_once_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_offer, "ANSWER_TIMEOUT", 0.05)
    offer = OpenOffer()
    offer.sent()
    async with asyncio.timeout(60):
        await offer.wait_overdue()


async def test_an_offer_that_was_answered_is_never_overdue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(open_offer, "ANSWER_TIMEOUT", 0.05)
    offer = OpenOffer()
    waiting = asyncio.ensure_future(offer.wait_overdue())
    for _ in range(3):
        offer.sent()
        await asyncio.sleep(0)
        offer.settle()
    await asyncio.wait([waiting], timeout=0.2)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.wait([waiting])
