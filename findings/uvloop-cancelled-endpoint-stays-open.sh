#!/usr/bin/env bash
# uvloop's create_datagram_endpoint() leaves its UDP socket open, bound and read from, when it is
# cancelled after it has opened the socket and before it has returned. Its caller never gets the
# transport, and gc.collect() doesn't close it either. Only the protocol knows it: connection_made()
# has been called with it by the time the cancellation arrives.
#
# One would expect it to close the socket before it raises, as asyncio's does, and as its own
# create_connection() does.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet uvloop==0.23.0

cat >"$folder/shows.py" <<'PYTHON'
import asyncio
import contextlib
import gc
import os
import platform
import sys

import uvloop

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class Protocol(asyncio.DatagramProtocol):
    transport = None

    def __init__(self, cancel):
        asyncio.get_running_loop().call_soon(cancel)

    def connection_made(self, transport):
        self.transport = transport


def sockets():
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.add(os.readlink(f"/proc/self/fd/{name}"))
    return {target for target in found if target.startswith("socket:")}


async def cancel_while_opening():
    before = sockets()
    made = []

    def make():
        made.append(Protocol(task.cancel))
        return made[0]

    loop = asyncio.get_running_loop()
    task = loop.create_task(loop.create_datagram_endpoint(make, local_addr=("127.0.0.1", 0)))
    try:
        await task
        raise AssertionError("it wasn't cancelled")
    except asyncio.CancelledError:
        known = made[0].transport is not None
    for _ in range(20):
        await asyncio.sleep(0)
    gc.collect()
    left = len(sockets() - before)
    made[0].transport.close()
    for _ in range(20):
        await asyncio.sleep(0)
    return known, left, len(sockets() - before)


print(f"Python {platform.python_version()}, uvloop {uvloop.__version__}")
found = {}
for name, make_loop in LOOPS.items():
    loop = make_loop()
    found[name] = known, left, in_the_end = loop.run_until_complete(cancel_while_opening())
    loop.close()
    print(f"{name}: connection_made() called: {known}, sockets left: {left},", end=" ")
    print(f"after the protocol has closed its transport: {in_the_end}")
sys.exit(found != {"asyncio": (True, 0, 0), "uvloop": (True, 1, 0)})
PYTHON
"$folder/venv/bin/python" "$folder/shows.py"

# Seen:
# Python 3.11.7, uvloop 0.23.0
# asyncio: connection_made() called: True, sockets left: 0, after the protocol has closed its transport: 0
# uvloop: connection_made() called: True, sockets left: 1, after the protocol has closed its transport: 0
