"""Reads webrtc-internals dumps as the tools for them do, but strictly."""

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

Values = list[tuple[float, Any]]


@dataclass
class Connection:
    """A connection of a dump.

    Attributes:
        url: The page or program.
        configuration: The RTCConfiguration.
        log: The type and the details of each update.
        stats: The values with their times, by the id of the entry and the attribute.
        kinds: The types of the entries, by id.
    """

    url: str
    configuration: dict[str, Any]
    log: list[tuple[str, Any]]
    stats: dict[str, dict[str, Values]]
    kinds: dict[str, str]

    def details(self, kind: str) -> list[Any]:
        """Return the details of the updates of a type."""
        return [details for each, details in self.log if each == kind]

    def of_kind(self, kind: str) -> list[dict[str, Values]]:
        """Return the entries of a type."""
        return [self.stats[each] for each, found in self.kinds.items() if found == kind]

    def selected_pairs(self) -> list[tuple[dict[str, Values], dict[str, Values]]]:
        """Return the candidates of the last selected pair of each transport that has one."""
        last = [each["selectedCandidatePairId"][-1][1] for each in self.of_kind("transport")]
        pairs = [self.stats[pair] for pair in last if pair]
        names = ("localCandidateId", "remoteCandidateId")
        found = [[self.stats[pair[name][-1][1]] for name in names] for pair in pairs]
        return [(local, remote) for local, remote in found]


def read_dump(path: Path) -> list[Connection]:
    """Return the connections of a dump."""
    dump = json.loads(path.read_text(), parse_constant=refuse)
    assert isinstance(dump["getUserMedia"], list)
    assert dump["UserAgent"]
    return [read_connection(*item) for item in dump["PeerConnections"].items()]


def read_connection(name: str, record: dict[str, Any]) -> Connection:
    """Return a connection, whose name is two numbers."""
    assert all(part.isdigit() for part in name.split("-"))
    assert isinstance(record["pid"], int)
    log = [(each["type"], details_of(each["value"])) for each in record["updateLog"]]
    times = [each["timestamp"] for each in record["updateLog"]]
    # Some of what happens before a record begins has later times in Chromium, but not by much.
    assert all(later > earlier - 1000 for earlier, later in pairwise(times))
    stats: dict[str, dict[str, Values]] = {}
    kinds = {}
    for key, series in record["stats"].items():
        identifier, _, attribute = key.partition("-[") if "-[" in key else key.rpartition("-")
        moments = json.loads(record["stats"][f"{identifier}-timestamp"]["values"])
        values = json.loads(series["values"], parse_constant=refuse)
        assert len(values) <= len(moments)
        stats.setdefault(identifier, {})[attribute] = list(zip(moments, values, strict=False))
        kinds[identifier] = series["statsType"]
        assert series["startTime"] <= series["endTime"]
        assert series["endTime"].endswith("Z")
    return Connection(record["url"], json.loads(record["rtcConfiguration"]), log, stats, kinds)


def details_of(value: str) -> Any:
    """Return the details of an update; those of a failure are plain text."""
    try:
        return json.loads(value) if value else None
    except ValueError:
        return value


def refuse(constant: str) -> None:
    """Raise for the numbers that JavaScript's JSON.parse() doesn't accept."""
    raise ValueError(constant)
