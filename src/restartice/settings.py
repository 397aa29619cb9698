"""What the specification's interface has no word for."""

import math
from dataclasses import dataclass, fields

__all__ = ["IceSettings"]


@dataclass(frozen=True)
class IceSettings:
    """Timings of ICE, in seconds. The defaults need no thought.

    Attributes:
        check_timeout: How long the connectivity checks of a generation may take before it has
            failed.
        drain_time: How long the previous generation's sockets stay open, at least, after a restart
            has selected a new pair, so that packets under way still arrive.
        drain_silence: How long they must have been silent, then, before they are closed.

    Raises:
        ValueError: A time isn't a positive finite number.
    """

    check_timeout: float = 15.0
    drain_time: float = 3.0
    drain_silence: float = 1.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (isinstance(value, int | float) and math.isfinite(value) and value > 0):
                raise ValueError(f"{field.name} must be a positive number of seconds, not {value}")
