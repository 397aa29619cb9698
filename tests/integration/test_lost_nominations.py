"""A pair that dies between its first check and its nomination gives way to another one."""

from collections.abc import Iterable
from typing import Any

import aioice.ice
import aiortc
import pytest
from aioice import stun

from conftest import Factory
from connecting import Echo, wait_for_state

Address = tuple[str, int]


class Dying:
    """Loses all packets of the pair that is nominated first, as soon as a check on it has worked.

    What nominates it gets lost in any case.

    Attributes:
        pair: The two addresses of that pair, or None as long as none was nominated.
        nominations: How many requests to nominate it were lost.
    """

    def __init__(self) -> None:
        self.pair: frozenset[Address] | None = None
        self.nominations = 0
        self._worked: set[frozenset[Address]] = set()

    def takes_away(self, data: bytes, pair: frozenset[Address]) -> bool:
        """Return whether a packet gets lost."""
        try:
            message = stun.parse_message(data)
        except ValueError:
            return pair == self.pair and pair in self._worked
        nominates = "USE-CANDIDATE" in message.attributes
        if nominates and self.pair is None:
            self.pair = pair
        if pair == self.pair and (nominates or pair in self._worked):
            self.nominations += nominates
            return True
        if message.message_class is stun.Class.RESPONSE:
            self._worked.add(pair)
        return False


class Leaky:
    """The socket of a peer, of which a pair may be dying."""

    def __init__(self, transport: Any, dying: Dying) -> None:
        self._transport = transport
        self._dying = dying
        self.address: Address = transport.get_extra_info("sockname")

    def sendto(self, data: bytes, address: Address) -> None:
        if not self._dying.takes_away(data, frozenset({self.address, address})):
            self._transport.sendto(data, address)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def ice_of(pc: aiortc.RTCPeerConnection) -> Any:
    assert pc.sctp is not None
    ice: Any = pc.sctp.transport.transport
    return ice._connection


def leak(pcs: Iterable[aiortc.RTCPeerConnection], dying: Dying) -> None:
    """Let the peers, which have their sockets already, lose packets."""
    for pc in pcs:
        for protocol in ice_of(pc)._protocols:
            protocol.transport = Leaky(protocol.transport, dying)


@pytest.mark.parametrize(
    ("ours_controls", "ours_follows"), [(True, True), (True, False), (False, True)]
)
async def test_another_pair_is_nominated(
    make_pc: Factory, monkeypatch: pytest.MonkeyPatch, *, ours_controls: bool, ours_follows: bool
) -> None:
    addresses = ["127.0.0.1", "127.0.0.2"]
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: list(addresses))
    near, far = (
        make_pc() if ours else aiortc.RTCPeerConnection() for ours in (ours_controls, ours_follows)
    )
    dying = Dying()
    try:
        echo = Echo(near, far)
        await near.setLocalDescription(await near.createOffer())
        leak([near], dying)
        del addresses[1]
        await far.setRemoteDescription(near.localDescription)
        answer = await far.createAnswer()
        # Those of ours are open when the answer is made, but aiortc opens them later.
        await far.setLocalDescription(answer)
        leak([far], dying)
        await near.setRemoteDescription(far.localDescription)
        for pc in (near, far):
            await wait_for_state(pc, "connectionState", "connected")
        await echo.check()
        assert dying.nominations > 0
        for pc in (near, far):
            pair = ice_of(pc)._nominated[1]
            local = pair.local_candidate
            assert frozenset({(local.host, local.port), pair.remote_addr}) != dying.pair
    finally:
        for pc in (near, far):
            await pc.close()
