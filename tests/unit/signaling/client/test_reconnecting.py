import itertools

import pytest

from restartice_signaling.client.reconnecting import pauses


def test_pauses_are_those_of_the_protocol() -> None:
    longest = list(itertools.islice(pauses(lambda: 1.0), 7))
    assert longest == pytest.approx([0, 0.3, 1.2, 2.7, 4.8, 7, 7])
    assert set(itertools.islice(pauses(lambda: 0.0), 7)) == {0.0}
