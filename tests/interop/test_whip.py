"""Our WHIP and WHEP endpoints with clients of other make: of libav, and npm's in Chromium."""

import asyncio
import json
import shutil
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from browser.pages import Page
from connecting import DEADLINE, sending_ufrags, wait_restarted
from requiring import require
from restartice import RTCPeerConnection, VideoStreamTrack
from restartice_signaling.whip import WhepEndpoint, WhipEndpoint
from webservers import AiohttpServer

if TYPE_CHECKING:
    import aiortc

HERE = Path(__file__).parent
PACKAGE = HERE / "node_modules" / "whip-whep"
FRAMES = 3


class Served:
    """A server with both endpoints, and npm's clients for pages."""

    def __init__(self) -> None:
        self.server = AiohttpServer()
        self.made: list[RTCPeerConnection] = []
        self.tracks: asyncio.Queue[aiortc.MediaStreamTrack] = asyncio.Queue()
        self.whip, self.whep = WhipEndpoint(self.take), WhepEndpoint(self.play)
        self.server.add(self.whip, "/whip")
        self.server.add(self.whep, "/whep")
        self.server.app.router.add_get("/", self.page)
        if PACKAGE.exists():
            self.server.app.router.add_static("/clients", PACKAGE.resolve())

    async def page(self, _: web.Request) -> web.Response:
        """Return a page for scripts."""
        return web.Response(text="<!doctype html><title>WHIP</title>", content_type="text/html")

    def take(self, pc: RTCPeerConnection) -> None:
        """Receive what is published."""
        self.made.append(pc)
        pc.on("track", self.tracks.put_nowait)

    def play(self, pc: RTCPeerConnection) -> None:
        """Send a picture."""
        self.made.append(pc)
        pc.addTrack(VideoStreamTrack())

    async def check(self, *kinds: str) -> None:
        """Receive some frames of each kind."""
        async with asyncio.timeout(DEADLINE):
            tracks = [await self.tracks.get() for _ in kinds]
            assert {track.kind for track in tracks} == set(kinds)
            for track in tracks * FRAMES:
                await track.recv()

    async def wait_restarted(self, ask: Callable[[], Any]) -> None:
        """Have the client restart ICE."""
        (pc,) = self.made
        before = [sending_ufrags(pc)]
        await asyncio.gather(ask(), wait_restarted(pc, since=before))

    async def wait_closed(self) -> None:
        """Return when the client has said goodbye."""
        (pc,) = self.made
        async with asyncio.timeout(DEADLINE):
            await wait_until_closed(pc)
        assert not self.whip.connections
        assert not self.whep.connections


async def wait_until_closed(pc: RTCPeerConnection) -> None:
    if pc.connectionState != "closed":
        closed = asyncio.Event()
        pc.on("connectionstatechange", closed.set)
        while pc.connectionState != "closed":
            await closed.wait()
            closed.clear()


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    served = Served()
    await served.server.start()
    yield served
    await served.server.close()


def write_certificate(folder: Path) -> tuple[str, str]:
    """Write a certificate and its key: the one that libav makes with GnuTLS is on P-224."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "libav")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    pem = serialization.Encoding.PEM
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(made.sign(key, hashes.SHA256()).public_bytes(pem))
    form, encryption = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    paths[1].write_bytes(key.private_bytes(pem, form, encryption))
    return str(paths[0]), str(paths[1])


async def test_libav_publishes(served: Served, tmp_path: Path) -> None:
    require("whip" in av.formats_available, "a libav with WHIP")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(HERE / "peers" / "libav_publisher.py")),
        *(f"{served.server.origin}/whip", *write_certificate(tmp_path)),
        stdin=PIPE,
    )
    try:
        await served.check("video", "audio")
        assert process.stdin is not None
        process.stdin.close()
        await served.wait_closed()
        async with asyncio.timeout(DEADLINE):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.fixture
async def page(served: Served, tmp_path: Path) -> AsyncIterator[Page]:
    require(shutil.which("chromium"), "Chromium")
    require(PACKAGE.exists(), "npm's whip-whep")
    page = await Page.open(tmp_path, f"{served.server.origin}/")
    await page.wait_for("document.title === 'WHIP'")
    yield page
    await page.close()


async def run(page: Page, script: str, **values: str) -> Any:
    """Run a function of the page, whose variables stay."""
    given = "".join(f"const {name} = {json.dumps(value)};" for name, value in values.items())
    async with asyncio.timeout(DEADLINE):
        return await page.evaluate(f"(async () => {{ {given} {script} }})()")


@pytest.mark.browser
async def test_a_page_publishes(served: Served, page: Page) -> None:
    await run(
        page,
        """
        const { WHIPClient } = await import(`${origin}/clients/whip.js`);
        const canvas = document.body.appendChild(document.createElement("canvas"));
        const context = canvas.getContext("2d");
        setInterval(() => context.fillRect(0, 0, Math.random() * 300, 150), 50);
        window.pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
        for (const track of canvas.captureStream(20).getTracks())
            pc.addTransceiver(track, { direction: "sendonly" });
        window.client = new WHIPClient();
        await client.publish(pc, `${origin}/whip`, "token");
        """,
        origin=served.server.origin,
    )
    await served.check("video")
    for _ in range(2):
        await served.wait_restarted(lambda: run(page, "await client.restart();"))
    await run(page, "await client.stop();")
    await served.wait_closed()


@pytest.mark.browser
async def test_a_page_plays(served: Served, page: Page) -> None:
    await run(
        page,
        """
        const { WHEPClient } = await import(`${origin}/clients/whep.js`);
        window.pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
        pc.addTransceiver("video", { direction: "recvonly" });
        const video = document.body.appendChild(document.createElement("video"));
        video.muted = video.autoplay = true;
        pc.ontrack = ({ track }) => { video.srcObject = new MediaStream([track]); };
        window.client = new WHEPClient();
        await client.view(pc, `${origin}/whep`, "token");
        await new Promise((seen) => video.requestVideoFrameCallback(seen));
        """,
        origin=served.server.origin,
    )
    await served.wait_restarted(lambda: run(page, "await client.restart();"))
    await run(page, "await client.stop();")
    await served.wait_closed()
