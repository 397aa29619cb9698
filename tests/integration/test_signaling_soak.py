"""A fleet that is cut, killed and emptied: nothing is lost without a word, and nothing is left."""

from pathlib import Path

import pytest

from soaking import Plan, soak

pytestmark = pytest.mark.timeout(400)


async def test_once_in_order_or_told_and_nothing_left(tmp_path: Path) -> None:
    outcome = await soak(Plan(), tmp_path)
    assert outcome.wrong == []
    assert outcome.received + outcome.missing == 10_000
    # All of that did happen.
    print(outcome)
    assert outcome.cuts > 50
    assert outcome.told["resumed"] > 50
    assert outcome.told["begun again"] > 0
