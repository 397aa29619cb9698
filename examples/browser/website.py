"""The web server of the page: a few files, and a place where a call begins."""

import json
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
WRITTEN = HERE.parents[1] / "signaling" / "restartice_signaling" / "files"
KINDS = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
FILES = {f"/{file.name}": file for file in HERE.iterdir() if file.suffix in KINDS}
FILES |= {"/": HERE / "index.html", "/rtc-signal.js": WRITTEN / "rtc-signal.js"}
# The page loads nothing from elsewhere, and no other page may show it.
POLICY = "default-src 'self'; connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'"

BeginCall = Callable[[], dict[str, Any]]


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: "Website"
    timeout = 30

    def do_GET(self) -> None:
        """Send a file."""
        file = FILES.get(self.path.partition("?")[0])
        if file is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self._answer(f"{KINDS[file.suffix]}; charset=utf-8", file.read_bytes())

    def do_POST(self) -> None:
        """Begin a call."""
        # Other sites may send JSON only after a preflight request, which this server refuses.
        if self.path != "/call" or self.headers.get_content_type() != "application/json":
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            call = self.server.begin_call()
        except RuntimeError as error:
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
            return
        self._answer("application/json", json.dumps(call).encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base's name
        """Say nothing."""

    def _answer(self, kind: str, body: bytes) -> None:
        self.send_response(HTTPStatus.OK)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class Website(ThreadingHTTPServer):
    """A running web server."""

    def __init__(self, address: tuple[str, int], begin_call: BeginCall) -> None:
        super().__init__(address, Handler)
        self.begin_call = begin_call

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore visitors who leave before they have got everything."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


@contextmanager
def website(
    host: str, port: int, begin_call: BeginCall, tls: ssl.SSLContext | None
) -> Iterator[Website]:
    """Serve the page in threads of its own.

    Args:
        host: The address to listen on.
        port: The port, or 0 for any.
        begin_call: Called in such a thread; returns what the page needs to know, or raises
            RuntimeError if there are too many calls.
        tls: For https.
    """
    with Website((host, port), begin_call) as site:
        if tls is not None:
            # The thread of the request does the handshake, not the thread that accepts.
            site.socket = tls.wrap_socket(
                site.socket, server_side=True, do_handshake_on_connect=False
            )
        thread = threading.Thread(target=site.serve_forever, daemon=True)
        thread.start()
        try:
            yield site
        finally:
            site.shutdown()
            thread.join()
