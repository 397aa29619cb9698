"""Files of tests that hang, die or take too long."""

from pathlib import Path

import pytest

from .pool import PageJob, run_pages
from .test_bridge import HARNESS

PAGE = "<script src=/resources/testharness.js></script><script>{}</script>"
PASSES = "promise_test(async () => {}, 'one');"
WAITS = "promise_test(() => new Promise(() => {}), 'two');"
SCRIPTS = {"hangs": "for (;;);", "passes": PASSES, "waits": PASSES + WAITS}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "resources").mkdir()
    (tmp_path / "resources" / "testharness.js").write_text(HARNESS)
    for name, script in SCRIPTS.items():
        (tmp_path / f"{name}.html").write_text(PAGE.format(script))
    return tmp_path


def results(root: Path, *names: str, page_limit: float) -> dict[str, tuple[str, list[str]]]:
    limits = (600.0, page_limit, 2.0)
    jobs = [PageJob("restartice", root, root / f"{name}.html", *limits) for name in names]
    found = {r.file: (r.status, [t["status"] for t in r.tests]) for r in run_pages(jobs, 2)}
    return {file.removesuffix(".html"): result for file, result in found.items()}


def test_files_run_each_by_itself(root: Path) -> None:
    found = results(root, "passes", "hangs", "waits", page_limit=3.0)

    assert found["passes"] == ("OK", ["PASS"])
    assert found["hangs"] == ("TIMEOUT", [])


def test_what_has_ended_when_a_file_takes_too_long_counts(root: Path) -> None:
    assert results(root, "waits", page_limit=3.0) == {"waits": ("OK", ["PASS", "TIMEOUT"])}


def test_a_process_that_dies_is_a_result(root: Path) -> None:
    job = PageJob("no_such_library", root, root / "passes.html", 60.0, 60.0)
    (result,) = run_pages([job], 1)

    assert (result.file, result.status, result.tests) == ("passes.html", "CRASH", [])
    assert result.message == "the process ended with 1"


def test_files_that_say_that_they_take_long_have_more_time(root: Path) -> None:
    says = {
        "page.html": '<meta name="timeout" content="long">',
        "bare.html": "<meta name=timeout content=long>",
        "script.window.js": "// META: timeout=long\n",
        "short.html": '<meta name="timeout" content="normal">',
    }
    limits = {}
    for name, text in says.items():
        (root / name).write_text(text)
        job = PageJob("restartice", root, root / name, 10.0, 120.0).patient()
        limits[name] = (job.time_limit, job.page_limit)

    assert limits == {**dict.fromkeys(says, (30.0, 360.0)), "short.html": (10.0, 120.0)}
