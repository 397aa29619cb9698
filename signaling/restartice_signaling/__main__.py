"""The command line: `python -m restartice_signaling` runs a server.

`… token` makes a token, and `… files` writes the files for browsers, systemd and nginx.
"""

import argparse
import asyncio
import gc
import os
import signal
import sys
import threading
from collections.abc import Sequence
from functools import partial
from types import FrameType
from typing import Final

from .server.cli import (
    make_settings,
    make_ssl,
    parse_arguments,
    parse_files_arguments,
    parse_token_arguments,
)
from .server.descriptors import raise_limit
from .server.files import write_files
from .server.logs import configure
from .server.parent import Place, reserve_port, run_workers
from .server.rooms.interface import Backend, BackendDown
from .server.server import SignalingServer, url_of
from .server.tokens import ALL_RIGHTS, make_token

GARBAGE_THRESHOLD: Final = 20_000


async def run(options: argparse.Namespace, place: Place | None = None) -> None:
    """Serve until SIGINT or SIGTERM, as a worker until the parent has ended, too."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    settings = make_settings(options)

    def end(_number: int, _frame: FrameType | None) -> None:
        # Exit even if something blocks the loop.
        _end_in(settings.drain_timeout)
        loop.call_soon_threadsafe(stop.set)

    def orphaned(parent: int) -> None:
        loop.remove_reader(parent)
        end(signal.SIGTERM, None)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    backend: Backend | None = None
    if options.redis:
        # Only here, because it needs the extra `redis`.
        from .server.rooms.redis import RedisBackend  # noqa: PLC0415

        backend = RedisBackend(
            options.redis,
            settings.rooms,
            settings.limits,
            node=settings.node,
            replicas=options.redis_replicas,
        )
    context = make_ssl(options)
    # Messages leave no cycles, and looking for cycles among all connections every few hundred
    # messages costs a tenth of the time.
    gc.set_threshold(GARBAGE_THRESHOLD)
    server = SignalingServer(settings, backend, None if place is None else place.workers)
    port = options.port if place is None else place.port
    await server.listen(options.host, port, context)
    try:
        if place is None:
            print(f"listening on {server.url}", flush=True)
        else:
            loop.add_reader(place.parent, orphaned, place.parent)
        await stop.wait()
    finally:
        await server.close()


def _end_in(seconds: float) -> None:
    timer = threading.Timer(seconds, os._exit, [1])
    timer.daemon = True
    timer.start()


def print_token(arguments: Sequence[str]) -> int:
    """Make a token; return the exit status."""
    options = parse_token_arguments(arguments)
    try:
        token = make_token(
            options.secret,
            options.room,
            peer=options.peer,
            rights=options.right or ALL_RIGHTS,
            lifetime=options.lifetime,
            once=options.once,
        )
    except ValueError as error:
        print(f"can't make a token: {error}", file=sys.stderr)
        return 2
    print(token)
    return 0


def print_files(arguments: Sequence[str]) -> int:
    """Write the files of a deployment, and print their paths; return the exit status."""
    options = parse_files_arguments(arguments)
    try:
        written = write_files(options.to)
    except OSError as error:
        print(f"can't write the files to {options.to}: {error}", file=sys.stderr)
        return 1
    print(*written, sep="\n")
    return 0


COMMANDS: Final = {"token": print_token, "files": print_files}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server, or another command; return the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in COMMANDS:
        return COMMANDS[arguments[0]](arguments[1:])
    options = parse_arguments(arguments)
    raise_limit(options.max_connections)
    return serve_alone(options) if options.workers == 1 else serve_with_workers(options)


def serve_alone(options: argparse.Namespace, place: Place | None = None) -> int:
    """Serve in this process, as a worker if it has a place; return the exit status."""
    configure(options.log_level, options.log_format)
    try:
        asyncio.run(run(options, place))
    except (OSError, BackendDown) as error:
        return print_failure(options, error)
    return 0


def serve_with_workers(options: argparse.Namespace) -> int:
    """Serve in several processes; return the exit status."""
    configure(options.log_level, options.log_format, threaded=False)
    try:
        reserved = reserve_port(options.host, options.port)
    except OSError as error:
        return print_failure(options, error)
    host, port = reserved[0].getsockname()[:2]
    url = url_of(host, port, secure=bool(options.cert))
    return run_workers(
        options.workers,
        port,
        partial(serve_alone, options),
        keep_rooms=not options.redis,
        drain_timeout=options.drain_timeout,
        on_ready=lambda: print(f"listening on {url}", flush=True),
    )


def print_failure(options: argparse.Namespace, error: Exception) -> int:
    """Say why the server can't listen; return the exit status."""
    print(f"can't listen on {options.host}:{options.port}: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
