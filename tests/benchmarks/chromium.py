"""Measurements in headless Chromium: `chromium.py MEASUREMENT {"count": 3}`; it prints JSON."""

import json
import shutil
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

PAGE: Final = Path(__file__).with_name("chromium.html")
LIMIT: Final = 45.0
# Host candidates by their addresses, as of a page that may use the camera.
SHOW_ADDRESSES: Final = "--disable-features=WebRtcHideLocalIpsWithMdns"
OPTIONS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    SHOW_ADDRESSES,
)


class Server(ThreadingHTTPServer):
    """Serves the page, and takes its result."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.result: dict[str, Any] = {"error": "no result in time"}
        self.done = threading.Event()


class Handler(BaseHTTPRequestHandler):
    """What the page asks for."""

    server: Server

    def do_GET(self) -> None:
        """Send the page, whatever is asked for."""
        self._answer(PAGE.read_bytes())

    def do_POST(self) -> None:
        """Take the result."""
        length = int(self.headers["Content-Length"])
        self.server.result = json.loads(self.rfile.read(length))
        self._answer(b"")
        self.server.done.set()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base's name
        """Say nothing."""

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def measure(measurement: str, count: int) -> dict[str, Any]:
    """Run the page in the browser; return what it measured."""
    browser = shutil.which("chromium")
    if browser is None:
        return {"error": "chromium isn't installed"}
    with Server() as server, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/?measurement={measurement}&count={count}"
        with subprocess.Popen(
            [browser, *OPTIONS, f"--user-data-dir={profile}", url],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            server.done.wait(LIMIT)
            process.terminate()
        server.shutdown()
        return server.result


if __name__ == "__main__":
    measured = measure(sys.argv[1], json.loads(sys.argv[2])["count"])
    if "error" in measured:
        sys.exit(str(measured["error"]))
    print(json.dumps(measured))
