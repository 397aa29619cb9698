"""Arguments of a wrong type or value for a client or a server: an error at the call."""

from typing import Any

import pytest

from restartice_signaling import ServerSettings, SignalingServer, WebSocketSignaling

URL = "ws://127.0.0.1:8765"
CLIENTS: dict[str, tuple[dict[str, Any], str]] = {
    "no scheme": ({"url": "example.org"}, "ws:// or wss://"),
    "another scheme": ({"url": "http://example.org"}, "ws:// or wss://"),
    "no host": ({"url": "ws://"}, "ws:// or wss://"),
    "an impossible port": ({"url": "ws://example.org:99999"}, "Port out of range"),
    "no URL": ({"url": []}, "got none"),
    "one of several": ({"url": [URL, 5]}, "ws:// or wss://, got 5"),
    "a room of no text": ({"room": 5}, "room must be"),
    "an empty room": ({"room": ""}, "room must be 1 to 64 of"),
    "a room with a slash": ({"room": "a/b"}, "room must be 1 to 64 of"),
    "half a character": ({"room": "\ud800"}, "room must be 1 to 64 of"),
    "an empty peer": ({"peer": ""}, "peer must be 1 to 64 of"),
    "a meta that is no object": ({"meta": []}, "meta must be"),
    "a meta that is no JSON": ({"meta": {"a": object()}}, "JSON"),
    "a token that is a number": ({"token": 5}, "token must be"),
    "a negative time": ({"give_up_after": -1}, "give_up_after must be"),
    "no number": ({"give_up_after": float("nan")}, "give_up_after must be"),
}
SERVERS: dict[str, tuple[dict[str, Any], str]] = {
    "limits": ({"limits": 5}, "limits must be Limits"),
    "rooms": ({"rooms": None}, "rooms must be BackendLimits"),
    "heartbeat": ({"heartbeat": 5.0}, "heartbeat must be Heartbeat"),
    "one origin in place of several": (
        {"origins": "https://example.org"},
        "origins must be a list",
    ),
}


@pytest.mark.parametrize(("wrong", "match"), CLIENTS.values(), ids=CLIENTS.keys())
async def test_clients(wrong: dict[str, Any], match: str) -> None:
    with pytest.raises((TypeError, ValueError), match=match):
        WebSocketSignaling(**{"url": URL, "room": "room", **wrong})


@pytest.mark.parametrize(("wrong", "match"), SERVERS.values(), ids=SERVERS.keys())
def test_settings_of_servers(wrong: dict[str, Any], match: str) -> None:
    with pytest.raises(TypeError, match=match):
        ServerSettings(**wrong)


async def test_what_are_no_settings() -> None:
    with pytest.raises(TypeError, match="expected ServerSettings, got 5"):
        SignalingServer(5)  # type: ignore[arg-type]
