"""What a set-up's function calls are for, which tells where its processor time goes.

Counts don't depend on what else a machine does. Calls of C functions count, too.
"""

import sys
from collections import Counter
from types import CodeType, FrameType
from typing import Final

from benchmarks.stacks import Link, Stack

__all__ = ["CAUSES", "causes"]

# By a part of the path of a module. The innermost call whose module has one of these counts.
CAUSES: Final = {
    "addresses of this host": ("ifaddr/", "restartice/ice/network.py", "seam/host_addresses.py"),
    "certificate, DTLS": (
        *("aiortc/rtcdtlstransport.py", "transports/dtls.py", "transports/handshake.py"),
        *("seam/dtls.py", "seam/records.py", "OpenSSL/"),
    ),
    "SCTP, data channels": (
        *("aiortc/rtcsctptransport.py", "aiortc/rtcdatachannel.py", "transports/sctp"),
        *("transports/data_channel", "transports/dcep.py", "transports/snap.py", "seam/sctp"),
        *("seam/sending.py", "seam/receiving.py", "seam/recovering.py", "seam/acknowledged.py"),
        *("seam/outbound.py", "seam/message_queue.py", "seam/lifetimes.py", "seam/snap.py"),
        *("seam/first_packet.py", "seam/reassembly.py"),
    ),
    "ICE": ("aioice/", "restartice/ice/", "aiortc/rtcicetransport.py", "seam/ice.py"),
    "text of descriptions": ("aiortc/sdp.py", "restartice/sdp/"),
    "media": ("aiortc/rtcrtp", "aiortc/rate.py", "aiortc/codecs/", "restartice/media/"),
    "negotiation": (
        *("aiortc/rtcpeerconnection.py", "restartice/negotiation/", "restartice/transports/"),
        *("restartice/peerconnection.py", "seam/peerconnection.py", "restartice/observation.py"),
        *("restartice/settings.py", "restartice/configuration.py", "restartice/events.py"),
        *("restartice/seam/", "aiortc/"),
    ),
}
LOOP: Final = "event loop and other"


async def causes(stack: Stack, *, count: int, media: bool = False) -> dict[str, list[float]]:
    """Count the function calls of both ends from making them to an open data channel."""
    series: dict[str, list[float]] = {name: [] for name in ("all calls", *CAUSES, LOOP)}
    # The first call imports modules, and fills caches.
    for number in range(1 + count):
        counter = CallCounter()
        link = Link(stack, trickle=False, media=media)
        with counter:
            await link.open()
        await link.close()
        counter.found["all calls"] = counter.found.total()
        for name, values in series.items() if number else ():
            values.append(counter.found[name])
    return series


class CallCounter:
    """Counts function calls in a with statement, by their cause."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()
        self._known: dict[CodeType, str | None] = {}

    def __enter__(self) -> None:
        sys.setprofile(self._note)

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        if event in {"call", "c_call"}:
            self.found[self._cause(frame)] += 1

    def _cause(self, frame: FrameType) -> str:
        caller: FrameType | None = frame
        while caller is not None:
            code = caller.f_code
            if code not in self._known:
                self._known[code] = _cause_of(code.co_filename)
            if (cause := self._known[code]) is not None:
                return cause
            caller = caller.f_back
        return LOOP


def _cause_of(path: str) -> str | None:
    """Return the cause that a module stands for, or None, as for the standard library."""
    for cause, parts in CAUSES.items():
        if any(part in path for part in parts):
            return cause
    return None
