"""A call between Python and a browser that continues while ICE is restarted and paths are cut.

It starts a signaling server and a web server; open the address that it prints. Each page gets its
own Python peer.
"""

import argparse
import asyncio
import os
import secrets
import ssl
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cuttable import CuttableLoop
from peer import Peer
from restartice import IceSettings
from restartice_signaling import ServerSettings, make_token, serve
from website import website

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
MOST_CALLS = 8
DAY = 86400.0
SECRET = "RESTARTICE_SIGNALING_SECRET"  # noqa: S105  a name
NO_CAMERA = """\
Without --cert and --key, browsers on other machines get this page by http, where they allow no
camera: it sends a drawing instead. With a certificate that they trust it is https, and they do.
"""


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="the address to listen on (%(default)s)"
    )
    parser.add_argument(
        "--port",
        type=int,
        default=8080,
        help="the port of the page (%(default)s); signaling has the next",
    )
    parser.add_argument(
        "--public",
        action="store_true",
        help="allow other machines; listens on all addresses without --host",
    )
    parser.add_argument("--cert", metavar="FILE", help="the certificate chain, for https and wss")
    parser.add_argument("--key", metavar="FILE", help="the private key, unless --cert contains it")
    parser.add_argument(
        "--interface",
        action="append",
        metavar="NAME",
        help="a network interface for ICE; may be repeated (all)",
    )
    parser.add_argument(
        "--signaling",
        metavar="URL",
        help=f"use this signaling server, with its secret in {SECRET}",
    )
    options = parser.parse_args(arguments)
    check(parser, options)
    return options


def check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Exit with status 2 if an option is wrong."""
    if options.public and options.host in LOOPBACK:
        options.host = "0.0.0.0"  # noqa: S104  asked for
    if options.host not in LOOPBACK and not options.public:
        parser.error(f"others may reach {options.host}, and make calls: add --public if they shall")
    if not 0 <= options.port < 65535:
        parser.error("--port must be from 0, for any, to 65534")
    for file in (options.cert, options.key):
        if file and not Path(file).is_file():
            parser.error(f"there is no file {file}")
    if options.key and not options.cert:
        parser.error("--key needs --cert")
    if options.signaling and len(os.environ.get(SECRET, "")) < 32:
        parser.error(f"--signaling needs {SECRET}, of 32 characters at least")


class Certificate:
    """The TLS contexts of the servers and of our own client, if there is a certificate."""

    server: ssl.SSLContext | None = None
    client: ssl.SSLContext | None = None

    def __init__(self, cert: str | None, key: str | None) -> None:
        if cert is not None:
            self.server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self.server.load_cert_chain(cert, key)
            # The peers talk to this very server, whatever name the certificate is for.
            self.client = ssl.create_default_context(cafile=cert)
            self.client.check_hostname = False
            self.client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


@dataclass(frozen=True)
class Signaling:
    """A signaling server.

    Attributes:
        url: Where our peers find it.
        secret: What room tokens are signed with.
        shown: What pages are told: its URL, or its port if it is where they come from.
    """

    url: str
    secret: str
    shown: str | int


@asynccontextmanager
async def signaling(
    options: argparse.Namespace, tls: ssl.SSLContext | None
) -> AsyncIterator[Signaling]:
    """Run a server, unless one is given."""
    if options.signaling:
        yield Signaling(options.signaling, os.environ[SECRET], options.signaling)
        return
    secret = secrets.token_urlsafe(32)
    port = options.port + 1 if options.port else 0
    async with serve(options.host, port, ServerSettings(secret=secret), ssl=tls) as server:
        yield Signaling(server.url, secret, server.port)


class Calls:
    """The calls, each in its own room, for which only its page has a token."""

    def __init__(self, place: Signaling, settings: IceSettings, tls: ssl.SSLContext | None) -> None:
        self._place, self._settings, self._tls = place, settings, tls
        self._loop = asyncio.get_running_loop()
        self._running: set[asyncio.Task[None]] = set()

    def begin(self) -> dict[str, Any]:
        """Begin a call; return its data for the page. Call it from other threads.

        Raises:
            RuntimeError: There are too many.
        """
        return asyncio.run_coroutine_threadsafe(self._begin(), self._loop).result(10)

    async def _begin(self) -> dict[str, Any]:
        if len(self._running) >= MOST_CALLS:
            raise RuntimeError("too many calls")
        room = f"call-{secrets.token_hex(8)}"
        token = make_token(self._place.secret, room=room, lifetime=DAY)
        peer = Peer(self._place.url, room, token, self._settings, self._tls)
        task = asyncio.create_task(peer.run())
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return {"room": room, "token": token, "signaling": self._place.shown}

    async def close(self) -> None:
        """End all calls."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def run(options: argparse.Namespace) -> None:
    """Serve until interrupted."""
    certificate = Certificate(options.cert, options.key)
    settings = IceSettings(
        interfaces=options.interface, loopback_candidates=options.host in LOOPBACK
    )
    async with signaling(options, certificate.server) as place:
        calls = Calls(place, settings, certificate.client)
        try:
            with website(options.host, options.port, calls.begin, certificate.server) as site:
                announce(options, site.server_port)
                await asyncio.Event().wait()
        finally:
            await calls.close()


def announce(options: argparse.Namespace, port: int) -> None:
    """Print the URL of the page."""
    scheme = "https" if options.cert else "http"
    host = "localhost" if options.host in LOOPBACK else options.host
    host = "the name of this machine" if host == "0.0.0.0" else host  # noqa: S104  no binding
    print(f"Open {scheme}://{host}:{port}/", flush=True)
    if options.public and not options.cert:
        print(NO_CAMERA, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return the exit status."""
    options = parse_arguments(arguments)
    try:
        with asyncio.Runner(loop_factory=CuttableLoop) as runner:
            runner.run(run(options))
    except KeyboardInterrupt:
        return 0
    except OSError as error:
        print(f"can't run: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
