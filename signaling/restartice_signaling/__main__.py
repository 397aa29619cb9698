"""Run a signaling server: `python -m restartice_signaling`."""

import argparse
import asyncio
import ipaddress
import logging
import signal
import sys
from collections.abc import Sequence

from .server import serve


def is_loopback(host: str) -> bool:
    """Say if only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m restartice_signaling", description="Relay signaling between WebRTC peers."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8765, help="port, 0 for any (%(default)s)")
    parser.add_argument(
        "--insecure",
        action="store_true",
        help="listen on an address that others reach, though anyone may join any room",
    )
    options = parser.parse_args(arguments)
    if not options.insecure and not is_loopback(options.host):
        parser.error(
            f"{options.host} can be reached from outside, and there is no authentication yet: "
            "say --insecure if that is meant"
        )
    return options


async def run(host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with serve(host, port) as server:
        print(f"listening on {server.url}", flush=True)
        await stop.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server; return the exit status."""
    options = parse_arguments(arguments)
    logging.basicConfig(level=logging.WARNING)
    try:
        asyncio.run(run(options.host, options.port))
    except OSError as error:
        print(f"can't listen on {options.host}:{options.port}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
