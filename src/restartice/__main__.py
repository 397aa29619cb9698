"""The command line: `check` finds out why calls don't connect, `record` what happens to them."""

import argparse
import asyncio
import atexit
import dataclasses
import json
import os
import runpy
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from aiortc import RTCIceServer

from .doctor import diagnose, look_around
from .doctor.report import lines_of
from .recording import Recorder


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return the exit status."""
    options = _parse(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    return run(options)


def _check(options: argparse.Namespace) -> int:
    """Check this machine; return 0 if no problem was found, 1 if one was."""
    try:
        servers = [_server(url, options.username, options.credential) for url in options.server]
        facts = asyncio.run(look_around(servers, timeout=options.timeout))
    except ValueError as error:
        print(f"python -m restartice check: error: {error}", file=sys.stderr)
        return 2
    problems = diagnose(facts)
    if options.json:
        told = [dataclasses.asdict(problem) for problem in problems]
        print(json.dumps(dataclasses.asdict(facts) | {"problems": told}))
    else:
        print(*lines_of(facts, problems), sep="\n")
    return 1 if problems else 0


def _record(options: argparse.Namespace) -> int:
    """Run a program, and record its connections; its exit status is passed on."""
    path = Path.cwd() if options.module else Path(options.program).resolve().parent
    sys.path.insert(0, str(path))
    try:
        _check_program(options)
        recorder = Recorder(options.to, interval=options.interval)
    except (OSError, ValueError) as error:
        print(f"python -m restartice record: error: {error}", file=sys.stderr)
        return 2
    # So that the file is written, unless the program ends in its own way.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    sys.argv = [options.program, *options.arguments]
    # When the program's threads have ended, too.
    atexit.register(_end_recording, recorder, options.to, os.getpid())
    recorder.add_new()
    if options.module:
        runpy.run_module(options.program, run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(options.program, run_name="__main__")
    return 0


def _end_recording(recorder: Recorder, path: str, pid: int) -> None:
    if os.getpid() != pid:
        return  # it was forked
    try:
        recorder.close()
    except OSError as error:
        print(f"python -m restartice record: error: {error}", file=sys.stderr)
        return
    print(f"recorded {recorder.count} connections in {path}", file=sys.stderr)
    if not recorder.count:
        print("only connections of restartice.RTCPeerConnection are", file=sys.stderr)


def _check_program(options: argparse.Namespace) -> None:
    found = not options.module and Path(options.program).exists()
    with suppress(ImportError):
        found = found or (options.module and find_spec(options.program) is not None)
    if not found:
        kind = "module" if options.module else "file"
        raise ValueError(f"there is no {kind} {options.program}")


def _server(url: str, username: str | None, credential: str | None) -> RTCIceServer:
    if url.lower().startswith("stun"):
        return RTCIceServer(urls=[url])
    return RTCIceServer(urls=[url], username=username, credential=credential)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m restartice", description="Tools for calls that don't connect."
    )
    shown = f"restartice {version('restartice')}"
    parser.add_argument("--version", action="version", version=shown)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser(
        "check",
        help="check addresses, STUN and TURN servers, NAT, mDNS and a call in this process",
        description="Check addresses, STUN and TURN servers, NAT, mDNS and a call in this process. "
        "Only the servers that you give are asked. Ends with 1 if it finds a problem.",
    )
    check.add_argument(
        "--server",
        action="append",
        default=[],
        metavar="URL",
        help="a STUN or TURN server, such as turn:turn.example.org?transport=tcp; may be repeated",
    )
    check.add_argument("--username", metavar="NAME", help="the user name for the TURN servers")
    check.add_argument("--credential", metavar="PASSWORD", help="the password for them")
    check.add_argument(
        "--timeout",
        type=float,
        default=5.0,
        metavar="SECONDS",
        help="how long each answer may take (%(default)s s)",
    )
    check.add_argument("--json", action="store_true", help="print what was found as JSON")
    check.set_defaults(run=_check)
    record = commands.add_parser(
        "record",
        help="run a program, and record what happens to its connections",
        description="Run a Python program, and record what happens to its connections, in the "
        "format of Chromium's webrtc-internals dump. The program needs no change.",
    )
    record.add_argument(
        "--to",
        default="webrtc_internals_dump.txt",
        metavar="FILE",
        help="the file to write (%(default)s)",
    )
    record.add_argument(
        "--interval",
        type=float,
        default=1.0,
        metavar="SECONDS",
        help="the time between two requests for the statistics (%(default)s s)",
    )
    record.add_argument(
        "-m", dest="module", action="store_true", help="PROGRAM is the name of a module"
    )
    record.add_argument("program", metavar="PROGRAM", help="the file of the program")
    record.add_argument("arguments", nargs=argparse.REMAINDER, metavar="…", help="its arguments")
    record.set_defaults(run=_record)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
