"""Run a signaling server: `python -m restartice_signaling`; make a token: `… token`."""

import argparse
import asyncio
import gc
import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType
from typing import Final

from .server.cli import make_settings, make_ssl, parse_arguments, parse_token_arguments
from .server.descriptors import raise_limit
from .server.logs import configure
from .server.rooms.interface import Backend, BackendDown
from .server.rooms.memory import MemoryBackend
from .server.server import serve
from .server.tokens import ALL_RIGHTS, make_token

GARBAGE_THRESHOLD: Final = 20_000


async def run(options: argparse.Namespace) -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    settings = make_settings(options)

    def end(_number: int, _frame: FrameType | None) -> None:
        # The last resort, for what neither ends nor lets the loop run.
        _end_in(settings.drain_timeout)
        loop.call_soon_threadsafe(stop.set)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    backend: Backend = MemoryBackend(settings.rooms)
    if options.redis:
        # Only here, because it needs the extra `redis`.
        from .server.rooms.redis import RedisBackend  # noqa: PLC0415

        backend = RedisBackend(options.redis, settings.rooms, node=settings.node)
    context = make_ssl(options)
    # What messages leave behind goes by itself; looking for cycles among all connections for each
    # few hundred of them costs a tenth of the time.
    gc.set_threshold(GARBAGE_THRESHOLD)
    async with serve(options.host, options.port, settings, backend=backend, ssl=context) as server:
        print(f"listening on {server.url}", flush=True)
        await stop.wait()


def _end_in(seconds: float) -> None:
    timer = threading.Timer(seconds, os._exit, [1])
    timer.daemon = True
    timer.start()


def print_token(arguments: Sequence[str]) -> int:
    """Make a token; return the exit status."""
    options = parse_token_arguments(arguments)
    token = make_token(
        options.secret,
        options.room,
        peer=options.peer,
        rights=options.right or ALL_RIGHTS,
        lifetime=options.lifetime,
        once=options.once,
    )
    print(token)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server, or make a token; return the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["token"]:
        return print_token(arguments[1:])
    options = parse_arguments(arguments)
    configure(options.log_level, options.log_format)
    raise_limit(options.max_connections)
    try:
        asyncio.run(run(options))
    except (OSError, BackendDown) as error:
        print(f"can't listen on {options.host}:{options.port}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
