"""A wire between interfaces, two by two: `wire.py LEFT RIGHT [LEFT RIGHT ...]`.

It forwards frames, and treats them as it is told by lines of JSON on stdin:
`{"link": 0, "way": "right", "condition": {"loss": 0.05, "delay": 0.15}}`, where the way is where
frames go to, and the condition has the attributes of Condition. A loss of 1 is a silent blackhole:
both ends go on seeing a link that is up. ARP and neighbor discovery pass whatever happens, as they
do where the first hop is fine and the path behind isn't.

`{"link": 0, "behind": "left", "shift": 3000}` adds a number to all UDP ports of one side, as the
other side sees them. When that changes it is as if a NAT had forgotten its mappings: what is sent
to the ports of before gets lost. With `"filters": true` only that is let in which comes from where
somebody behind it has sent to (RFC 4787 section 5: address and port-dependent filtering).
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
    """What happens to the frames of one direction.

    Attributes:
        loss: Which part of them gets lost, from 0 to 1.
        delay: For how many seconds each is held back.
        jitter: How many seconds more, at most, at random; frames keep their order.
        reordered: Which part isn't held back by the jitter, and so comes too early.
        duplicated: Which part comes twice.
        rate: How many bytes a second pass; others wait in a queue. None is no limit.
        queue: How many seconds a frame waits in the queue at most; one that would wait longer is
            lost.
    """

    loss: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0
    reordered: float = 0.0
    duplicated: float = 0.0
    rate: float | None = None
    queue: float = 0.2


class Pace:
    """When the frames of one direction arrive; time is passed in."""

    def __init__(self) -> None:
        self._free = self._last = 0.0

    def arrivals(self, condition: Condition, size: int, now: float) -> list[float]:
        """Return when a frame arrives: never, once, or twice."""
        if random.random() < condition.loss:
            return []
        begin = now
        if condition.rate is not None:
            begin = max(now, self._free)
            if begin - now > condition.queue:
                return []
            begin += size / condition.rate
            self._free = begin
        arrival = begin + condition.delay
        if random.random() >= condition.reordered:
            # Timers of the same moment have no order.
            earliest = self._last + 1e-6
            arrival = max(arrival + random.uniform(0.0, condition.jitter), earliest)
            self._last = arrival
        return [arrival] * (1 + (random.random() < condition.duplicated))


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


def ends_of(frame: bytes) -> tuple[bytes, bytes] | None:
    """Return the addresses and ports of the sender and the receiver of UDP over IPv4, or None."""
    ip = VNET_HEADER + 14
    udp = ip + (frame[ip] & 15) * 4
    if frame[ip - 2 : ip] != b"\x08\x00" or frame[ip + 9] != socket.IPPROTO_UDP:
        return None
    return (
        frame[ip + 12 : ip + 16] + frame[udp : udp + 2],
        frame[ip + 16 : ip + 20] + frame[udp + 2 : udp + 4],
    )


class Filter:
    """What a NAT lets in: what comes from where somebody behind it has sent to."""

    def __init__(self) -> None:
        self._sent: set[tuple[bytes, bytes]] = set()

    def note(self, frame: bytes) -> None:
        """Take note of what goes out, with the port that the sender has behind the NAT."""
        if (ends := ends_of(frame)) is not None:
            self._sent.add(ends)

    def admits(self, frame: bytes) -> bool:
        """Say if a frame comes in, with the port that the receiver has behind the NAT."""
        ends = ends_of(frame)
        return ends is None or ends[::-1] in self._sent


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
        self._pace = Pace()
        # Of the ports of the sender and the receiver.
        self.shifts = {0: 0, 2: 0}
        # Of a NAT that the frames leave, and of one that they enter.
        self.left: Filter | None = None
        self.entered: Filter | None = None
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
            if (translated := self._translate(frame)) is None:
                continue
            now = loop.time()
            arrivals = [now]
            if carries_traffic(frame):
                arrivals = self._pace.arrivals(self.condition, len(frame) - VNET_HEADER, now)
            for arrival in arrivals:
                if arrival > now:
                    loop.call_at(arrival, self._emit, translated)
                else:
                    self._emit(translated)

    def _translate(self, frame: bytes) -> bytes | None:
        """Return what NATs make of a frame; None if they don't let it in."""
        if self.left is not None:
            self.left.note(frame)
        for place, shift in self.shifts.items():
            if shift:
                frame = shift_port(frame, place, shift)
        if self.entered is not None and not self.entered.admits(frame):
            return None
        return frame

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
            link[out].left = link[back].entered = Filter() if order["filters"] else None
        else:
            for way in ("right", "left"):
                if order["way"] in {way, "both"}:
                    link[way].condition = Condition(**order["condition"])
        print(json.dumps({"event": "done", "order": order["number"]}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
