"""The clock of tests that measure times on a machine that others use, too."""

import os
import subprocess
import sys
import time

from owntime import own_time

BUSY = "print(flush=True)\nwhile True: pass"


def work(seconds: float) -> None:
    """Use the processor for so long."""
    began = time.process_time()
    while time.process_time() - began < seconds:
        pass


def test_sleep_and_work_count() -> None:
    began = own_time()
    time.sleep(0.2)
    work(0.1)
    assert own_time() - began >= 0.29


def test_what_others_take_does_not_count() -> None:
    """Two programs share one processor."""
    allowed = os.sched_getaffinity(0)
    with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        try:
            for process in (0, other.pid):
                os.sched_setaffinity(process, {min(allowed)})
            real, own = time.monotonic(), own_time()
            work(0.5)
            real, own = time.monotonic() - real, own_time() - own
        finally:
            os.sched_setaffinity(0, allowed)
            other.kill()
    assert 0.49 < own < 0.75 * real
