"""A wire between interfaces, two by two: `wire.py LEFT RIGHT [LEFT RIGHT ...]`.

It forwards frames, and loses, delays or swallows them as it is told by lines of JSON on stdin:
`{"link": 0, "way": "right", "loss": 0.05, "delay": 0.15}`, where the way is where frames go to.
A loss of 1 is a silent blackhole: both ends go on seeing a link that is up. ARP and neighbor
discovery pass whatever happens, as they do where the first hop is fine and the path behind isn't.

`{"link": 0, "behind": "left", "shift": 3000}` adds a number to all UDP ports of one side, as the
other side sees them. When that changes it is as if a NAT had forgotten its mappings: what is sent
to the ports of before gets lost.
"""

import asyncio
import json
import random
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass

ETH_P_ALL = 3
SOL_PACKET, PACKET_VNET_HDR = 263, 15
PACKET_OUTGOING = 4
# With this header in front, offloaded checksums are handed on as they are.
VNET_HEADER = 10
VNET_NEEDS_CHECKSUM = 1
FRAMES_AT_A_TIME = 64
NEIGHBOR_DISCOVERY = range(133, 138)


@dataclass
class Condition:
    """What happens to the frames of one direction."""

    loss: float = 0.0
    delay: float = 0.0


def shift_port(frame: bytes, place: int, shift: int) -> bytes:
    """Add to a UDP port, of the sender (place 0) or the receiver (2), of an IPv4 frame."""
    ip = VNET_HEADER + 14
    udp = ip + (frame[ip] & 15) * 4
    if frame[ip - 2 : ip] != b"\x08\x00" or frame[ip + 9] != socket.IPPROTO_UDP:
        return frame
    changed = bytearray(frame)
    port = int.from_bytes(changed[udp + place : udp + place + 2]) + shift
    changed[udp + place : udp + place + 2] = (port % (1 << 16)).to_bytes(2)
    if not frame[0] & VNET_NEEDS_CHECKSUM:
        changed[udp + 6 : udp + 8] = b"\0\0"  # none
    return bytes(changed)


def open_interface(name: str) -> socket.socket:
    """Open an interface for whole frames."""
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    raw.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    raw.bind((name, ETH_P_ALL))
    raw.setblocking(False)
    return raw


def carries_traffic(frame: bytes) -> bool:
    """Say if this is more than a question for a neighbor's address."""
    kind = frame[VNET_HEADER + 12 : VNET_HEADER + 14]
    if kind == b"\x86\xdd":
        ip = frame[VNET_HEADER + 14 :]
        return not (ip[6] == socket.IPPROTO_ICMPV6 and ip[40] in NEIGHBOR_DISCOVERY)
    return kind == b"\x08\x00"


class Direction:
    """Frames from one interface to the other."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.condition = Condition()
        # Of the ports of the sender and the receiver.
        self.shifts = {0: 0, 2: 0}
        self._source, self._sink = source, sink
        asyncio.get_running_loop().add_reader(source, self._forward)

    def _forward(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(FRAMES_AT_A_TIME):
            try:
                frame, address = self._source.recvfrom(1 << 16)
            except OSError:
                return
            if address[2] == PACKET_OUTGOING:
                continue
            condition = self.condition
            if carries_traffic(frame) and random.random() < condition.loss:
                continue
            for place, shift in self.shifts.items():
                if shift:
                    frame = shift_port(frame, place, shift)
            if condition.delay:
                loop.call_later(condition.delay, self._emit, frame)
            else:
                self._emit(frame)

    def _emit(self, frame: bytes) -> None:
        with suppress(OSError):
            self._sink.send(frame)


async def main() -> None:
    """Forward frames until stdin ends."""
    ends = [open_interface(name) for name in sys.argv[1:]]
    links = [
        {"right": Direction(left, right), "left": Direction(right, left)}
        for left, right in zip(ends[::2], ends[1::2], strict=True)
    ]
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print(json.dumps({"event": "ready"}), flush=True)
    async for line in reader:
        order = json.loads(line)
        link = links[order["link"]]
        if "shift" in order:
            behind = order["behind"]
            out, back = ("right", "left") if behind == "left" else ("left", "right")
            link[out].shifts[0], link[back].shifts[2] = order["shift"], -order["shift"]
        else:
            for way in ("right", "left"):
                if order["way"] in {way, "both"}:
                    link[way].condition = Condition(order["loss"], order["delay"])
        print(json.dumps({"event": "done", "order": order["number"]}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
