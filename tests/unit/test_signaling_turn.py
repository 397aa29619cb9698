from restartice_signaling.turn import TurnSettings, turn_credentials


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
