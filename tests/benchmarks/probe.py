"""A measuring process: `probe.py MEASUREMENT STACK {"count": 3}`; it prints JSON.

With RESTARTICE_LOOPBACK=1 everything stays on 127.0.0.1, else the addresses of the host are used,
for which the benchmark gives it a network namespace of its own.
"""

import asyncio
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.measurements import MEASUREMENTS, Measured, on_loopback
from benchmarks.stacks import load


async def run(measurement: str, stack: str, options: dict[str, Any]) -> Measured:
    """Measure."""
    if os.environ.get("RESTARTICE_LOOPBACK") != "1":
        return await MEASUREMENTS[measurement](load(stack), **options)
    loaded = load(stack)
    if stack == "libwebrtc":
        loaded.module.allow_loopback()
    async with on_loopback():
        return await MEASUREMENTS[measurement](loaded, **options)


if __name__ == "__main__":
    logging.basicConfig(level=logging.CRITICAL)
    result = asyncio.run(run(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))
    print(json.dumps(result), flush=True)
    # libwebrtc's threads aren't waited for.
    os._exit(0)
