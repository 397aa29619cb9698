"""A call between two processes that continues while ICE is restarted.

It starts a signaling server and two peers, which send each other video, audio and a data message
every 5 ms. During the call a track is added, and ICE is restarted from each side. At the end it
prints a table of losses. Exit status: 0 all checks passed, 1 one failed, 2 it couldn't run.

With --cut, as root on Linux, each peer has two networks. During the call the signaling server is
killed, and the link in use is cut, twice: the call moves to the other link by itself.
"""

import argparse
import asyncio
import contextlib
import functools
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from call_networks import NetworksError, TwoNetworks, link_of, what_is_missing
from call_peer import CUTS, Call, CallOptions, PeerGoneError, run_as_child
from call_report import PeerReport, failures, summary, table
from restartice_signaling import SignalingError, serve

HELD, FAILED, COULD_NOT_RUN, INTERRUPTED = 0, 1, 2, 130
NAMES = ("Alice", "Bob")
RESTARTS = 6
PROGRAM = str(Path(__file__).resolve())


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--restarts", type=int, help=f"the number of restarts ({RESTARTS}; 0 with --cut)"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=20,
        help="the length of the call, which a busy machine makes longer (%(default)s s)",
    )
    parser.add_argument("--json", action="store_true", help="print only the report, as JSON")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--play", metavar="FILE", help="send a media file, not a test picture")
    source.add_argument("--webcam", metavar="DEVICE", help="send a camera, such as /dev/video0")
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--listen",
        metavar="HOST:PORT",
        help="be the first of two machines; any client that reaches the address may join",
    )
    place.add_argument(
        "--join", metavar="URL", help="be the second machine; give the same other options"
    )
    place.add_argument(
        "--cut",
        action="store_true",
        help="don't restart ICE, but kill the signaling server and cut the link in use (as root)",
    )
    parser.add_argument("--peer", type=int, choices=(0, 1), help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.restarts is None:
        options.restarts = 0 if options.cut else RESTARTS
    check(parser, options)
    return options


def check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Exit with status 2 if an option is wrong."""
    if options.restarts < 0:
        parser.error("--restarts must not be negative")
    if options.cut and options.restarts:
        parser.error("--cut allows no --restarts, for which signaling is needed")
    shortest = 10 if options.cut else 4 + 0.5 * options.restarts
    if not shortest <= options.seconds <= 86400:
        what = "cuts" if options.cut else "restarts"
        parser.error(f"--seconds must be {shortest:g} at least, for that many {what}")
    # The parent has made the networks of its children.
    if options.cut and options.peer is None and (missing := what_is_missing()):
        parser.error(f"--cut needs {missing}")
    if options.play and not Path(options.play).exists():
        parser.error(f"--play: there is no file {options.play}")
    if options.webcam and not Path(options.webcam).exists():
        parser.error(f"--webcam: there is no device {options.webcam}")
    if options.listen:
        host, colon, port = options.listen.rpartition(":")
        if not (host and colon and port.isdecimal() and int(port) < 65536):
            parser.error("--listen needs HOST:PORT")


def call_options(options: argparse.Namespace, *, loopback: bool) -> CallOptions:
    """Return the options of the call."""
    return CallOptions(
        seconds=options.seconds,
        restarts=options.restarts,
        play=options.play,
        webcam=options.webcam,
        loopback=loopback,
        cut=options.cut,
    )


class Screen:
    """Prints what happens, with the time since the start, one line a second for each peer.

    Attributes:
        addresses: The address that each peer sends from, when the call has begun.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.addresses: dict[str, str] = {}
        self._changed = asyncio.Event()
        self._quiet = quiet
        self._start = time.monotonic()
        self._last: dict[str, str] = {}

    def tell(self, peer: str, event: dict[str, Any]) -> None:
        """Print an event, unless it equals the one before."""
        if "local" in event:
            self.addresses[peer] = event["local"]
            self._changed.set()
        text = f"{peer:<6}{event['text']}"
        if not self._quiet and self._last.get(peer) != text:
            print(f"{time.monotonic() - self._start:7.2f} s  {text}", flush=True)
        if event["event"] != "second":
            self._last[peer] = text

    async def until(self, condition: Callable[[dict[str, str]], bool]) -> None:
        """Return when the addresses of the peers meet a condition."""
        while not condition(self.addresses):
            self._changed.clear()
            await self._changed.wait()


async def run_child(
    turn: int, url: str, options: CallOptions, screen: Screen, inside: Sequence[str] = ()
) -> PeerReport:
    """Run one peer as a process; return its report.

    Args:
        turn: Which peer: 0 or 1.
        url: The signaling server's.
        options: What the call is like.
        screen: Is told what happens.
        inside: What begins a command that is to run in the peer's network.

    Raises:
        PeerGoneError: It ended without.
    """
    arguments = [
        f"--{field.name}={getattr(options, field.name)}"
        for field in fields(options)
        if field.name not in {"loopback", "cut"} and getattr(options, field.name) is not None
    ]
    if options.cut:
        arguments.append("--cut")
    process = await asyncio.create_subprocess_exec(
        *inside,
        sys.executable,
        PROGRAM,
        f"--peer={turn}",
        f"--url={url}",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**20,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "report":
                return PeerReport.from_json(event["report"])
            screen.tell(NAMES[turn], event)
        status = await process.wait()
    finally:
        await end_process(process)
    raise PeerGoneError(f"{NAMES[turn]} has ended without a report (status {status})")


async def end_process(process: asyncio.subprocess.Process) -> None:
    """Let a child end by closing its standard input; kill it if it doesn't."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(10):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def run_both(options: argparse.Namespace, screen: Screen) -> list[PeerReport]:
    """Run the server here and the peers in two processes."""
    async with serve() as server:
        return await run_children(server.url, call_options(options, loopback=True), screen)


async def run_children(
    url: str, call: CallOptions, screen: Screen, inside: Sequence[Sequence[str]] = ((), ())
) -> list[PeerReport]:
    """Run the peers in two processes, each in its network."""
    try:
        async with asyncio.TaskGroup() as group:
            children = [
                group.create_task(run_child(turn, url, call, screen, inside[turn]))
                for turn in (0, 1)
            ]
    except ExceptionGroup as errors:
        # If one peer ends alone, the other one is ended, too.
        raise errors.exceptions[0] from None
    return [child.result() for child in children]


async def run_with_cuts(options: argparse.Namespace, screen: Screen) -> list[PeerReport]:
    """Run the peers in two networks, and cut the link in use."""
    call = call_options(options, loopback=False)
    async with TwoNetworks.open() as networks:
        url = await networks.start_signaling()
        cutting = asyncio.create_task(cut_links(networks, call, screen))
        try:
            return await run_children(url, call, screen, [networks.inside(n) for n in (0, 1)])
        finally:
            cutting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await cutting


async def cut_links(networks: TwoNetworks, call: CallOptions, screen: Screen) -> None:
    """Kill the signaling server after a while, and cut the link in use."""
    await screen.until(lambda addresses: len(addresses) == len(NAMES))
    await asyncio.sleep(call.quiet_seconds)
    await networks.stop_signaling()
    screen.tell("", {"event": "cut", "text": "the signaling server is killed"})
    step = (call.seconds - call.quiet_seconds) / (2 * CUTS + 1)
    for _ in range(CUTS):
        await asyncio.sleep(step / 2)
        await screen.until(all_together)
        link = link_of(screen.addresses[NAMES[0]])
        await networks.cut(link)
        screen.tell("", {"event": "cut", "text": f"the {link} link is cut"})
        await screen.until(functools.partial(all_elsewhere, link))
        await asyncio.sleep(step)
        await networks.mend(link)
        screen.tell("", {"event": "cut", "text": f"the {link} link is back"})
        await asyncio.sleep(step / 2)


def all_together(addresses: dict[str, str]) -> bool:
    """Say if all peers send on the same link."""
    return len({link_of(address) for address in addresses.values()}) == 1


def all_elsewhere(link: str, addresses: dict[str, str]) -> bool:
    """Say if no peer sends from an address of a link."""
    return all(link_of(address) != link for address in addresses.values())


async def run_one(options: argparse.Namespace, screen: Screen) -> list[PeerReport]:
    """Run one of two peers that are on different machines."""
    async with contextlib.AsyncExitStack() as stack:
        url, turn = options.join, 1
        if options.listen:
            host, _, port = options.listen.rpartition(":")
            server = await stack.enter_async_context(serve(host, int(port)))
            url, turn = server.url, 0
            if not options.json:
                print(f"on the other machine: --join ws://HOST:{server.port}", flush=True)
        name = NAMES[turn]
        call = Call(
            name, turn, call_options(options, loopback=False), lambda e: screen.tell(name, e)
        )
        return [await call.run(url)]


def conclude(options: argparse.Namespace, reports: list[PeerReport]) -> int:
    """Print the table, and the failed checks; return the exit status."""
    expected = 1 if options.listen or options.join else 2
    turn = 0 if options.listen else 1
    own = len(call_options(options, loopback=False).restart_times(turn))
    restarts = options.restarts if expected == 2 else own
    found = failures(reports, restarts, CUTS if options.cut else 0)
    figures = summary(reports, "cuts" if options.cut else "restarts")
    if options.json:
        reported = [asdict(report) for report in reports]
        print(json.dumps({"held": not found, "failures": found, **figures, "reports": reported}))
    else:
        print(f"\n{table(figures)}\n")
        print("\n".join(found) if found else "All checks passed.")
    return FAILED if found else HELD


async def run(options: argparse.Namespace) -> int:
    """Run the call; return the exit status."""
    screen = Screen(quiet=options.json)
    try:
        if options.listen or options.join:
            reports = await run_one(options, screen)
        elif options.cut:
            reports = await run_with_cuts(options, screen)
        else:
            reports = await run_both(options, screen)
    except (OSError, SignalingError, NetworksError) as error:
        print(f"can't run: {error}", file=sys.stderr)
        return COULD_NOT_RUN
    except PeerGoneError as error:
        print(error, file=sys.stderr)
        return FAILED
    return conclude(options, reports)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return the exit status."""
    options = parse_arguments(arguments)
    if options.peer is not None:
        # Ctrl-C is for the parent, which ends its children.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        call = call_options(options, loopback=not options.cut)
        return asyncio.run(run_as_child(NAMES[options.peer], options.peer, options.url, call))
    try:
        return asyncio.run(run(options))
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # Threads of decoders that still run must not delay the end.
    os._exit(status)
