"""Running one file of the tests, as a browser loads a page."""

import asyncio
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .library import Library
from .realm import Realm, scripts

__all__ = ["PageResult", "run_page"]

HARNESS = "/resources/testharness.js"
# Scripts that run already, or have a part of the bridge in their place.
REPLACED = {
    HARNESS,
    "/resources/testdriver-vendor.js",
    "/resources/testdriver.js",
    "/resources/testharnessreport.js",
}
END_LIMIT = 10.0
META = re.compile(r"^//\s*META:\s*script=(\S+)", re.MULTILINE)


@dataclass
class PageResult:
    """What became of the tests of a file."""

    file: str
    status: str = "OK"
    message: str | None = None
    tests: list[dict[str, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def passed(self) -> int:
        """The number of tests that passed."""
        return sum(test["status"] == "PASS" for test in self.tests)


def sources(root: Path, path: Path) -> list[str]:
    """Return the scripts of a page, or of a test that is a script, without the harness."""
    text = path.read_text()
    if path.suffix == ".js":
        listed: list[tuple[str | None, str]] = [(src, "") for src in META.findall(text)]
        listed.append((None, text))
    else:
        listed = scripts(text)
    found = []
    for address, inline in listed:
        if address in REPLACED:
            continue
        if address is None:
            found.append(inline)
        else:
            base = root if address.startswith("/") else path.parent
            found.append((base / address.lstrip("/")).read_text())
    return found


async def run_page(
    library: Library, root: Path, path: Path, *, time_limit: float, page_limit: float
) -> PageResult:
    """Run the tests of a file; each has `time_limit` seconds, all together `page_limit`."""
    result = PageResult(str(path.relative_to(root)))
    began = time.monotonic()
    realm = Realm(library, time_limit=time_limit)
    try:
        realm.evaluate((root / HARNESS.lstrip("/")).read_text())
        realm.load_harness()
        for source in sources(root, path):
            realm.evaluate(source)
        realm.run_jobs()
        await asyncio.wait([realm.results], timeout=page_limit)
        if not realm.results.done():
            realm.evaluate("timeout();")  # what has ended by now counts
            realm.run_jobs()
        outcome = await asyncio.wait_for(realm.results, END_LIMIT)
    except Exception as error:  # noqa: BLE001  # a page that can't be loaded is a result
        result.status, result.message = "ERROR", f"{type(error).__name__}: {error}"
    else:
        result.status, result.message = outcome["status"], outcome["message"]
        result.tests = outcome["tests"]
    finally:
        result.errors = realm.errors
        await realm.close()
        result.seconds = time.monotonic() - began
    return result
