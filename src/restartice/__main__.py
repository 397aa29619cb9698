"""The command line: `python -m restartice check` finds out why calls don't connect."""

import argparse
import asyncio
import dataclasses
import json
import sys
from collections.abc import Sequence
from importlib.metadata import version

from aiortc import RTCIceServer

from .doctor import diagnose, look_around
from .doctor.report import lines_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Check this machine; return 0 if no problem was found, 1 if one was."""
    options = _parse(arguments)
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
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
