"""URLs of Sentinels."""

import pytest

from restartice_signaling.server.rooms.redis_url import Sentinels, read_sentinels


def test_urls_of_sentinels() -> None:
    url = "redis+sentinel://me:p%40ss@one:1,[::1]:2,three/rooms/5?sentinel_password=x"
    assert read_sentinels(url) == Sentinels(
        [("one", 1), ("::1", 2), ("three", 26379)],
        "rooms",
        {"db": 5, "username": "me", "password": "p@ss"},
        {"password": "x"},
    )
    assert read_sentinels("rediss+sentinel://one/rooms") == Sentinels(
        [("one", 26379)], "rooms", {"db": 0, "ssl": True}, {"ssl": True}
    )


def test_other_urls_are_of_a_redis() -> None:
    assert read_sentinels("redis://127.0.0.1:6379/0") is None
    assert read_sentinels("unix:///run/redis.sock") is None


@pytest.mark.parametrize(
    "rest",
    ["", "one", "one/", "/rooms", "one:x/rooms", "one,/rooms", "one/rooms/x", "one/rooms?a=b"],
)
def test_wrong_urls(rest: str) -> None:
    with pytest.raises(ValueError, match=r"must have the form redis\+sentinel://HOST:PORT,HOST"):
        read_sentinels(f"redis+sentinel://{rest}")


def test_no_password_is_shown() -> None:
    url = "redis+sentinel://:secret@one/rooms?sentinel_password=secret"
    assert "secret" not in repr(read_sentinels(url))
    with pytest.raises(ValueError, match="must have the form") as caught:
        read_sentinels("redis+sentinel://:secret@one/")
    assert "secret" not in str(caught.value)
