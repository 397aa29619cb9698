#!/usr/bin/env bash
# aiortc drops a message of several packets that it has received whole, if a packet of the message
# before it is missing and the sender gives that one up, as with maxPacketLifeTime or maxRetransmits.
# It looks for complete messages before it drops what is left of the one that was given up, finds
# none behind that, and then drops the complete one with it. All its packets were acknowledged, so
# that it isn't sent again, and on an ordered channel all later messages wait for it for good: the
# channel stays open and is silent. Unordered ones are lost one by one.
#
# One would expect that giving one message up has no effect on another (RFC 3758 section 3.6).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet aiortc==1.16.0 aioice==0.13.0

cat >"$folder/shows.py" <<'PYTHON'
import asyncio
import sys
from importlib.metadata import version

import aiortc
from aiortc.rtcsctptransport import DataChunk, ForwardTsnChunk

UNORDERED, FIRST, LAST = 4, 2, 1


def packet(tsn, number, flags, data):
    chunk = DataChunk()
    chunk.flags, chunk.tsn, chunk.user_data = flags, tsn, data
    chunk.stream_id, chunk.stream_seq, chunk.protocol = 1, number, 53
    return chunk


async def delivered(first, flags):
    """Return what comes out when a packet with the number 11 is never sent."""
    near = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
    near.createDataChannel("data")
    sctp, found = near.sctp, []

    async def take(_stream, _protocol, data):
        found.append(data)

    sctp._receive = take
    sctp._last_received_tsn = 9
    sctp._remote_port = 5000
    for chunk in (
        *first,
        packet(12, 1, flags | FIRST, b"stop "),
        packet(13, 1, flags | LAST, b"now"),
    ):
        await sctp._receive_data_chunk(chunk)
    given_up = ForwardTsnChunk()
    given_up.cumulative_tsn = 11
    given_up.streams = [] if flags else [(1, 0)]
    await sctp._receive_forward_tsn_chunk(given_up)
    for tsn in range(14, 17):
        await sctp._receive_data_chunk(packet(tsn, tsn - 12, flags | FIRST | LAST, b"%d" % tsn))
    await near.close()
    return found


async def main():
    print("aiortc", version("aiortc"))
    later = [b"14", b"15", b"16"]
    same = True
    for name, flags, expected in (("ordered", 0, []), ("unordered", UNORDERED, later)):
        nothing = await delivered([], flags)
        print(f"{name}, nothing of the message that was given up has arrived:", nothing)
        begun = await delivered([packet(10, 0, flags | FIRST, b"go ")], flags)
        print(f"{name}, its first packet has arrived:", begun)
        same = same and nothing == [b"stop now", *later] and begun == expected
    return not same


sys.exit(asyncio.run(main()))
PYTHON

"$folder/venv/bin/python" "$folder/shows.py"

# Seen on Debian 12 with Python 3.11:
#
#   aiortc 1.16.0
#   ordered, nothing of the message that was given up has arrived: [b'stop now', b'14', b'15', b'16']
#   ordered, its first packet has arrived: []
#   unordered, nothing of the message that was given up has arrived: [b'stop now', b'14', b'15', b'16']
#   unordered, its first packet has arrived: [b'14', b'15', b'16']
