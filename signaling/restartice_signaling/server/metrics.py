"""The counters of a server, in Prometheus' text format."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "rtc_signal"
GAUGES: Final = ("connections", "pending", "tasks")


class Metrics:
    """Counters since the start, and gauges."""

    def __init__(self) -> None:
        self.connections = 0
        self.pending = 0
        self.tasks = 0
        self.accepted = 0
        self.delayed = 0
        self.joined = 0
        self.resumed = 0
        self.not_resumed = 0
        self.received = 0
        self.relayed = 0
        self.sent = 0
        self.throttled = 0
        self.handed_over = 0
        self.refused: Counter[str] = Counter()
        self.closed: Counter[int] = Counter()

    def state(self) -> dict[str, Any]:
        """Return the numbers, as JSON can carry them."""
        return dict(vars(self))

    def add(self, state: Mapping[str, Any], *, gauges: bool = True) -> None:
        """Add the numbers of another server, or of its predecessor, without its gauges."""
        for name, value in state.items():
            if isinstance(value, Mapping):
                kind = int if name == "closed" else str
                getattr(self, name).update({kind(code): count for code, count in value.items()})
            elif gauges or name not in GAUGES:
                setattr(self, name, getattr(self, name) + value)

    def render(self) -> str:
        """Return the numbers in Prometheus' text format."""
        return "\n".join([*self._lines(), ""])

    def _lines(self) -> Iterator[str]:
        yield from _plain("connections", "gauge", "Connections now.", self.connections)
        yield from _plain("pending", "gauge", "Connections without a hello.", self.pending)
        yield from _plain("tasks", "gauge", "Tasks of the event loop.", self.tasks)
        counters = {
            "accepted": ("Connections accepted.", self.accepted),
            "delayed": ("Connections that waited for a turn.", self.delayed),
            "joined": ("Sessions begun.", self.joined),
            "resumed": ("Sessions resumed.", self.resumed),
            "not_resumed": ("Sessions that could not be resumed.", self.not_resumed),
            "received": ("Messages received.", self.received),
            "relayed": ("Messages relayed to other peers.", self.relayed),
            "sent": ("Reliable messages sent.", self.sent),
            "handed_over": ("Connections given to another worker.", self.handed_over),
            "throttled": ("Messages delayed by the rate limit.", self.throttled),
        }
        for name, (text, value) in counters.items():
            yield from _plain(f"{name}_total", "counter", text, value)
        yield from _labeled("refused_total", "Messages and clients refused.", "code", self.refused)
        yield from _labeled(
            "closed_total", "Connections closed by the server.", "code", self.closed
        )


def _plain(name: str, kind: str, text: str, value: int) -> Iterator[str]:
    yield f"# HELP {PREFIX}_{name} {text}"
    yield f"# TYPE {PREFIX}_{name} {kind}"
    yield f"{PREFIX}_{name} {value}"


def _labeled(
    name: str, text: str, label: str, values: Counter[str] | Counter[int]
) -> Iterator[str]:
    yield f"# HELP {PREFIX}_{name} {text}"
    yield f"# TYPE {PREFIX}_{name} counter"
    for value, count in sorted(values.items()):
        yield f'{PREFIX}_{name}{{{label}="{value}"}} {count}'
