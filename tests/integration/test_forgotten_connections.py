"""What becomes of connections that a program forgets without close()."""

import asyncio
import gc
import threading
import warnings
import weakref
from collections.abc import Awaitable, Callable, Iterator

import pytest

from conftest import leave_nothing, open_sockets
from connecting import DEADLINE, Echo, connect, negotiate, transports, wait_connected
from cutting import QUICK
from restartice import (
    AudioStreamTrack,
    IceSettings,
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)

Reference = weakref.ref[RTCPeerConnection]
ROLLBACK = RTCSessionDescription("", "rollback")
WARNING = r"unclosed RTCPeerConnection: it was dropped without close\(\)"


@pytest.fixture(autouse=True)
def no_automatic_collection() -> Iterator[None]:
    """Let only the tests collect, so that it is known when they do."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def make(*servers: str) -> RTCPeerConnection:
    """Make a connection whose listeners refer to it, as those of programs do."""
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[RTCIceServer(url) for url in servers]))
    seen: list[object] = []
    pc.on("connectionstatechange", lambda: seen.append(pc.connectionState))
    pc.addTrack(AudioStreamTrack())
    channel = pc.createDataChannel("chat")
    channel.on("open", lambda: seen.append(pc))
    return pc


async def with_an_offer() -> Reference:
    pc = make()
    await pc.setLocalDescription()
    return weakref.ref(pc)


async def while_candidates_trickle() -> Reference:
    # Nobody answers there, so that the server is still being asked.
    pc = make("stun:127.0.0.1:9")
    pc.on("icecandidate", lambda _: pc)
    await pc.setLocalDescription()
    return weakref.ref(pc)


async def after_a_rollback() -> Reference:
    pc = make()
    await pc.setLocalDescription()
    await pc.setLocalDescription(ROLLBACK)
    return weakref.ref(pc)


async def with_a_provisional_offer() -> Reference:
    pc = make()
    await pc.setLocalDescription()
    pc.addTransceiver("video")
    await pc.setLocalDescription()
    return weakref.ref(pc)


FORGOTTEN: list[Callable[[], Awaitable[Reference]]] = [
    with_an_offer,
    while_candidates_trickle,
    after_a_rollback,
    with_a_provisional_offer,
]


@pytest.mark.parametrize("begin", FORGOTTEN)
async def test_one_that_was_never_answered_is_collected(
    begin: Callable[[], Awaitable[Reference]],
) -> None:
    sockets = open_sockets()
    reference = await begin()
    assert open_sockets() > sockets
    await breathe()
    with pytest.warns(ResourceWarning, match=WARNING) as told:
        gc.collect()
    assert len(told) == 1
    assert reference() is None
    await leave_nothing(sockets)


def collect_in_thread() -> None:
    thread = threading.Thread(target=gc.collect)
    thread.start()
    thread.join()


async def breathe() -> None:
    """Let what is due happen, which might still refer to something."""
    for _ in range(10):
        await asyncio.sleep(0)


async def is_collected_without_a_word(reference: weakref.ref[RTCPeerConnection]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await breathe()
        gc.collect()
    assert reference() is None


async def test_one_without_sockets_is_collected_without_a_word() -> None:
    sockets = open_sockets()
    far = make()
    offer = await far.createOffer()
    await far.close()
    pc = make()
    await pc.setRemoteDescription(offer)
    await pc.createAnswer()
    reference = weakref.ref(pc)
    del pc
    await is_collected_without_a_word(reference)
    await leave_nothing(sockets)


async def test_the_collector_may_run_in_any_thread() -> None:
    sockets = open_sockets()
    reference = await with_an_offer()
    await breathe()
    with pytest.warns(ResourceWarning, match=WARNING):
        collect_in_thread()
    assert reference() is None
    await leave_nothing(sockets)


async def test_closing_leaves_nothing_to_warn_of() -> None:
    sockets = open_sockets()
    pc = make()
    await pc.setLocalDescription()
    await pc.close()
    reference = weakref.ref(pc)
    del pc
    await is_collected_without_a_word(reference)
    await leave_nothing(sockets)


KEPT: dict[str, Callable[[RTCPeerConnection], object]] = {
    "channel": lambda pc: pc.createDataChannel("other"),
    "transceiver": lambda pc: pc.getTransceivers()[0],
    "sender": lambda pc: pc.getSenders()[0],
    "receiver": lambda pc: pc.getReceivers()[0],
    "track": lambda pc: pc.getReceivers()[0].track,
    "sctp": lambda pc: pc.sctp,
    "dtls": lambda pc: pc.getSenders()[0].transport,
    "ice": lambda pc: transports(pc)[0],
    "gatherer": lambda pc: transports(pc)[0].iceGatherer,
}


@pytest.mark.parametrize("part", KEPT)
async def test_any_part_of_it_keeps_it(part: str) -> None:
    sockets = open_sockets()
    pc = make()
    kept = [KEPT[part](pc)]
    await pc.setLocalDescription()
    reference = weakref.ref(pc)
    del pc
    await breathe()
    gc.collect()
    assert open_sockets() > sockets
    assert kept
    found = reference()
    assert found is not None
    await found.close()
    await leave_nothing(sockets)


async def test_one_that_waits_for_something_is_kept() -> None:
    sockets = open_sockets()
    go_on = asyncio.Event()
    far = RTCPeerConnection()
    offers: asyncio.Queue[RTCSessionDescription] = asyncio.Queue()
    answers: asyncio.Queue[RTCSessionDescription] = asyncio.Queue()

    async def program() -> None:
        pc = make()
        await pc.setLocalDescription()
        offers.put_nowait(pc.localDescription)
        await pc.setRemoteDescription(await answers.get())
        await wait_connected(pc)
        await go_on.wait()
        await pc.close()

    running = asyncio.ensure_future(program())
    await far.setRemoteDescription(await offers.get())
    await far.setLocalDescription()
    gc.collect()
    answers.put_nowait(far.localDescription)
    await wait_connected(far)
    gc.collect()
    go_on.set()
    await running
    await far.close()
    await leave_nothing(sockets)


async def forgetful_echo(near: RTCPeerConnection) -> tuple[Echo, Reference]:
    """Connect to a peer that nobody refers to, but what it does."""
    far = RTCPeerConnection()
    echo = await connect(near, far)
    await wait_connected(near, far)
    return echo, weakref.ref(far)


async def test_one_that_is_connected_goes_on_until_its_peer_ends_it() -> None:
    sockets = open_sockets()
    near = RTCPeerConnection()
    echo, far = await forgetful_echo(near)
    for number in range(5):
        await breathe()
        gc.collect()
        await echo.check(f"{number}")
    assert far() is not None
    await near.close()
    await leave_nothing(sockets)
    del near, echo
    gc.collect()
    assert far() is None


async def test_one_of_which_a_track_is_kept_goes_on() -> None:
    sockets = open_sockets()
    near = RTCPeerConnection()
    near.addTrack(AudioStreamTrack())

    async def track_of_peer() -> MediaStreamTrack:
        far = RTCPeerConnection()
        await negotiate(near, far)
        await wait_connected(near, far)
        return far.getReceivers()[0].track

    track = await track_of_peer()
    gc.collect()
    for _ in range(10):
        async with asyncio.timeout(DEADLINE):
            await track.recv()
    gc.collect()
    ended = asyncio.Event()
    track.on("ended", ended.set)
    await near.close()
    async with asyncio.timeout(DEADLINE):
        await ended.wait()
    await leave_nothing(sockets)


async def test_one_whose_peer_vanishes_closes_itself_and_is_collected() -> None:
    sockets = open_sockets()
    settings = IceSettings(
        silence_timeout=QUICK.silence_timeout,
        probe_timeout=QUICK.probe_timeout,
        consent_interval=QUICK.consent_interval,
        consent_lifetime=QUICK.consent_lifetime,
        failed_timeout=0.5,
    )
    far = RTCPeerConnection()

    async def forget() -> tuple[Reference, RTCDataChannel]:
        near = RTCPeerConnection(iceSettings=settings)
        return weakref.ref(near), (await connect(near, far)).channel

    near, channel = await forget()
    for transport in transports(far):
        await transport._connection.close()
    await wait_closed(channel)
    await far.close()
    await leave_nothing(sockets)
    del channel
    gc.collect()
    assert near() is None


async def wait_closed(channel: RTCDataChannel) -> None:
    closed = asyncio.Event()
    channel.on("close", closed.set)
    async with asyncio.timeout(DEADLINE):
        await closed.wait()
