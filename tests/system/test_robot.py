"""The example of a robot with viewers, whose programs are killed and started anew."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from signalingnode import node

PROGRAM = Path(__file__).parents[2] / "examples" / "robot.py"
DEADLINE = 60.0
TIMES = 3


class Program:
    """The robot or a viewer."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        self.process, self.stdout = process, process.stdout

    async def shows(self, text: str) -> None:
        """Return when it has printed a line with this text."""
        async with asyncio.timeout(DEADLINE):
            while text not in (line := (await self.stdout.readline()).decode()):
                assert line, f"it ended without {text!r}"


@asynccontextmanager
async def program(url: str, *options: str) -> AsyncIterator[Program]:
    """Run it, and kill it in the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(PROGRAM), "--url", url, *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_programs_that_are_killed() -> None:
    took: dict[str, list[float]] = {"viewer": [], "robot": []}
    async with node() as server, program(server.url, "--view") as constant:
        async with program(server.url) as robot:
            await constant.shows("picture")
            for _ in range(TIMES):
                async with program(server.url, "--view") as viewer:
                    await viewer.shows("waiting")
                    began = time.monotonic()
                    await viewer.shows("picture")
                    took["viewer"].append(time.monotonic() - began)
            assert robot.process.returncode is None
        for _ in range(TIMES):
            async with program(server.url):
                began = time.monotonic()
                await constant.shows("picture")
                took["robot"].append(time.monotonic() - began)
    for name, seconds in took.items():
        print(f"{name} anew: first picture after", " ".join(f"{s:.2f}" for s in seconds), "s")
