"""aioice's sockets, and what goes wrong with what comes in on them."""

import logging
from typing import Any

import aioice.ice
import aioice.turn
import pytest

from restartice.ice.connection import IceConnection
from restartice.logs import ObjectLogger
from restartice.seam import hear_answers, is_aioices, turn_client

LOG = ObjectLogger(logging.getLogger("restartice.test"), "RTCIceTransport(1/0)")
STRANGER = ("192.0.2.1", 9)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_an_error_in_what_a_turn_client_reads_is_no_ones(
    transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[bytes] = []

    def fail(_: object, data: bytes, __: object) -> None:
        read.append(data)
        raise RuntimeError("for a reason that nobody has thought of")

    monkeypatch.setattr(aioice.turn.TurnClientMixin, "datagram_received", fail)
    client = turn_client(transport, ("192.0.2.2", 3478), "user", "password", LOG)()
    client.datagram_received(b"first", STRANGER)
    client.datagram_received(b"second", STRANGER)
    assert read == [b"first", b"second"]


async def test_an_error_in_what_multicast_dns_brings_is_no_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[bytes] = []

    class Resolver:
        def datagram_received(self, data: bytes, _: object) -> None:
            read.append(data)
            raise RuntimeError("for a reason that nobody has thought of")

    resolver: Any = Resolver()

    async def get(_: object) -> Any:
        return resolver

    monkeypatch.setattr(aioice.ice, "get_or_create_mdns_protocol", get)
    for _ in range(2):
        await hear_answers(IceConnection(ice_controlling=True), bytes.upper)
    resolver.datagram_received(b"first", STRANGER)
    resolver.datagram_received(b"second", STRANGER)
    assert read == [b"FIRST", b"SECOND"]


def test_methods_of_a_program_are_not_aioices() -> None:
    class Derived(aioice.Connection):
        async def get_component_candidates(self, *_: Any, **__: Any) -> list[aioice.Candidate]:
            return []

    assert is_aioices(aioice.Connection.get_component_candidates)
    assert not is_aioices(Derived.get_component_candidates)
    assert not is_aioices(lambda: None)
