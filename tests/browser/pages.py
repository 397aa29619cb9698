"""The program that serves the page, and a page of it in Chromium."""

import asyncio
import base64
import json
import os
import shutil
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from devtools import Browser, Chromium

PROGRAM = Path(__file__).parents[2] / "examples" / "browser" / "serve.py"
DEADLINE = 60.0
# Nothing leaves this machine: Python's only candidate is on loopback.
FLAGS = ("--allow-loopback-in-peer-connection", "--disable-features=WebRtcHideLocalIpsWithMdns")
FAKE_CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


class Page(Chromium):
    """A page of the program in a browser of its own."""

    def __init__(self, process: Process) -> None:
        super().__init__(process)
        self.complaints: list[str] = []
        self.requested: set[str] = set()

    @classmethod
    async def open(cls, profile: Path, url: str, *flags: str) -> Self:
        """Start the browser, and load the page."""
        page = await cls.start(profile, *FLAGS, *flags)
        try:
            for domain in ("Page", "Log", "Network"):
                await page.command(f"{domain}.enable")
            await page.load(url)
        except BaseException:
            await page.close()
            raise
        return page

    async def load(self, url: str) -> None:
        """Load the page, anew if it was already."""
        self.complaints.clear()
        await self.command("Page.navigate", url=url)

    def notice(self, message: dict[str, Any]) -> None:
        """Take note of errors, and of what is loaded."""
        method, params = message["method"], message["params"]
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in {"error", "warning"}:
            self.complaints.append(json.dumps(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in {"error", "warning"}:
            self.complaints.append(json.dumps(params["entry"]))
        elif method == "Network.requestWillBeSent":
            self.requested.add(params["request"]["url"])

    async def wait_for(self, condition: str) -> None:
        """Return when an expression of the page is true."""
        await wait_for(self, condition)

    async def wait_connected(self) -> None:
        """Return when the call is up, and the picture moves."""
        await self.wait_for(f"{text('status')} === 'Connected'")
        await self.wait_for_frames(5)

    async def wait_for_frames(self, count: int) -> None:
        """Return when so many more frames of Python's video have been shown."""
        shown = await self.evaluate("call.frames.shown")
        await self.wait_for(f"call.frames.shown >= {shown + count}")

    def check(self, url: str) -> None:
        """Check that nothing went wrong, and that nothing was loaded from elsewhere."""
        assert self.complaints == []
        assert {asked for asked in self.requested if not asked.startswith((url, "data:"))} == set()

    async def press(self, button: str) -> None:
        """Press a button."""
        await self.evaluate(f"document.getElementById('{button}').click()")

    async def key(self, name: str, code: int, characters: str = "") -> None:
        """Press a key."""
        pressed = {"key": name, "windowsVirtualKeyCode": code, "text": characters}
        await self.command("Input.dispatchKeyEvent", type="keyDown", **pressed)
        await self.command("Input.dispatchKeyEvent", type="keyUp", key=name)

    async def resize(self, width: int, height: int, scale: float = 1) -> None:
        """Make the page so large, in CSS pixels."""
        await self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 600,
        )

    async def prefer(self, **features: str) -> None:
        """Set what the user prefers, such as color_scheme="dark"."""
        wanted = [
            {"name": f"prefers-{k.replace('_', '-')}", "value": v} for k, v in features.items()
        ]
        await self.command("Emulation.setEmulatedMedia", features=wanted)

    async def save_picture(self, path: Path) -> None:
        """Save what is seen as PNG."""
        picture = base64.b64decode(await self.screenshot())
        await asyncio.to_thread(path.write_bytes, picture)


async def wait_for(browser: Browser, condition: str) -> None:
    """Return when an expression of a page is true."""
    # No event tells that: texts, attributes and counters are looked at.
    await browser.evaluate(f"""new Promise((resolve, reject) => {{
        const look = () => {{
            let met = false;
            try {{ met = {condition}; }} catch {{ /* Not there yet. */ }}
            if (met) {{ clearInterval(timer); clearTimeout(deadline); resolve(); }}
        }};
        const deadline = setTimeout(() => {{
            clearInterval(timer);
            const seen = document.body.innerText;
            reject(new Error({json.dumps(condition)} + " isn't so: " + seen));
        }}, {1000 * DEADLINE});
        const timer = setInterval(look, 20);
        look();
    }})""")


def text(name: str) -> str:
    """Return the expression for the text of an element."""
    return f"document.getElementById('{name}').textContent"


def read_number(name: str) -> str:
    """Return the expression for the number that an element shows."""
    return f"Number(document.getElementById('{name}').value)"


async def read_url(process: Process) -> str:
    """Return the address that the program prints."""
    assert process.stdout is not None
    async with asyncio.timeout(DEADLINE):
        line = (await process.stdout.readline()).decode()
    assert line.startswith("Open "), line
    return line.split()[1]


@asynccontextmanager
async def served(
    *options: str, record: Path | None = None, **environment: str
) -> AsyncIterator[str]:
    """Run the program, and record its calls if a file is given; yields the address of its page."""
    recording = () if record is None else ("-m", "restartice", "record", "--to", str(record))
    arguments = [sys.executable, *recording, str(PROGRAM), "--port=0", "--interface=lo", *options]
    process = await asyncio.create_subprocess_exec(
        *arguments, stdout=PIPE, env=os.environ | environment
    )
    try:
        yield await read_url(process)
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(DEADLINE):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def opened(url: str, *flags: str) -> AsyncIterator[Page]:
    """Open the page in a browser."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        page = await Page.open(Path(profile), url, *flags)
        try:
            yield page
        finally:
            await page.close()


def chromium() -> str | None:
    """Return where Chromium is, if it is installed."""
    return shutil.which("chromium")
