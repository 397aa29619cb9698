"""A recorded connection, in the format of Chromium's webrtc-internals dump."""

import json
import math
import re
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

__all__ = ["Record", "as_json", "without_secrets"]

ENTRIES: Final = 200
UPDATES_SIZE: Final = 4_000_000
# What each update takes besides its texts, in memory and in the file.
UPDATE_SIZE: Final = 150
# The attributes of SDP whose values are secret: passwords, keys and assertions of an identity.
SECRET: Final = re.compile(
    r"(a=ice-pwd:|a=crypto:|a=key-mgmt:|a=identity:|^k=)[^\r\n]*",
    re.IGNORECASE | re.MULTILINE,
)
REDACTED: Final = "REDACTED/REDACTED/REDACTED"  # a valid ICE password
# What Chromium's page draws of a counter: its change in a second, in which unit.
RATES: Final = {
    "bytesReceived": ("[bytesReceived_in_bits/s]", 8),
    "bytesSent": ("[bytesSent_in_bits/s]", 8),
    "packetsReceived": ("[packetsReceived/s]", 1),
    "packetsSent": ("[packetsSent/s]", 1),
}


def without_secrets(text: str) -> str:
    """Return SDP, or a message that quotes it, with the values of secret attributes replaced."""
    return SECRET.sub(rf"\1{REDACTED}", text)


@dataclass
class _Entry:
    """The values over time of an entry of statistics; each attribute has one for each time."""

    kind: str
    times: deque[float]
    values: dict[str, deque[Any]] = field(default_factory=dict)

    def add(self, time: float, values: Mapping[str, Any]) -> None:
        """Add the values of a time, in milliseconds since 1970, unless it is no later one."""
        earlier = self.times[-1] if self.times else None
        if earlier is not None and time <= earlier:
            return  # aiortc repeats the last report of the peer, and of a transport that has ended
        for name, value in values.items():
            series = self.values.setdefault(name, self._unknown())
            if series and series[-1] == value and type(series[-1]) is type(value):
                value = series[-1]  # noqa: PLW2901  the same object, which saves the memory
            if name in RATES:
                rate, unit = RATES[name]
                before = series[-1] if series else None
                self.values.setdefault(rate, self._unknown()).append(
                    None
                    if earlier is None or before is None
                    else (value - before) * unit * 1000 / (time - earlier)
                )
            series.append(value)
        self.times.append(time)
        for series in self.values.values():
            if len(series) < len(self.times):
                series.append(None)

    def _unknown(self) -> deque[Any]:
        """Return the values of an attribute that the earlier times don't have."""
        return deque([None] * len(self.times), self.times.maxlen)


class Record:
    """The history of a connection. It doesn't grow without limit: the oldest is dropped.

    Args:
        url: What stands for the page's URL: the name of the program.
        pid: The process.
        configuration: The connection's configuration.
        points: How many values of each attribute of the statistics are kept.
    """

    def __init__(self, url: str, pid: int, configuration: Mapping[str, Any], points: int) -> None:
        self._header = {"pid": pid, "url": url, "rtcConfiguration": json.dumps(configuration)}
        self._points = points
        self._updates: deque[tuple[float, str, str]] = deque()
        self._updates_size = 0
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def update(self, kind: str, value: Any, time: float) -> None:
        """Add what happened: a call, its result, or an event.

        Args:
            kind: Its name in a dump.
            value: The details: a text, or what JSON has for others; None if there are none.
            time: When, in milliseconds since 1970.
        """
        text = "" if value is None else value if isinstance(value, str) else json.dumps(value)
        self._updates.append((time, kind, text))
        self._updates_size += UPDATE_SIZE + len(text) + len(kind)
        while self._updates_size > UPDATES_SIZE:
            _, dropped, text = self._updates.popleft()
            self._updates_size -= UPDATE_SIZE + len(text) + len(dropped)

    def sample(self, report: Iterable[tuple[str, str, float, Mapping[str, Any]]]) -> None:
        """Add statistics.

        Args:
            report: For each entry its id, its type, its time in milliseconds since 1970, and its
                attributes.
        """
        for identifier, kind, time, values in report:
            entry = self._entries.get(identifier) or _Entry(kind, deque(maxlen=self._points))
            entry.add(time, {name: _in_json(value) for name, value in values.items()})
            self._entries[identifier] = entry
            # So that the first is the one that was seen longest ago.
            self._entries.move_to_end(identifier)
        while len(self._entries) > ENTRIES:
            del self._entries[next(iter(self._entries))]

    def copy(self) -> dict[str, Any]:
        """Return what is recorded, for as_json(), which takes long.

        A signal may have ended the program in the middle of sample(): what was added by half isn't
        returned.
        """
        entries = [
            (identifier, entry.kind, times, [(n, list(v)[: len(times)]) for n, v in series])
            for identifier, entry in list(self._entries.items())
            for times, series in [(list(entry.times), list(entry.values.items()))]
        ]
        return {**self._header, "updates": list(self._updates), "entries": entries}


def as_json(copied: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copied record in the form of the dump."""
    stats = {}
    for identifier, kind, times, series in copied["entries"]:
        span = {"startTime": _iso(times[0]), "endTime": _iso(times[-1]), "statsType": kind}
        for name, values in [*series, ("timestamp", times)]:
            stats[f"{identifier}-{name}"] = {**span, "values": json.dumps(values)}
    log = [
        # Chromium has written `time`, and since its version 138 `timestamp`.
        {"time": _iso(time), "timestamp": time, "type": kind, "value": value}
        for time, kind, value in copied["updates"]
    ]
    header = {name: copied[name] for name in ("pid", "url", "rtcConfiguration")}
    return {**header, "stats": stats, "updateLog": log}


def _iso(time: float) -> str:
    """Return a time in milliseconds since 1970 as JavaScript writes it."""
    moment = datetime.fromtimestamp(time / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _in_json(value: Any) -> Any:
    """Return a value of statistics as JSON has it; None for those that it doesn't have."""
    if isinstance(value, datetime):
        return value.timestamp() * 1000
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, bool | int | float | str) else None
