#!/usr/bin/env bash
# coturn confirms the release of an allocation (a Refresh with a lifetime of 0) about a second before
# it counts it out of the user's quota. Where a user may have one allocation, an ICE restart that
# gives its relayed address back first, and then asks for another one, is told 486 (Allocation Quota
# Reached) in that second, from the same address and from others.
#
# One would expect that what is confirmed is free (RFC 8656 section 7.3).
set -euo pipefail

folder=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet aioice==0.13.0
# Debian 12's package, unpacked; its libraries come with the package when that is installed.
command -v turnserver >/dev/null || apt-get install --quiet --quiet --yes coturn >/dev/null
(cd "$folder" && apt-get -o APT::Sandbox::User=root download --quiet --quiet coturn=4.6.1-1 && dpkg-deb --extract coturn_*.deb coturn)
"$folder/coturn/usr/bin/turnserver" -c /dev/null --log-file stdout --no-cli --no-tls --no-dtls \
    --listening-ip 127.0.0.1 --relay-ip 127.0.0.1 --listening-port 34781 --allow-loopback-peers \
    --lt-cred-mech --realm example.org --user alice:secret --user-quota 1 \
    --userdb "$folder/users" --pidfile "$folder/pid" >"$folder/log" 2>&1 &
server=$!

cat >"$folder/shows.py" <<'PYTHON'
import asyncio
import logging
import statistics
import sys
import time
from importlib.metadata import version

from aioice import stun, turn

SERVER = ("127.0.0.1", 34781)


class Receiver(asyncio.DatagramProtocol):
    def __init__(self):
        self.released = asyncio.Event()

    def connection_lost(self, exc):
        self.released.set()


class Failures(logging.Handler):
    """Counts releases that the server has not confirmed, which aioice only logs."""

    count = 0

    def emit(self, record):
        self.count += "deletion failed" in record.getMessage()


async def allocate():
    return await turn.create_turn_endpoint(
        Receiver, server_addr=SERVER, username="alice", password="secret"
    )


async def wait_for_server():
    for _ in range(100):
        try:
            return await asyncio.wait_for(allocate(), 1)
        except (OSError, TimeoutError, stun.TransactionError):
            await asyncio.sleep(0.1)
    raise TimeoutError("the server doesn't answer")


async def main():
    print(f"coturn 4.6.1, aioice {version('aioice')}")
    failures = Failures()
    logging.getLogger("aioice").addHandler(failures)
    logging.getLogger("aioice").setLevel(logging.INFO)
    (transport, receiver), waits, refusals = await wait_for_server(), [], []
    for _ in range(5):
        transport.close()
        await receiver.released.wait()
        confirmed = time.monotonic()
        while True:
            try:
                transport, receiver = await allocate()
                break
            except stun.TransactionFailed as error:
                refusals.append(error.response.attributes["ERROR-CODE"][0])
                await asyncio.sleep(0.02)
        waits.append(time.monotonic() - confirmed)
    transport.close()
    await receiver.released.wait()
    print(f"releases not confirmed: {failures.count}")
    print(f"refused meanwhile with {sorted(set(refusals))}")
    print(f"granted again after {statistics.median(waits):.0f} s, median of {len(waits)}")
    expected = not failures.count and set(refusals) == {486}
    return 0 if expected and 0.5 < statistics.median(waits) < 1.5 else 1


sys.exit(asyncio.run(main()))
PYTHON
"$folder/venv/bin/python" "$folder/shows.py"

# Seen:
# coturn 4.6.1, aioice 0.13.0
# releases not confirmed: 0
# refused meanwhile with [486]
# granted again after 1 s, median of 5
