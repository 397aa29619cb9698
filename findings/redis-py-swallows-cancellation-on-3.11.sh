#!/usr/bin/env bash
# A task that is canceled while it awaits a command of redis-py often goes on as if nothing had been
# asked, with Python 3.11 and a client that has a `socket_timeout`: redis-py sends each command through
# asyncio.wait_for(), which returns its result there and forgets the cancellation, if both come in the
# same turn of the loop. `task.cancel(); await asyncio.wait([task])` then waits for ever, and so do
# asyncio.timeout() and a TaskGroup. With Python 3.12 and later none is lost.
#
# One would expect CancelledError, or to be told of the need to cancel again until the task has ended.
#
# Needs redis-server (Debian package), python3.11, and optionally python3.12 or 3.13 to compare.
set -euo pipefail

folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$folder"' EXIT
redis-server --unixsocket "$folder/redis" --port 0 --save "" --dir "$folder" >/dev/null &
server=$!
until [ -S "$folder/redis" ]; do sleep 0.1; done

cat >"$folder/shows.py" <<'PYTHON'
import asyncio
import platform
import random
import sys

import redis.asyncio

TASKS = 400


async def work(client):
    while True:
        await client.set("key", "value")


async def main(path):
    client = redis.asyncio.Redis(unix_socket_path=path, socket_timeout=5)
    chance = random.Random(1)
    went_on = 0
    for _ in range(TASKS):
        task = asyncio.create_task(work(client))
        await asyncio.sleep(chance.random() * 0.01)
        task.cancel()
        await asyncio.wait([task], timeout=0.1)
        went_on += not task.done()
        while not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=0.1)
    await client.aclose()
    version = f"Python {platform.python_version()}, redis-py {redis.__version__}"
    print(f"{version}: {went_on} of {TASKS} tasks went on after they were canceled")
    return went_on


went_on = asyncio.run(main(sys.argv[1]))
sys.exit((went_on > 0) != (sys.version_info < (3, 12)))
PYTHON

status=0
for python in python3.11 python3.12 python3.13; do
    "$python" -c "" 2>/dev/null || continue
    "$python" -m venv "$folder/$python"
    "$folder/$python/bin/pip" install --quiet redis==8.1.0
    "$folder/$python/bin/python" "$folder/shows.py" "$folder/redis" || status=1
done
exit $status

# Seen:
# Python 3.11.7, redis-py 8.1.0: 209 of 400 tasks went on after they were canceled
# Python 3.12.1, redis-py 8.1.0: 0 of 400 tasks went on after they were canceled
# Python 3.13.0, redis-py 8.1.0: 0 of 400 tasks went on after they were canceled
