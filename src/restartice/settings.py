"""What the specification's interface has no word for."""

import math
from dataclasses import dataclass

__all__ = ["IceSettings"]


@dataclass(frozen=True)
class IceSettings:
    """Settings of ICE; times are in seconds. The defaults need no thought.

    Attributes:
        check_timeout: How long the connectivity checks of a generation may take before it has
            failed.
        drain_time: How long the previous generation's sockets stay open, at least, after a restart
            has selected a new pair, so that packets under way still arrive.
        drain_silence: How long they must have been silent, then, before they are closed.
        loopback_candidates: Whether 127.0.0.1 is a candidate, too, which lets two programs on a
            machine without network talk to each other.

    Raises:
        ValueError: A time isn't a positive finite number.
        TypeError: loopback_candidates isn't a bool.
    """

    check_timeout: float = 15.0
    drain_time: float = 3.0
    drain_silence: float = 1.0
    loopback_candidates: bool = False

    def __post_init__(self) -> None:
        for name in ("check_timeout", "drain_time", "drain_silence"):
            value = getattr(self, name)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (is_number and math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a positive number of seconds, not {value!r}")
        if not isinstance(self.loopback_candidates, bool):
            raise TypeError("loopback_candidates must be a bool")
