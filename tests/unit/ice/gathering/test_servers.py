"""STUN and TURN servers as URLs name them."""

from typing import Any

import aiortc.rtcicetransport
import pytest
from aiortc import RTCIceServer

from restartice.ice.gathering.servers import StunServer, TurnServer, read_servers


def test_all_of_them_each_once() -> None:
    servers, others = read_servers(
        [
            RTCIceServer(urls=["stun:one.test", "stun:two.test:9"]),
            RTCIceServer(urls=["stun:one.test", "STUN:one.test:3478"]),
            RTCIceServer(
                urls=[
                    "turn:three.test",
                    "turn:three.test:3478?transport=udp",
                    "turns:three.test",
                    "turns:three.test?transport=tcp",
                ],
                username="u",
                credential="c",
            ),
        ]
    )
    assert servers == [
        StunServer("stun:one.test", ("one.test", 3478)),
        StunServer("stun:two.test:9", ("two.test", 9)),
        TurnServer("turn:three.test", ("three.test", 3478), "u", "c", ssl=False, transport="udp"),
        TurnServer("turns:three.test", ("three.test", 5349), "u", "c", ssl=True, transport="tcp"),
    ]
    assert others == {}


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("stun:[2001:db8::1]", ("2001:db8::1", 3478)),
        ("stun:[2001:db8::1]:9", ("2001:db8::1", 9)),
        ("STUN:one.test", ("one.test", 3478)),
    ],
)
def test_what_aiortc_does_not_read(url: str, address: tuple[str, int]) -> None:
    servers, _ = read_servers([RTCIceServer(urls=url)])
    assert servers == [StunServer(url, address)]


def test_malformed_is_refused() -> None:
    with pytest.raises(ValueError, match="malformed"):
        read_servers([RTCIceServer(urls="http://one.test")])


def test_a_program_may_have_replaced_what_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def instead(servers: list[RTCIceServer]) -> dict[str, Any]:  # noqa: ARG001  aiortc's
        return {"stun_server": ("mine.test", 1), "use_ipv6": False}

    monkeypatch.setattr(aiortc.rtcicetransport, "connection_kwargs", instead)
    assert read_servers([]) == ([StunServer("", ("mine.test", 1))], {"use_ipv6": False})
    servers, _ = read_servers([RTCIceServer(urls="stun:one.test")])
    assert servers == [StunServer("stun:one.test", ("mine.test", 1))]
