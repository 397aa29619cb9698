"""Set-up, restart and data over a distance: `distance.py STACK '{"round_trip": 0.1, "calls": 5}'`.

Two peers are in network namespaces, with a link between them that delays and loses. Descriptions
are handed over at once, so that only what ICE, DTLS and SCTP need of the link counts: from when the
other side is given the offer until the channels are open on both sides, or both sides send on the
new pair. It prints JSON: seconds, and where nothing is lost round trips, too; MB a second of bulk
data; and the seconds that a small message takes which is sent behind a MB on another channel.
"""

import asyncio
import json
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from network.namespaces import SIDES, Network, interface
from network.processes import Event, Program

PEER: Final = "distance_peer.py"
CHROMIUM: Final = "Chromium"
# The peers of those that aren't Python's.
PEERS: Final = {CHROMIUM: "distance_chromium.py", "Pion": "distance_pion.py"}
# The INIT of SCTP in a description, which saves its handshake. (draft-hancke-tsvwg-snap)
INIT: Final = re.compile(r"^a=sctp-init:.*\r\n", re.MULTILINE)
DEADLINE: Final = 30.0
BULK: Final = 4_000_000
MEGABYTE: Final = 1_000_000


@dataclass(frozen=True)
class Distance:
    """What is between the peers.

    Attributes:
        round_trip: In seconds.
        loss: Which part of the packets gets lost, each way.
        calls: How many calls are set up.
        restarts: How many restarts each side asks for, in the last call.
        transfers: How many times bulk data is sent, in the last call.
        quick: How many times a small message is sent behind a MB, in the last call.
        inits: Whether the offer may tell the INIT of SCTP.
        milestones: Whether the time is told after which DTLS begins and is connected, too.
    """

    round_trip: float
    loss: float = 0.0
    calls: int = 5
    restarts: int = 0
    transfers: int = 0
    quick: int = 0
    inits: bool = True
    milestones: bool = False


async def measure(stack: str, distance: Distance) -> dict[str, list[float]]:
    """Return what was measured, by name."""
    network = await Network.open(links=1)
    programs: list[Program] = []
    try:
        for side in SIDES if stack == CHROMIUM else ():
            # It takes the address that the default route is from.
            network.ip(side, "route", "add", "default", "dev", interface(0))
        peer = str(Path(__file__).with_name(PEERS.get(stack, PEER)))
        near, far = programs = [
            await Program.start(network.namespace(side), peer, stack) for side in SIDES
        ]
        for program in programs:
            await program.wait_for("ready")
        await network.set_link(0, delay=distance.round_trip / 2, loss=distance.loss)
        calls = [await set_up(near, far, distance) for _ in range(distance.calls)]
        found = {name: [call[name] for call in calls] for name in calls[0]}
        for name, asking, other in (("near", near, far), ("far", far, near)):
            found[f"restart of the {name} side (s)"] = [
                await restart(asking, other) for _ in range(distance.restarts)
            ]
        found = in_round_trips(found, distance)
        if distance.transfers:
            taken = [await transfer(near, far, BULK) for _ in range(distance.transfers)]
            found["throughput (MB/s)"] = [BULK / 1e6 / each for each in taken]
        if distance.quick:
            found["small message behind a MB (ms)"] = await overtake(near, far, distance.quick)
        return found
    finally:
        for program in programs:
            await program.close()
        await network.close()


def in_round_trips(found: dict[str, list[float]], distance: Distance) -> dict[str, list[float]]:
    """Add each series in round trips, where that says something."""
    found = {name: values for name, values in found.items() if values}
    if not distance.loss and distance.round_trip:
        trips = {
            name.replace("(s)", "(round trips)"): [v / distance.round_trip for v in values]
            for name, values in found.items()
        }
        return found | trips
    return found | {"worst set-up (s)": [max(found["set-up (s)"])]}


async def set_up(near: Program, far: Program, distance: Distance) -> dict[str, float]:
    """Set a call up; return how long that took, and until which milestone."""
    await far.order(do="wait")
    offer = await near.order(do="call")
    if not distance.inits:
        offer["sdp"] = INIT.sub("", offer["sdp"])
    began = time.monotonic()
    found = {"set-up (s)": await negotiate(near, far, offer, "open")}
    for state in ("connecting", "connected") if distance.milestones else ():
        # The last of both sides, as nothing comes through before.
        events = [await p.wait_for("DTLS", since=began, state=state) for p in (near, far)]
        found[f"DTLS {state} (s)"] = max(float(event["at"]) for event in events) - began
    return found


async def restart(asking: Program, other: Program) -> float:
    """Restart; return how long that took."""
    return await negotiate(asking, other, await asking.order(do="restart"), "switched")


async def negotiate(offering: Program, other: Program, offer: Event, event: str) -> float:
    """Hand the descriptions over; return the seconds until both sides have told of an event."""
    began = time.monotonic()
    answer = await other.order(do="description", sdp=offer["sdp"], type=offer["type"])
    # Their descriptions name the new generation now, which they may be late to send on.
    for program in (offering, other) if event == "switched" else ():
        await program.order(do="watch")
    await offering.order(do="description", sdp=answer["sdp"], type=answer["type"])
    happened = [
        await program.wait(lambda e: e["event"] == event, since=began, deadline=DEADLINE)
        for program in (offering, other)
    ]
    return max(float(found["at"]) for found in happened) - began


async def transfer(near: Program, far: Program, size: int) -> float:
    """Send so many bytes; return the seconds until they have arrived."""
    await far.order(do="expect", size=size)
    begun = float((await near.order(do="send", size=size))["begun"])
    arrived = await far.wait(lambda e: e["event"] == "received", since=begun)
    return float(arrived["at"]) - begun


async def overtake(near: Program, far: Program, times: int) -> list[float]:
    """Send a small message behind a MB on another channel; return how many ms it takes, each."""
    await near.order(do="open", label="quick")
    for program in (near, far):
        await program.wait_for("open", label="quick")
    taken = []
    for _ in range(times):
        begun = time.monotonic()
        await far.order(do="expect", size=MEGABYTE)
        sent = await near.order(do="send behind", size=MEGABYTE, label="quick")
        arrived = await far.wait(lambda e: e["event"] == "small", since=begun)
        await far.wait(lambda e: e["event"] == "received", since=begun)
        taken.append(1000 * (float(arrived["at"]) - float(sent["sent"])))
    return taken


if __name__ == "__main__":
    result = asyncio.run(measure(sys.argv[1], Distance(**json.loads(sys.argv[2]))))
    print(json.dumps(result))
