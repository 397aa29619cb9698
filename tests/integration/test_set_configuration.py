"""A changed configuration is in force from the next gathering. (W25, W26)."""

import asyncio

import pytest

from conftest import Factory
from connecting import negotiate, ufrags, wait_connected, wait_sending_on_new_pair
from restartice import (
    IceSettings,
    RTCConfiguration,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCSessionDescription,
)


class StunServer(asyncio.DatagramProtocol):
    """Counts what it is asked, and doesn't answer."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    def datagram_received(self, *_: object) -> None:
        self.asked.set()


async def test_servers_of_a_later_configuration_are_asked() -> None:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(StunServer, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    pc = RTCPeerConnection(
        RTCConfiguration(iceServers=[]), iceSettings=IceSettings(loopback_candidates=True)
    )
    pc.createDataChannel("chat")
    # The transport is there already, but has gathered nothing.
    pc.setConfiguration(RTCConfiguration(iceServers=[RTCIceServer(f"stun:127.0.0.1:{port}")]))
    setting = asyncio.ensure_future(pc.setLocalDescription())
    async with asyncio.timeout(30):
        await server.asked.wait()
    await pc.close()
    with pytest.raises(Exception, match="closed"):
        await setting
    transport.close()


async def test_a_restart_applies_the_policy(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("chat")
    await negotiate(near, far)
    await wait_connected(near, far)
    near.setConfiguration(
        RTCConfiguration(iceServers=[], iceTransportPolicy=RTCIceTransportPolicy.RELAY)
    )
    assert "typ host" in near.localDescription.sdp
    near.restartIce()
    await negotiate(near, far)
    # Without a relay there is no candidate any more that could be told.
    assert "typ host" not in near.localDescription.sdp
    near.setConfiguration(RTCConfiguration(iceServers=[]))
    near.restartIce()
    await negotiate(near, far)
    assert "typ host" in near.localDescription.sdp
    await wait_sending_on_new_pair(near, far)


async def test_the_next_offer_restarts(make_pc: Factory) -> None:
    """Without a request, and without an event. (W30)."""
    near, far = make_pc(), make_pc()
    near.createDataChannel("chat")
    # Before anything is described, there is nothing to restart.
    near.setConfiguration(RTCConfiguration(iceServers=[RTCIceServer("stun:127.0.0.1:9")]))
    near.setConfiguration(RTCConfiguration(iceServers=[]))
    await negotiate(near, far)
    await wait_connected(near, far)
    needed: list[str] = []
    near.on("negotiationneeded", lambda: needed.append("near"))
    relayed = RTCConfiguration(iceServers=[], iceTransportPolicy=RTCIceTransportPolicy.RELAY)
    before = ufrags(near)
    near.setConfiguration(RTCConfiguration(iceServers=[]))
    await negotiate(near, far)
    assert ufrags(near) == before
    # Back to what it was makes no difference, as candidates may have been gathered meanwhile.
    near.setConfiguration(relayed)
    near.setConfiguration(RTCConfiguration(iceServers=[]))
    assert needed == []
    offer = await near.createOffer()
    assert before[0] not in offer.sdp
    await near.setLocalDescription(offer)
    await near.setLocalDescription(RTCSessionDescription("", "rollback"))
    assert before[0] not in (await near.createOffer()).sdp
    await negotiate(near, far)
    await wait_sending_on_new_pair(near, far)
    after = ufrags(near)
    assert after != before
    await negotiate(near, far)
    assert ufrags(near) == after
    # A restart of the other side gathers anew, too.
    near.setConfiguration(relayed)
    near.setConfiguration(RTCConfiguration(iceServers=[]))
    far.restartIce()
    await negotiate(far, near)
    await wait_sending_on_new_pair(near, far)
    after = ufrags(near)
    await negotiate(near, far)
    assert ufrags(near) == after


async def test_can_trickle_ice_candidates(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("chat")
    assert near.canTrickleIceCandidates is None
    offer = await near.createOffer()
    await far.setRemoteDescription(offer)
    assert far.canTrickleIceCandidates is True
    await far.setRemoteDescription(RTCSessionDescription("", "rollback"))
    assert far.canTrickleIceCandidates is None
    silent = offer.sdp.replace(
        "a=ice-options:trickle ice2 early-checks\r\n", "a=ice-options:ice2\r\n"
    )
    await far.setRemoteDescription(RTCSessionDescription(silent, "offer"))
    assert far.canTrickleIceCandidates is False
    for options, trickles in (
        ("ice2,trickle", True),  # as libdatachannel writes it
        ("trickle,ice2", True),
        ("ice2, trickle", True),
        ("ice2,trickle-not", False),
    ):
        listed = silent.replace("a=ice-options:ice2", f"a=ice-options:{options}")
        await far.setRemoteDescription(RTCSessionDescription(listed, "offer"))
        assert far.canTrickleIceCandidates is trickles
    for level in ("m=application", "a=sctp-port"):
        one_level = silent.replace(level, f"a=ice-options:trickle\r\n{level}")
        await far.setRemoteDescription(RTCSessionDescription(one_level, "offer"))
        assert far.canTrickleIceCandidates is True
