"""Calls on uvloop and in asyncio's debug mode, with operations cancelled at any moment. (W2).

Each round is one of `RESTARTICE_EXAMPLES`, of which there are 200 unless that says otherwise, and
has a seed, which is printed when it fails.
"""

import asyncio
import contextlib
import logging
import os
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from aiortc.exceptions import OperationError

from conftest import leave_nothing, open_sockets
from connecting import (
    DEADLINE,
    connect,
    negotiate,
    sending_ufrags,
    wait_connected,
    wait_restarted,
)
from loops import run_on
from properties.world import SilentTrack
from restartice import (
    AudioStreamTrack,
    InvalidAccessError,
    InvalidModificationError,
    InvalidStateError,
    RTCPeerConnection,
)

ROUNDS = int(os.environ.get("RESTARTICE_EXAMPLES", "200"))
STEPS, TURNS = 14, 40
# What an application that gets into its own way is told.
TOLD = (
    InvalidAccessError,
    InvalidModificationError,
    InvalidStateError,
    OperationError,
    asyncio.CancelledError,
)
LOOPS = ["uvloop", "debug"]


def run(loop: str, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run on an event loop, and see that nothing is reported to it, and nothing is left."""
    reported: list[dict[str, Any]] = []

    async def watched() -> None:
        running = asyncio.get_running_loop()
        running.set_exception_handler(lambda _, context: reported.append(context))
        before = open_sockets()
        await job()
        await leave_nothing(before)

    run_on(loop, watched())
    assert reported == []


@pytest.mark.parametrize("loop", LOOPS)
def test_a_call_goes_on_while_ice_restarts(loop: str) -> None:
    async def call() -> None:
        near, far = RTCPeerConnection(), RTCPeerConnection()
        for pc in (near, far):
            pc.addTrack(AudioStreamTrack())
        echo = await connect(near, far)
        await wait_connected(near, far)
        for offerer, answerer in ((near, far), (far, near)):
            before = [sending_ufrags(pc) for pc in (near, far)]
            offerer.restartIce()
            await negotiate(offerer, answerer)
            await wait_restarted(near, far, since=before)
            await echo.check()
            async with asyncio.timeout(DEADLINE):
                for pc in (near, far):
                    await pc.getReceivers()[0].track.recv()
        await asyncio.gather(near.close(), far.close())

    run(loop, call)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("loop", LOOPS)
def test_any_interleaving_with_cancellation(loop: str) -> None:
    # In debug mode the loop tells of each callback that takes long, which isn't what this is about.
    logging.getLogger("asyncio").setLevel(logging.ERROR)

    async def rounds() -> None:
        before = open_sockets()
        for _ in range(ROUNDS):
            seed = random.randrange(1 << 32)
            try:
                await Interleaving(random.Random(seed)).run()
                await leave_nothing(before)
            except BaseException:
                print(f"seed {seed}")
                raise

    try:
        run(loop, rounds)
    finally:
        logging.getLogger("asyncio").setLevel(logging.NOTSET)


class Interleaving:
    """Operations of two peers, begun and cancelled by chance."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.pair = RTCPeerConnection(), RTCPeerConnection()
        self.tasks: list[asyncio.Task[Any]] = []
        self.jobs: list[Callable[[RTCPeerConnection, RTCPeerConnection], Awaitable[Any]]] = [
            lambda ours, _: ours.setLocalDescription(),
            lambda ours, theirs: ours.setRemoteDescription(theirs.localDescription),
            lambda ours, _: ours.createOffer(iceRestart=chance.random() < 0.5),
            lambda ours, _: ours.createAnswer(),
            lambda ours, _: ours.addIceCandidate(None),
            lambda ours, _: ours.getStats(),
            negotiate,
            negotiate,
            negotiate,
            self.change,
            self.change,
            self.change,
        ]

    async def change(self, ours: RTCPeerConnection, _: RTCPeerConnection) -> None:
        """Do what takes effect at once."""
        changes: list[Callable[[], object]] = [
            ours.restartIce,
            lambda: ours.addTrack(SilentTrack("audio")),
            lambda: ours.addTransceiver("video"),
            lambda: ours.createDataChannel("chat"),
            lambda: [transceiver.stop() for transceiver in ours.getTransceivers()[-1:]],
            lambda: [*map(ours.removeTrack, ours.getSenders()[-1:])],
            lambda: ours.on("icecandidate", str),
        ]
        self.chance.choice(changes)()

    async def run(self) -> None:
        """Begin and cancel, often in a call, and close at the end, or before that."""
        if self.chance.random() < 0.3:
            self.pair[0].createDataChannel("chat")
            self.pair[1].addTrack(SilentTrack("audio"))
            await negotiate(*self.pair)
        if self.pair[0].sctp and self.chance.random() < 0.7:
            await wait_connected(*self.pair)
        for _ in range(self.chance.randint(3, STEPS)):
            self.begin(self.chance.choice(self.jobs))
            await self.turns()
            if self.chance.random() < 0.3:
                self.chance.choice(self.tasks).cancel()
            if self.chance.random() < 0.03:
                self.begin(lambda ours, _: ours.close())
        async with asyncio.timeout(DEADLINE):
            await self.close()

    def begin(self, job: Callable[[RTCPeerConnection, RTCPeerConnection], Awaitable[Any]]) -> None:
        ours, theirs = self.chance.sample(self.pair, 2)

        async def act() -> None:
            # A description that isn't there is no session description.
            with contextlib.suppress(*TOLD[:-1], TypeError):
                await job(ours, theirs)

        self.tasks.append(asyncio.ensure_future(act()))

    async def turns(self) -> None:
        for _ in range(self.chance.choice([0, 1, 3, TURNS])):
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Close, once by somebody who is cancelled, and see that nothing has failed."""
        impatient = asyncio.ensure_future(self.pair[0].close())
        await self.turns()
        impatient.cancel()
        await asyncio.gather(*(pc.close() for pc in self.pair))
        done = await asyncio.gather(*self.tasks, impatient, return_exceptions=True)
        failed = [error for error in done if error is not None]
        assert [error for error in failed if not isinstance(error, asyncio.CancelledError)] == []
        assert [pc.connectionState for pc in self.pair] == ["closed", "closed"]
