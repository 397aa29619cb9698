"""Browsers driven over a WebSocket: Chromium by DevTools, Firefox by WebDriver BiDi."""

import asyncio
import itertools
import json
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from websockets.asyncio.client import ClientConnection, connect

if TYPE_CHECKING:
    from collections.abc import Callable

TELL = "tell"
DEADLINE = 120.0


class BrowserError(Exception):
    """The browser refused a command, or the page threw an exception."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class Browser(ABC):
    """A running browser with one page."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self.on_tell: Callable[[Any], None] = print

    async def close(self) -> None:
        """End the browser."""
        if self._reader is not None:
            self._reader.cancel()
        if self._socket is not None:
            await self._socket.close()
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(10):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def connect(self, url: str) -> None:
        """Connect to the browser's WebSocket."""
        self._socket = await connect(url, max_size=None, ping_interval=None)
        self._reader = asyncio.create_task(self._read(self._socket))

    async def command(self, method: str, **params: Any) -> Any:
        """Let the browser do something; return what it answers."""
        assert self._socket is not None
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": params, **self.addressed()}
        await self._socket.send(json.dumps(message))
        async with asyncio.timeout(DEADLINE):
            return await self._answers[number]

    def addressed(self) -> dict[str, str]:
        """Return what a command needs besides."""
        return {}

    @abstractmethod
    async def evaluate(self, expression: str) -> Any:
        """Return the value, as JSON has it, that a promise in the page has in the end."""

    @abstractmethod
    def notice(self, message: dict[str, Any]) -> None:
        """Take note of an event."""

    @abstractmethod
    async def screenshot(self) -> str:
        """Return what the page looks like, as PNG in base64."""

    async def _read(self, socket: ClientConnection) -> None:
        async for text in socket:
            message = json.loads(text)
            future = self._answers.pop(message.get("id") or 0, None)
            if future is None:
                self.notice(message)
            elif message.get("error"):
                error = message["error"]
                reason = message.get("message") or json.dumps(error)
                future.set_exception(BrowserError(str(error), str(reason)))
            else:
                future.set_result(message["result"])


class Chromium(Browser):
    """Chromium."""

    session: str | None = None

    @classmethod
    async def start(cls, profile: Path, *flags: str, url: str = "about:blank") -> Self:
        """Start one that talks to nobody but us."""
        process = await asyncio.create_subprocess_exec(
            *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
            *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
            *(
                "--disable-sync",
                "--disable-extensions",
                "--disable-default-apps",
                "--metrics-recording-only",
            ),
            *("--disable-dev-shm-usage", "--mute-audio", "--no-proxy-server", "--no-pings"),
            *("--disable-renderer-backgrounding", "--disable-background-timer-throttling"),
            *("--autoplay-policy=no-user-gesture-required", f"--user-data-dir={profile}"),
            *("--remote-debugging-port=0", *flags, "about:blank"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        browser = cls(process)
        try:
            await browser.connect(await find_url(process, b"DevTools listening on "))
            await browser._open(url)
        except BaseException:
            await browser.close()
            raise
        return browser

    def addressed(self) -> dict[str, str]:
        """Return the page's session."""
        return {} if self.session is None else {"sessionId": self.session}

    async def evaluate(self, expression: str) -> Any:
        """Return the value, as JSON has it, that a promise in the page has in the end."""
        answer = await self.command(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if details := answer.get("exceptionDetails"):
            raise BrowserError("Error", details.get("exception", {}).get("description", ""))
        return answer["result"].get("value")

    async def screenshot(self) -> str:
        """Return what the page looks like, as PNG in base64."""
        return str((await self.command("Page.captureScreenshot", format="png"))["data"])

    def notice(self, message: dict[str, Any]) -> None:
        """Take note of what the page tells."""
        if message["method"] == "Runtime.bindingCalled":
            self.on_tell(json.loads(message["params"]["payload"]))

    async def _open(self, url: str) -> None:
        target = await self.command("Target.createTarget", url=url)
        attached = await self.command(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        self.session = attached["sessionId"]
        await self.command("Runtime.enable")
        await self.command("Runtime.addBinding", name="tellText")


FIREFOX_PREFERENCES: dict[str, bool | int | str] = {
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.safebrowsing.downloads.enabled": False,
    "browser.region.network.url": "",
    "browser.search.update": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "dom.push.connection.enabled": False,
    "extensions.getAddons.cache.enabled": False,
    "extensions.systemAddon.update.enabled": False,
    "extensions.update.enabled": False,
    "geo.provider.network.url": "",
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    "media.gmp-manager.updateEnabled": False,
    "media.gmp-manager.url": "",
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.dns.disablePrefetch": True,
    "network.prefetch-next": False,
    "services.settings.server": "data:,",
    "toolkit.telemetry.enabled": False,
    "toolkit.telemetry.server": "",
    "toolkit.telemetry.unified": False,
}


class Firefox(Browser):
    """Firefox, whose WebSocket speaks WebDriver BiDi without any driver in between."""

    context = ""

    @classmethod
    async def start(
        cls, profile: Path, url: str = "about:blank", /, **preferences: bool | int | str
    ) -> Self:
        """Start one that talks to nobody but us."""
        settings = FIREFOX_PREFERENCES | preferences
        lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in settings.items()]
        (profile / "user.js").write_text("\n".join(lines))
        process = await asyncio.create_subprocess_exec(
            *("firefox-esr", "--headless", "--no-remote", "--profile", str(profile)),
            *("--remote-debugging-port", "0", "about:blank"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        browser = cls(process)
        try:
            await browser.connect(await find_url(process, b"BiDi listening on ") + "/session")
            await browser._open(url)
        except BaseException:
            await browser.close()
            raise
        return browser

    async def evaluate(self, expression: str) -> Any:
        """Return the value, as JSON has it, that a promise in the page has in the end."""
        answer = await self.command(
            "script.evaluate",
            expression=f"Promise.resolve({expression}).then(v => JSON.stringify(v ?? null))",
            target={"context": self.context},
            awaitPromise=True,
        )
        if answer["type"] == "exception":
            raise BrowserError("Error", answer["exceptionDetails"]["text"])
        return json.loads(answer["result"]["value"])

    async def screenshot(self) -> str:
        """Return what the page looks like, as PNG in base64."""
        answer = await self.command("browsingContext.captureScreenshot", context=self.context)
        return str(answer["data"])

    def notice(self, message: dict[str, Any]) -> None:
        """Take note of what the page tells."""
        if message.get("method") == "script.message":
            self.on_tell(json.loads(message["params"]["data"]["value"]))

    async def _open(self, url: str) -> None:
        await self.command("session.new", capabilities={})
        await self.command("session.subscribe", events=["script.message"])
        tree = await self.command("browsingContext.getTree")
        self.context = tree["contexts"][0]["context"]
        await self.command(
            "browsingContext.navigate", context=self.context, url=url, wait="complete"
        )
        await self.command(
            "script.callFunction",
            functionDeclaration="(channel) => { globalThis.tellText = channel; }",
            arguments=[{"type": "channel", "value": {"channel": TELL}}],
            target={"context": self.context},
            awaitPromise=False,
        )


async def find_url(process: asyncio.subprocess.Process, marker: bytes) -> str:
    """Return the WebSocket URL that a browser prints, and go on reading what else it prints."""
    assert process.stderr is not None
    async with asyncio.timeout(DEADLINE):
        async for line in process.stderr:
            if marker in line:
                _keep(asyncio.create_task(_discard(process.stderr)))
                return line.partition(marker)[2].decode().strip()
    raise BrowserError("Error", "the browser ended before it listened")


_tasks: set[asyncio.Task[None]] = set()


def _keep(task: asyncio.Task[None]) -> None:
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


async def _discard(stream: asyncio.StreamReader) -> None:
    while await stream.read(1 << 16):
        pass
