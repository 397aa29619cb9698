import pytest

from restartice_signaling.protocol.ice_urls import is_ice_url
from restartice_signaling.server.turn_credentials import TurnSettings, turn_credentials

GOOD_URLS = [
    "stun:s",
    "stuns:s.example.org:5349",
    "turn:192.0.2.1:3478?transport=udp",
    "TURN:t.example.org?transport=TCP",
    "turns:[2001:db8::1]:443?transport=tcp",
]
BAD_URLS = [
    "",
    "turn.example.org",
    "turn.example.org:3478",
    "turn:",
    "turn://t.example.org",
    "http://t.example.org",
    "turn:user@t.example.org",
    "turn:t.example.org:0",
    "turn:t.example.org:65536",
    "turn:t.example.org:port",
    "turn:t.example.org?transport=sctp",
    "stun:s?transport=udp",
    "turn:t.example.org/path",
    "turn:t.example.org ",
    "turn:[2001:db8::1",
    "turn:a b",
]


def test_credentials_are_those_of_the_turn_rest_api() -> None:
    # Computed with `openssl dgst -sha1 -hmac secret -binary | base64`.
    assert turn_credentials("secret", "a", 1700000000) == (
        "1700000000:a",
        "3BYHAowNdl7aYyxYHgYptWA5YxM=",
    )


def test_only_turn_servers_get_credentials() -> None:
    settings = TurnSettings(("stun:s", "turn:t", "turns:u"), "secret", lifetime=100)
    ice = settings.servers_for("a", 1000.0)
    stun, turn = ice.servers
    assert stun == {"urls": ["stun:s"]}
    assert (turn["urls"], turn["username"]) == (["turn:t", "turns:u"], "1100:a")
    assert ice.expire == 1100


def test_stun_alone_does_not_expire() -> None:
    ice = TurnSettings(("stun:s",), "").servers_for("a", 0.0)
    assert (ice.servers, ice.expire) == (({"urls": ["stun:s"]},), None)


def test_the_secret_is_not_shown() -> None:
    assert "hush" not in repr(TurnSettings(("turn:t",), "hush"))


@pytest.mark.parametrize("url", GOOD_URLS)
def test_urls(url: str) -> None:
    assert is_ice_url(url)
    assert TurnSettings((url,), "secret").urls == (url,)


@pytest.mark.parametrize("url", BAD_URLS)
def test_what_is_no_url_is_refused_by_name(url: str) -> None:
    assert not is_ice_url(url)
    with pytest.raises(ValueError, match="must be a URL"):
        TurnSettings(("stun:s", url), "secret")
