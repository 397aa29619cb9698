"""Runs a program with ICE on loopback only: `launch.py PROGRAM ARGUMENTS`.

It is a process of its own, and no module of this project's, so aiortc's examples are as alone as
they are for anybody.
"""

import runpy
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "aiortc_suite"))

import on_loopback  # type: ignore[import-not-found]

if __name__ == "__main__":
    on_loopback.pytest_configure()
    # An example takes uvloop if it is there, and asks for the current event loop before there is
    # one, for which new versions of uvloop raise RuntimeError.
    sys.modules["uvloop"] = None  # type: ignore[assignment]
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
