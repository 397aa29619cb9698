"""Whatever two peers do, in whatever order, they end up stable and of one mind.

(S4, W1, W4, W9, W12, W13, W17, W18, W19, W20, W27)

`RESTARTICE_EXAMPLES` is how many sequences are tried, of up to 40 steps each.
"""

import asyncio
import os
from collections.abc import Coroutine
from typing import Any

import aioice.ice
import pytest
from hypothesis import HealthCheck, Phase, settings, strategies
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from properties.world import Peer, SilentTrack, World

EXAMPLES = int(os.environ.get("RESTARTICE_EXAMPLES", "100"))
STEPS = 40
# Shrinking takes minutes; what failed is told anyway.
PHASES = (Phase.explicit, Phase.generate)

sides = strategies.sampled_from([0, 1])
kinds = strategies.sampled_from(["audio", "video"])
directions = strategies.sampled_from(["sendrecv", "sendonly", "recvonly", "inactive"])
choices = strategies.integers(0, 7)


class Negotiation(RuleBasedStateMachine):
    """Two connections; what runs at the same time is started at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.world: World

    def run(self, job: Coroutine[Any, Any, Any]) -> None:
        async def and_breathe() -> None:
            async with asyncio.timeout(60):
                await job
                await self.world.breathe()

        self.loop.run_until_complete(and_breathe())

    def act(self, side: int, name: str, *args: Any, **kwargs: Any) -> None:
        async def call() -> None:
            getattr(self.peer(side).pc, name)(*args, **kwargs)

        self.run(call())

    def peer(self, side: int) -> Peer:
        return self.world.peers[side]

    @initialize(trickle=strategies.booleans(), connected=strategies.booleans())
    def begin(self, *, trickle: bool, connected: bool) -> None:
        async def make() -> None:
            self.world = World(trickle=trickle)
            if connected:
                self.peer(0).open_channel()
                await self.world.settle()

        self.loop.run_until_complete(make())

    # What applications do.

    @rule(side=sides)
    def restart_ice(self, side: int) -> None:
        async def call() -> None:
            self.peer(side).restart()

        self.run(call())

    @rule(side=sides, kind=kinds)
    def add_track(self, side: int, kind: str) -> None:
        if len(self.peer(side).pc.getTransceivers()) < 6:
            self.act(side, "addTrack", SilentTrack(kind))

    @rule(side=sides, kind=kinds, direction=directions)
    def add_transceiver(self, side: int, kind: str, direction: str) -> None:
        if len(self.peer(side).pc.getTransceivers()) < 6:
            self.act(side, "addTransceiver", kind, direction, streams=["stream"])

    @rule(side=sides, choice=choices)
    def remove_track(self, side: int, choice: int) -> None:
        if senders := self.peer(side).pc.getSenders():
            self.act(side, "removeTrack", senders[choice % len(senders)])

    @rule(side=sides, choice=choices, direction=directions)
    def change_direction(self, side: int, choice: int, direction: str) -> None:
        async def change() -> None:
            going = [t for t in self.peer(side).pc.getTransceivers() if not t.stopped]
            if going:
                going[choice % len(going)].direction = direction

        self.run(change())

    @rule(side=sides, choice=choices)
    def stop(self, side: int, choice: int) -> None:
        async def stop() -> None:
            transceivers = self.peer(side).pc.getTransceivers()
            if transceivers:
                await transceivers[choice % len(transceivers)].stop()

        self.run(stop())

    @rule(side=sides, choice=choices)
    def change_streams(self, side: int, choice: int) -> None:
        async def change() -> None:
            if senders := self.peer(side).pc.getSenders():
                senders[choice % len(senders)].setStreams(*["one", "other"][: choice % 3])

        self.run(change())

    @rule(side=sides)
    def create_data_channel(self, side: int) -> None:
        async def call() -> None:
            self.peer(side).open_channel()

        self.run(call())

    @rule(side=sides)
    def send(self, side: int) -> None:
        async def call() -> None:
            self.peer(side).send()

        self.run(call())

    # What signaling does.

    @rule(side=sides)
    def offer(self, side: int) -> None:
        peer = self.peer(side)
        if peer.needed and peer.pc.signalingState == "stable":
            self.run(peer.make_offer())

    @rule(side=sides)
    def offer_and_take_back(self, side: int) -> None:
        self.run(self.peer(side).offer_and_take_back())

    @precondition(lambda self: any(peer.inbox for peer in self.world.peers))
    @rule(side=sides)
    def deliver(self, side: int) -> None:
        if self.peer(side).inbox:
            self.run(self.peer(side).receive())

    @precondition(lambda self: any(peer.inbox for peer in self.world.peers))
    @rule(side=sides)
    def delay_candidates(self, side: int) -> None:
        self.peer(side).delay_candidates()

    @rule(side=sides)
    def offer_while_a_message_comes_in(self, side: int) -> None:
        async def both() -> None:
            peer = self.peer(side)
            jobs = [peer.receive()] if peer.inbox else []
            if peer.needed and peer.pc.signalingState == "stable":
                jobs.insert(0, peer.make_offer())
            await asyncio.gather(*jobs)

        self.run(both())

    @rule()
    def both_offer(self) -> None:
        async def both() -> None:
            peers = [p for p in self.world.peers if p.needed and p.pc.signalingState == "stable"]
            await asyncio.gather(*(peer.make_offer() for peer in peers))

        self.run(both())

    @rule()
    def settle(self) -> None:
        self.run(self.world.settle())

    def teardown(self) -> None:
        async def end() -> None:
            try:
                await self.world.settle()
                await self.world.check()
            finally:
                await self.world.close()

        try:
            if hasattr(self, "world"):
                self.loop.run_until_complete(end())
        finally:
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()


@pytest.mark.timeout(max(300, 6 * EXAMPLES))
def test_any_sequence_ends_stable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: ["127.0.0.1"])
    run_state_machine_as_test(
        Negotiation,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=PHASES,
            derandomize="RESTARTICE_EXAMPLES" not in os.environ,
        ),
    )
