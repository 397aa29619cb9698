"""Running many files, each in a process of its own, so that one that hangs or dies ends alone."""

import asyncio
import importlib
import logging
import multiprocessing
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import aioice.ice

from .library import Library
from .page import PageResult, run_page

__all__ = ["PageJob", "run_pages"]

# What such a file says, and how many times as long it may take. A browser's runner gives it six
# times as long, all its tests together.
LONG = re.compile(r"""<meta name=["']?timeout["']? content=["']?long|META:\s*timeout=long""")
PATIENCE = 3


@dataclass(frozen=True)
class PageJob:
    """A file to run, on which library, and how long it may take.

    Attributes:
        time_limit: The seconds for one test.
        page_limit: The seconds for all of them.
        closing_limit: The seconds beyond that in which the connections have to be closed.
    """

    library: str
    root: Path
    path: Path
    time_limit: float
    page_limit: float
    closing_limit: float = 30.0

    def patient(self) -> "PageJob":
        """Return the job with longer limits if the file says that its tests take long."""
        if not LONG.search(self.path.read_text()):
            return self
        return replace(
            self,
            time_limit=PATIENCE * self.time_limit,
            page_limit=PATIENCE * self.page_limit,
        )

    @property
    def total_limit(self) -> float:
        """The seconds after which the process is killed."""
        return self.page_limit + self.closing_limit


@dataclass
class _Running:
    job: PageJob
    process: BaseProcess
    results: Connection
    deadline: float

    def ended(self) -> PageResult | None:
        """Return the result if there is one by now, also of a process that died or hangs."""
        result = PageResult(str(self.job.path.relative_to(self.job.root)), seconds=self.seconds)
        if self.results.poll():
            try:
                result = self.results.recv()
            except EOFError:
                self.process.join()
                result.status = "CRASH"
                result.message = f"the process ended with {self.process.exitcode}"
        elif time.monotonic() < self.deadline:
            return None
        else:
            self.process.kill()
            result.status, result.message = "TIMEOUT", "the process didn't end"
        self.process.join()
        self.results.close()
        return result

    @property
    def seconds(self) -> float:
        return self.job.total_limit - (self.deadline - time.monotonic())


def run_pages(jobs: Iterable[PageJob], processes: int) -> Iterator[PageResult]:
    """Run the jobs, so many at a time, and yield each result when it is there."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["restartice", __name__])
    waiting = deque(jobs)
    running: list[_Running] = []
    while waiting or running:
        while waiting and len(running) < processes:
            running.append(_start(context, waiting.popleft()))
        first = min(item.deadline for item in running)
        wait([item.results for item in running], max(first - time.monotonic(), 0.0))
        for item in list(running):
            if (result := item.ended()) is not None:
                running.remove(item)
                yield result


def _start(context: multiprocessing.context.ForkServerContext, job: PageJob) -> _Running:
    results, end = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(job, end), daemon=True)
    process.start()
    end.close()
    return _Running(job, process, results, time.monotonic() + job.total_limit)


def _run(job: PageJob, results: Connection) -> None:
    """Run one file in this process."""
    logging.basicConfig(level=logging.CRITICAL)
    # No candidate but that of the loopback interface: the tests talk to nothing else.
    aioice.ice.get_host_addresses = lambda **_: ["127.0.0.1"]
    library = Library(importlib.import_module(job.library))
    limits = {"time_limit": job.time_limit, "page_limit": job.page_limit}
    results.send(asyncio.run(run_page(library, job.root, job.path, **limits)))
