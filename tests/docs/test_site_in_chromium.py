"""The documentation as a reader sees it, on a screen and on a phone, light and dark."""

import threading
from collections.abc import AsyncIterator, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import pytest_asyncio

from browser.pages import Page, chromium, opened
from docs.markdown import PAGES
from requiring import require

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="module"),
]

NAMES = [path.stem for path in PAGES]
CODE = "code/src/restartice/settings.py"
SIZES = {"screen": (1280, 900), "tablet": (1000, 800), "phone": (390, 844)}
# What is wider than the page without a scroll bar of its own, so that a part of it can't be read.
CUT_OFF = """
[...document.querySelectorAll("article *")].filter((element) => {
  for (let box = element; box.tagName !== "ARTICLE"; box = box.parentElement) {
    if (["auto", "scroll"].includes(getComputedStyle(box).overflowX)) return false;
  }
  return element.getBoundingClientRect().right > innerWidth + 0.5;
}).map((element) => element.outerHTML.slice(0, 100))
"""
# Signatures that can't be read without scrolling.
CLIPPED = """
[...document.querySelectorAll(".sig")].filter((signature) => {
  const box = signature.getBoundingClientRect();
  return [...signature.querySelectorAll("*")].some((part) =>
    [...part.getClientRects()].some((r) => r.right > box.right + 0.5 || r.right > innerWidth));
}).map((signature) => signature.textContent)
"""
# Names at the beginning of a table's row that take more than a line.
BROKEN = """
[...document.querySelectorAll("table.docutils td:first-child code")].filter((code) =>
  new Set([...code.getClientRects()].map((box) => box.top)).size > 1
).map((code) => code.textContent)
"""

LINK = "document.querySelector('.{}-page')?.href ?? null"


class Quiet(SimpleHTTPRequestHandler):
    """Serves files, and tells nobody."""

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def url(site: Path) -> Iterator[str]:
    """Serve the documentation."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(url: str) -> AsyncIterator[Page]:
    """Start a browser."""
    require(chromium(), "chromium")
    async with opened(f"{url}/index.html") as page:
        yield page


async def show(page: Page, address: str) -> None:
    """Load a page, and wait until it is there."""
    await page.load(address)
    await page.wait_for(f"location.href === '{address}' && document.readyState === 'complete'")


async def picture(page: Page, path: Path) -> Any:
    """Save what is seen, and return its pixels."""
    await page.save_picture(path)
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", [*NAMES, CODE])
async def test_all_of_a_page_can_be_read(browser: Page, url: str, name: str, size: str) -> None:
    await browser.resize(*SIZES[size])
    await show(browser, f"{url}/{name}.html")
    assert await browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for question in (CUT_OFF, CLIPPED, BROKEN):
        assert await browser.evaluate(question) == []
    assert await browser.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
    browser.check(url)


async def test_signatures_are_there(browser: Page, url: str) -> None:
    await show(browser, f"{url}/api.html")
    assert await browser.evaluate("document.querySelectorAll('.sig').length") > 100
    shown = await browser.evaluate(
        "document.getElementById('restartice.RTCPeerConnection.createDataChannel').innerText"
    )
    assert "maxRetransmits: int | None = None,\n" in shown


async def test_pages_lead_from_one_to_the_next_and_back(browser: Page, url: str) -> None:
    way = [f"{url}/index.html"]
    await show(browser, way[0])
    while there := (await browser.evaluate(LINK.format("next"))):
        way.append(there)
        await show(browser, there)
        assert await browser.evaluate(LINK.format("prev")) == way[-2]
    assert sorted(way) == sorted(f"{url}/{name}.html" for name in NAMES)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("restartIce", "api.html#restartice.RTCPeerConnection.restartIce"),
        ("check_timeout", "settings.html"),
        ("uvloop", "threads.html"),
    ],
)
async def test_the_search_finds_it(browser: Page, url: str, words: str, found: str) -> None:
    await show(browser, f"{url}/search.html?q={words}")
    await browser.wait_for(f"document.querySelector('#search-results a[href^=\"{found}\"]')")
    await show(browser, f"{url}/{found}")
    assert await browser.evaluate(f"document.body.innerText.includes('{words}')")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["index", "api", "restart", "settings"])
async def test_pages_are_light_by_day_and_dark_by_night(
    browser: Page, url: str, tmp_path: Path, name: str, size: str
) -> None:
    await browser.resize(*SIZES[size])
    await show(browser, f"{url}/{name}.html")
    brightness = {}
    for scheme in ("light", "dark"):
        await browser.prefer(color_scheme=scheme)
        pixels = await picture(browser, tmp_path / f"{name}-{size}-{scheme}.png")
        assert pixels.shape == (SIZES[size][1], SIZES[size][0], 3)
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50  # it shows something
        brightness[scheme] = np.median(pixels)
    assert brightness["light"] > 230
    assert brightness["dark"] < 60
