"""A peer that is ICE-lite only answers checks: we control, and nominate regularly (I7)."""

import asyncio
import re
from typing import Any

from aioice import stun

from conftest import Factory
from connecting import (
    sending_ufrags,
    ufrags,
    wait_for_state,
    wait_sending_on_new_pair,
    without_candidates,
)
from restartice import RTCPeerConnection, RTCSessionDescription

Address = tuple[str, int]


class LiteAgent(asyncio.DatagramProtocol):
    """The ICE side of a lite peer on a socket of its own. It keeps the requests that came in."""

    def __init__(self, ufrag: str, password: str) -> None:
        self.ufrag = ufrag
        self.password = password
        self.requests: list[stun.Message] = []
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def start(cls, ufrag: str, password: str) -> "LiteAgent":
        loop = asyncio.get_running_loop()
        _, agent = await loop.create_datagram_endpoint(
            lambda: cls(ufrag, password), local_addr=("127.0.0.1", 0)
        )
        return agent

    @property
    def port(self) -> int:
        assert self._transport is not None
        port: int = self._transport.get_extra_info("sockname")[1]
        return port

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: Address) -> None:
        assert self._transport is not None
        try:
            request = stun.parse_message(data)
        except ValueError:
            return  # DTLS, which this test has no use for
        assert request.message_class is stun.Class.REQUEST
        self.requests.append(request)
        response = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.RESPONSE,
            transaction_id=request.transaction_id,
        )
        response.attributes["XOR-MAPPED-ADDRESS"] = address
        response.add_message_integrity(self.password.encode())
        self._transport.sendto(bytes(response), address)

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()

    def describe(self, description: RTCSessionDescription) -> RTCSessionDescription:
        """Return a description as this agent would write it."""
        candidate = f"a=candidate:1 1 udp 2130706431 127.0.0.1 {self.port} typ host"
        sdp = without_candidates(description.sdp)
        sdp = re.sub(r"a=ice-ufrag:[^\r]*", f"a=ice-ufrag:{self.ufrag}", sdp)
        sdp = re.sub(r"a=ice-pwd:[^\r]*", f"a=ice-pwd:{self.password}", sdp)
        sdp = sdp.replace("\r\nm=", "\r\na=ice-lite\r\nm=", 1)
        return RTCSessionDescription(
            f"{sdp}{candidate}\r\na=end-of-candidates\r\n", description.type
        )


def nominations(agent: LiteAgent) -> list[bool]:
    assert all("ICE-CONTROLLING" in request.attributes for request in agent.requests)
    return ["USE-CANDIDATE" in request.attributes for request in agent.requests]


async def accept_offer(near: RTCPeerConnection, far: RTCPeerConnection, agent: LiteAgent) -> None:
    """Answer what the far side offers, as if the agent were its ICE."""
    await near.setRemoteDescription(agent.describe(await far.createOffer()))
    await near.setLocalDescription()


async def test_we_control_and_nominate_regularly_though_it_offers(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    far.createDataChannel("described only")
    agent = await LiteAgent.start("lite", "a password of at least 22".replace(" ", "+"))
    again = await LiteAgent.start("anew", "another password of the same".replace(" ", "+"))
    try:
        await accept_offer(near, far, agent)
        await wait_for_state(near, "iceConnectionState", "completed")
        assert near.sctp is not None
        assert near.sctp.transport.transport.role == "controlling"
        # "Regular": the check comes first, and the nomination when it has succeeded.
        assert nominations(agent)[0] is False
        assert True in nominations(agent)

        # The lite side restarts by offering other credentials.
        before = sending_ufrags(near)
        await accept_offer(near, far, again)
        await wait_sending_on_new_pair(near)
        assert sending_ufrags(near) == ufrags(near) != before
        assert nominations(again)[0] is False
        assert True in nominations(again)
    finally:
        agent.close()
        again.close()
