"""ICE credentials. (I1)."""

import re

from restartice.ice.credentials import IceCredentials


def test_are_as_long_and_as_random_as_the_rfc_asks() -> None:
    made = [IceCredentials.generate() for _ in range(1000)]
    assert len(set(made)) == len({c.ufrag for c in made}) == len({c.password for c in made}) == 1000
    for credentials in made:
        # RFC 8839 section 5.4: ice-char, 4 to 256 and 22 to 256.
        assert re.fullmatch(r"[A-Za-z0-9+/]{4,256}", credentials.ufrag)
        assert re.fullmatch(r"[A-Za-z0-9+/]{22,256}", credentials.password)
        # RFC 8445 section 5.3: 24 and 128 bits of randomness; an ice-char has 6.
        assert 6 * len(credentials.ufrag) >= 24
        assert 6 * len(credentials.password) >= 128


def test_are_equal_by_value() -> None:
    assert IceCredentials("a", "b") == IceCredentials("a", "b")
    assert IceCredentials("a", "b") != IceCredentials("a", "c")
