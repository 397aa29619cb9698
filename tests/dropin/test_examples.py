"""aiortc's own examples, as processes of their own, run with the one import changed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

import aiohttp
import pytest
from aiortc import AudioStreamTrack, MediaStreamTrack, RTCDataChannel, VideoStreamTrack

from aiortc_suite.suite import download
from conftest import Factory
from connecting import (
    DEADLINE,
    sending_ufrags,
    wait_connected,
    wait_restarted,
    wait_until,
)
from dropin.examples import AFTER, BEFORE, adopt_examples, changed_lines
from dropin.media import count_frames, make_film, receive
from dropin.program import Program
from ports import free_port
from restartice import RTCPeerConnection

RESTARTS = 3


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("aiortc")


@pytest.fixture(scope="module")
def examples(cache: Path) -> Path:
    return adopt_examples(cache)


@pytest.fixture(scope="module")
def film(cache: Path) -> Path:
    return make_film(cache / "film.mp4", "mpeg4", sound=True)


@pytest.fixture(scope="module")
def silent_film(cache: Path) -> Path:
    return make_film(cache / "film.ts", "libx264", sound=False)


class Received:
    """The tracks that a connection receives, by kind."""

    def __init__(self, pc: RTCPeerConnection) -> None:
        self.tracks: dict[str, MediaStreamTrack] = {}
        pc.on("track", lambda track: self.tracks.setdefault(track.kind, track))

    async def check(self, count: int = 10) -> None:
        """Receive frames of all tracks."""
        await asyncio.gather(*(receive(track, count) for track in self.tracks.values()))


async def restart(program: Program, pc: RTCPeerConnection) -> None:
    """Restart ICE, which the program takes for any other offer."""
    before = sending_ufrags(pc)
    pc.restartIce()
    await program.negotiate(pc)
    await wait_restarted(pc, since=[before])


@asynccontextmanager
async def web_server(path: Path, *arguments: object) -> AsyncIterator[tuple[Program, str]]:
    """Run an example that is a web server; yield its address, too."""
    port = free_port()
    at = ("--host=127.0.0.1", f"--port={port}")
    async with Program.run(path, *at, *arguments) as program:
        await program.wait_for("Running on")
        yield program, f"http://127.0.0.1:{port}"


async def offer_by_http(pc: RTCPeerConnection, address: str, **options: str) -> None:
    """Post an offer, as the example's web page does."""
    await pc.setLocalDescription()
    local = pc.localDescription
    message = {"sdp": local.sdp, "type": local.type, **options}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{address}/offer", json=message) as r,
    ):
        assert r.status == 200
        answer = await r.json()
    # aiortc writes none of this, so it is restartice that runs there.
    assert "a=ice-options:trickle ice2" in answer["sdp"]
    await pc.setRemoteDescription(type(local)(**answer))
    await wait_connected(pc)


def test_only_the_import_is_changed(cache: Path, examples: Path) -> None:
    original = download(version("aiortc"), cache) / "examples"
    for name in (
        "server/server.py",
        "datachannel-cli/cli.py",
        "datachannel-filexfer/filexfer.py",
        "videostream-cli/cli.py",
        "webcam/webcam.py",
    ):
        removed, added = changed_lines(original / name, examples / name)
        assert removed.startswith(f"- {BEFORE}")
        assert added == f"+ {removed[2:].replace(BEFORE, AFTER)}"


@pytest.mark.parametrize("transform", ["none", "edges", "cartoon", "rotate"])
async def test_server_plays_records_transforms_and_answers_pings(
    make_pc: Factory, examples: Path, tmp_path: Path, transform: str
) -> None:
    recording = tmp_path / "recording.mp4"
    server = web_server(examples / "server/server.py", f"--record-to={recording}")
    async with server as (program, address):
        pc = make_pc()
        received, messages = Received(pc), asyncio.Queue[str]()
        pc.addTrack(AudioStreamTrack())
        pc.addTrack(VideoStreamTrack())
        channel = pc.createDataChannel("chat")
        channel.on("message", messages.put_nowait)
        channel.on("open", lambda: channel.send("ping 1234"))
        await offer_by_http(pc, address, video_transform=transform)
        assert received.tracks.keys() == {"audio", "video"}
        await received.check(40)
        async with asyncio.timeout(DEADLINE):
            assert await messages.get() == "pong 1234"
        await pc.close()
        await program.wait_for("Track video ended")
        await program.interrupt()
    # aiortc's MediaRecorder loses all pictures if the first comes after the first sound.
    assert count_frames(recording)["audio"] > 10


async def test_server_has_its_page(examples: Path) -> None:
    async with web_server(examples / "server/server.py") as (program, address):
        async with aiohttp.ClientSession() as session:
            for name in ("", "client.js"):
                async with session.get(f"{address}/{name}") as response:
                    assert "RTCPeerConnection" in await response.text() or not name
                    assert response.status == 200
        await program.interrupt()


@pytest.mark.parametrize("decoding", [True, False])
async def test_webcam_plays_a_file(
    make_pc: Factory, examples: Path, silent_film: Path, *, decoding: bool
) -> None:
    how = [] if decoding else ["--play-without-decoding", "--video-codec=video/H264"]
    server = web_server(examples / "webcam/webcam.py", f"--play-from={silent_film}", *how)
    async with server as (program, address):
        pc = make_pc()
        received = Received(pc)
        pc.addTransceiver("video", direction="recvonly")
        await offer_by_http(pc, address)
        await received.check(40)
        await pc.close()
        await program.interrupt()


def signaling(kind: str, folder: Path) -> list[str]:
    """Return the arguments by which the two ends of an example find each other."""
    if kind == "unix-socket":
        return [f"--signaling={kind}", f"--signaling-path={folder / 'socket'}"]
    return [f"--signaling={kind}", f"--signaling-port={free_port()}"]


@asynccontextmanager
async def two_ends(
    path: Path, how: list[str], offering: Iterable[str] = (), answering: Iterable[str] = ()
) -> AsyncIterator[tuple[Program, Program]]:
    """Run both ends of an example, the answering one when the other listens for it."""
    (place,) = (argument.partition("=")[2] for argument in how[1:])
    async with Program.run(path, "offer", *how, *offering) as offerer:
        await poll(lambda: listens(place))
        async with Program.run(path, "answer", *how, *answering) as answerer:
            yield offerer, answerer


def listens(place: str) -> bool:
    """Say if somebody accepts connections at a TCP port of 127.0.0.1 or a path."""
    if not place.isdigit():
        return place in Path("/proc/net/unix").read_text()
    return f" 0100007F:{int(place):04X} 00000000:0000 0A " in Path("/proc/net/tcp").read_text()


async def poll(condition: Callable[[], bool]) -> None:
    """Return when a condition holds in another process, of which nothing tells."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("kind", ["unix-socket", "tcp-socket"])
async def test_data_channels_between_two_programs(
    examples: Path, tmp_path: Path, kind: str
) -> None:
    path, how = examples / "datachannel-cli/cli.py", signaling(kind, tmp_path)
    async with two_ends(path, how) as (offerer, answerer):
        await offerer.wait_for("RTT", count=3)
        await answerer.wait_for("channel(chat) > pong", count=3)
        await answerer.interrupt()
        await offerer.wait_for("Exiting")
        await offerer.end()


class Pings:
    """Our end of the example's data channel, on which pings go one way and pongs the other."""

    def __init__(self, pc: RTCPeerConnection) -> None:
        self.received = asyncio.Queue[str]()
        self.channel: RTCDataChannel | None = None
        pc.on("datachannel", self._answer)

    def make_channel(self, pc: RTCPeerConnection) -> None:
        self.channel = pc.createDataChannel("chat")
        self.channel.on("message", self.received.put_nowait)

    async def exchange(self) -> None:
        """Send a ping for the pong, or wait for a ping that is answered."""
        while not self.received.empty():
            self.received.get_nowait()
        if self.channel is not None:
            self.channel.send("ping 77")
        async with asyncio.timeout(DEADLINE):
            message = await self.received.get()
        assert message == "pong 77" if self.channel else message.startswith("ping ")

    def _answer(self, channel: RTCDataChannel) -> None:
        @channel.on("message")
        def answer(message: str) -> None:
            channel.send(f"pong{message[4:]}")
            self.received.put_nowait(message)


async def call_program(program: Program, pc: RTCPeerConnection, role: str) -> None:
    """Negotiate for the first time with a program that has the role."""
    if role == "offer":
        await program.answer(pc)
    else:
        await program.negotiate(pc)
    await wait_connected(pc)


@pytest.mark.parametrize("role", ["offer", "answer"])
async def test_data_channel_goes_on_through_restarts(
    make_pc: Factory, examples: Path, role: str
) -> None:
    async with Program.run(examples / "datachannel-cli/cli.py", role) as program:
        pc = make_pc()
        pings = Pings(pc)
        if role == "answer":
            pings.make_channel(pc)
        await call_program(program, pc, role)
        await wait_until_open(pings)
        await pings.exchange()
        for _ in range(RESTARTS):
            await restart(program, pc)
            await pings.exchange()
        await program.say_goodbye()


async def wait_until_open(pings: Pings) -> None:
    if pings.channel is not None:
        channel = pings.channel
        await wait_until(channel, "open", lambda: channel.readyState == "open")


async def test_video_between_two_programs_is_played_and_recorded(
    examples: Path, tmp_path: Path, silent_film: Path
) -> None:
    # Pictures are files as soon as they are there.
    recordings = {role: tmp_path / f"{role}-%03d.png" for role in ("offer", "answer")}
    offering, answering = ([f"--record-to={path}"] for path in recordings.values())
    offering.append(f"--play-from={silent_film}")
    how = signaling("unix-socket", tmp_path)
    ends = two_ends(examples / "videostream-cli/cli.py", how, offering, answering)
    async with ends as (offerer, answerer):
        for role, program in (("offer", offerer), ("answer", answerer)):
            await program.wait_for("Receiving video")
            await poll((tmp_path / f"{role}-020.png").exists)
        await answerer.interrupt()
        await offerer.wait_for("Exiting")
        await offerer.end()
    assert count_frames(tmp_path / "offer-015.png")["video"] == 1


@pytest.mark.parametrize("role", ["offer", "answer"])
async def test_video_goes_on_through_restarts(make_pc: Factory, examples: Path, role: str) -> None:
    # Playing a file, the example would add the same track again, at each offer that it gets.
    async with Program.run(examples / "videostream-cli/cli.py", role) as program:
        pc = make_pc()
        received = Received(pc)
        pc.addTrack(VideoStreamTrack())
        await call_program(program, pc, role)
        await received.check()
        for _ in range(RESTARTS):
            await restart(program, pc)
            await received.check()
        assert received.tracks.keys() == {"video"}
        await program.say_goodbye()


@pytest.mark.parametrize("role", ["offer", "answer"])
async def test_a_film_is_played_with_sound(
    make_pc: Factory, examples: Path, film: Path, role: str
) -> None:
    path = examples / "videostream-cli/cli.py"
    async with Program.run(path, role, f"--play-from={film}") as program:
        pc = make_pc()
        received = Received(pc)
        pc.addTrack(AudioStreamTrack())
        pc.addTrack(VideoStreamTrack())
        await call_program(program, pc, role)
        assert received.tracks.keys() == {"audio", "video"}
        await received.check()
        await program.say_goodbye()
