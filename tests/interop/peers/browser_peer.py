"""A peer in a browser: `browser_peer.py chromium|firefox[-mdns|-capturing]`, or `chromium-snap`.

With -mdns the browser hides its addresses behind names, as it does for a page without permission to
use camera or microphone. With -capturing the page listens to a microphone that there isn't, and so
learns the addresses of all networks, instead of the default route's only. With -snap Chromium
writes the INIT of SCTP in its descriptions.
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from devtools import Browser, BrowserError, Chromium, Firefox
from lines import Order, obey, tell

HERE = Path(__file__).parent
SHOW_ADDRESSES = "--disable-features=WebRtcHideLocalIpsWithMdns"
TELL_INIT = "--enable-features=WebRtcSctpSnap"
HIDE_ADDRESSES = "media.peerconnection.ice.obfuscate_host_addresses"
CAPTURE = (
    "navigator.mediaDevices.getUserMedia({ audio: true })"
    ".then((stream) => { globalThis.captured = stream; })"
)
FAKE_MICROPHONE = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
# It is the permission that counts: what is captured of a fake device doesn't.
FIREFOX_MICROPHONE: dict[str, bool | int] = {
    "media.navigator.streams.fake": True,
    "permissions.default.microphone": 1,
}


async def start(name: str, profile: Path) -> Browser:
    """Start the browser and load the peer into its page."""
    browser: Browser
    hide, capture = name.endswith("-mdns"), name.endswith("-capturing")
    # A blank page may not capture anything.
    page = profile / "page.html"
    page.write_text("<!doctype html>")
    url = page.as_uri() if capture else "about:blank"
    if name.startswith("chromium"):
        options = [] if hide else [SHOW_ADDRESSES]
        if name.endswith("-snap"):
            options.append(TELL_INIT)
        if capture:
            options += FAKE_MICROPHONE
        browser = await Chromium.start(profile, *options)
        await browser.command("Page.navigate", url=url)
    else:
        preferences = FIREFOX_MICROPHONE if capture else {}
        browser = await Firefox.start(profile, url, **preferences, **{HIDE_ADDRESSES: hide})
    browser.on_tell = lambda values: tell(**values)
    if capture:
        await browser.evaluate(CAPTURE)
    for script in ("peer.js", "browser.js"):
        await browser.evaluate(f"(() => {{ {(HERE / script).read_text()}\n }})()")
    await browser.evaluate(
        "(() => { const tell = (values) => tellText(JSON.stringify(values));"
        "globalThis.handle = createPeer(browserPlatform({}), tell);"
        "globalThis.answer = (order) => handle(order).then((result) => ({ result }),"
        "({ name, message }) => ({ error: { name, message } })); })()"
    )
    return browser


async def main() -> None:
    """Carry out orders in the page."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = await start(sys.argv[1], Path(profile))

        async def handle(order: Order) -> Any:
            answer = await browser.evaluate(f"answer({json.dumps(order)})")
            if error := answer.get("error"):
                raise BrowserError(error["name"], error["message"])
            return answer["result"]

        try:
            await obey(handle)
        finally:
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
