import time

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from restartice_signaling.errors import ServerError
from restartice_signaling.server.tokens import ALL_RIGHTS, make_token, read_token

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


def signed(**claims: object) -> str:
    fields = {"aud": "rtc-signal", "exp": time.time() + 60, "room": "room", "rights": ["signal"]}
    return jwt.encode({**fields, **claims}, SECRET, "HS256")


ODD_NAMES: list[object] = [
    "",
    " ",
    'a"b',
    'a","instance":"0',
    "x" * 65,
    "ä",
    "a\n",
    7,
    1.5,
    True,
    [],
    ["a"],
    {},
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_subject_is_the_id_of_a_peer(name: object) -> None:
    assert "sub" in refused(signed(sub=name))


@pytest.mark.parametrize("name", [name for name in ODD_NAMES if isinstance(name, str)])
def test_no_token_is_made_for_an_odd_id(name: str) -> None:
    with pytest.raises(ValueError, match="peer must be"):
        make_token(SECRET, "room", peer=name)


ABSURD: list[object] = [
    10**400,
    -(10**400),
    1e300,
    253_402_300_800,
    True,
    None,
    [],
    {},
    "soon",
    "1e999",
]


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", ABSURD)
def test_absurd_times_are_refused(name: str, value: object) -> None:
    if name != "exp" and not (isinstance(value, int | float) and value > time.time()):
        value = 1e300
    refused(signed(**{name: value}))


def test_numbers_that_are_none_are_refused() -> None:
    for value in (float("inf"), float("nan"), -float("inf")):
        for name in ("exp", "nbf", "iat"):
            refused(signed(**{name: value}))
        with pytest.raises(ValueError, match="lifetime must be"):
            make_token(SECRET, "room", lifetime=value)
    with pytest.raises(ValueError, match="lifetime must be"):
        make_token(SECRET, "room", lifetime=1e18)


@pytest.mark.parametrize("jti", [None, "", 7, [], "x" * 257, "\ud800"])
def test_a_token_for_one_use_has_a_name(jti: object) -> None:
    refused(signed(once=True, jti=jti))


@pytest.mark.parametrize("once", [1, "yes", "false", [], {}])
def test_whether_a_token_is_for_one_use_is_clear(once: object) -> None:
    refused(signed(once=once, jti="name"))
