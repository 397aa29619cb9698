import time

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from restartice_signaling.errors import ServerError
from restartice_signaling.tokens import ALL_RIGHTS, make_token, read_token

SECRET = "correct horse battery staple, twice"  # noqa: S105


def refused(token: str | None, room: str = "room", secret: str = SECRET) -> str:
    with pytest.raises(ServerError) as caught:
        read_token(secret, token, room)
    assert caught.value.code == "auth"
    return caught.value.reason


def test_lets_into_its_room() -> None:
    grant = read_token(SECRET, make_token(SECRET, "room"), "room")
    assert (grant.peer, grant.rights, grant.once) == (None, ALL_RIGHTS, None)
    assert "another room" in refused(make_token(SECRET, "room"), "room2")


def test_says_for_whom_and_what() -> None:
    token = make_token(SECRET, "room", peer="a", rights=["custom"], once=True)
    grant = read_token(SECRET, token, "room")
    assert (grant.peer, grant.rights) == ("a", frozenset({"custom"}))
    assert grant.once


def test_may_be_for_rooms_with_a_common_beginning() -> None:
    token = make_token(SECRET, "robot-*")
    assert read_token(SECRET, token, "robot-7")
    refused(token, "robo")


def test_expires() -> None:
    assert "expired" in refused(make_token(SECRET, "room", lifetime=-1))


def test_none_and_strange_ones_are_refused() -> None:
    good = make_token(SECRET, "room")
    header, claims, signature = good.split(".")
    assert "needed" in refused(None)
    for token in ("", "a.b.c", good[:-4], f"{header}.{claims}.", f"{claims}.{header}.{signature}"):
        assert "not valid" in refused(token)
    refused(good, secret=SECRET[::-1])


@pytest.mark.parametrize(
    "claims",
    [
        {"room": "room", "rights": ["signal"]},
        {"room": 1, "rights": ["signal"]},
        {"room": "room", "rights": "signal"},
        {"room": "room"},
        {"rights": []},
        {"room": "room", "rights": [], "aud": "others"},
    ],
)
def test_claims_are_checked(claims: dict[str, object]) -> None:
    good = {"aud": "rtc-signal", "exp": time.time() + 60}
    if claims == {"room": "room", "rights": ["signal"]}:
        good.pop("exp")
    refused(jwt.encode({**good, **claims}, SECRET, "HS256"))


def test_unsigned_tokens_are_refused() -> None:
    claims = {"aud": "rtc-signal", "exp": time.time() + 60, "room": "room", "rights": ["signal"]}
    refused(jwt.encode(claims, "", "none"))


@given(st.text())
def test_any_text_is_refused(token: str) -> None:
    refused(token)


def test_a_weak_secret_and_unknown_rights_are_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        make_token("short", "room")
    with pytest.raises(ValueError, match="custom, signal"):
        make_token(SECRET, "room", rights=["admin"])
