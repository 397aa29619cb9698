"""How much memory a process takes."""

import gc
import resource
from pathlib import Path

__all__ = ["resident"]


def resident() -> float:
    """Return the resident memory of this process in KiB."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1024
