"""The page of examples/browser in Chromium: what a visitor does, and what comes of it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from browser.pages import FAKE_CAMERA, Page, chromium, opened, read_number, served, text
from dumps import read_dump
from requiring import require

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="module"),
]

# Frames come every 33 ms. Other programs hold them up, too, on a machine that is busy, but not for
# as long as a path that isn't replaced.
GAP_OF_A_RESTART_MS = 1500.0
# 2 s until the silence is taken for a loss, 1 s of patience, and the restart.
GAP_OF_A_CUT_MS = 12000.0
WIDTHS = (320, 390, 680, 900, 1280)
# The type and the details of each line of Python's record.
SHOWN = """[...document.querySelectorAll("#record li")].map((line) =>
    [line.querySelector("b").textContent, line.lastElementChild.textContent])"""
BUTTONS = ("restart-here", "restart-python", "add-video", "cut")

Record = Any


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[tuple[Page, str]]:
    """Run the program, and a browser with a camera."""
    require(chromium(), "chromium")
    async with served() as url, opened(url, *FAKE_CAMERA) as page:
        yield page, url


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: tuple[Page, str]) -> AsyncIterator[Page]:
    """Load the page anew, and let it connect."""
    made, url = browser
    await made.resize(800, 700)
    await made.load(url)
    await made.wait_connected()
    yield made
    made.check(url)


async def gap(page: Page) -> float:
    """Return the longest time without a frame since the last disturbance, in milliseconds."""
    return float(await page.evaluate("call.frames.gap"))


@pytest.mark.parametrize("side", ["here", "python"])
async def test_a_restart_takes_nothing_off_the_screen(
    page: Page, side: str, record_property: Record
) -> None:
    await page.press(f"restart-{side}")
    await page.wait_for(f"{text('took')}.endsWith(' ms')")
    await page.wait_for_frames(30)
    longest = await gap(page)
    record_property("longest time without a frame, ms", round(longest))
    assert longest < GAP_OF_A_RESTART_MS
    assert "restarted in" in await page.evaluate(text("log"))


async def test_a_cut_path_is_replaced(page: Page, record_property: Record) -> None:
    pair = await page.evaluate(text("pair"))
    await page.press("cut")
    await page.wait_for(f"{text('status')} === 'Path lost, recovering'")
    await page.wait_for(f"{text('status')} === 'Connected'")
    await page.wait_for_frames(30)
    longest = await gap(page)
    record_property("longest time without a frame, ms", round(longest))
    # Nothing came while the path was cut, or it wasn't.
    assert 1000 < longest < GAP_OF_A_CUT_MS
    await page.wait_for(f"{text('pair')} !== {pair!r}")
    assert "drops all packets" in await page.evaluate(text("log"))


async def test_an_added_video_comes_back(page: Page) -> None:
    await page.press("add-video")
    await page.evaluate("""new Promise((resolve) => {
        const echo = document.getElementById("echo");
        let frames = 0;
        const count = () => {
            frames += 1;
            if (frames === 10) resolve();
            else echo.requestVideoFrameCallback(count);
        };
        echo.requestVideoFrameCallback(count);
    })""")
    await page.wait_for_frames(10)


async def test_keys_are_enough(page: Page) -> None:
    visited: list[str] = []
    while len(visited) < 20 and "log" not in visited:
        await page.key("Tab", 9)
        visited.append(await page.evaluate("document.activeElement.id"))
        outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", visited
        if visited[-1].startswith("restart-"):
            await page.key("Enter", 13, "\r")
            await page.wait_for(f"{text('took')}.endsWith(' ms')")
        elif visited[-1] == "add-video":
            await page.key(" ", 32, " ")
            await page.wait_for("!document.getElementById('echo-figure').hidden")
    assert visited == [*BUTTONS, "log"]


async def test_without_a_camera_a_drawing_is_sent() -> None:
    require(chromium(), "chromium")
    async with served() as url, opened(url) as page:
        await page.wait_connected()
        await page.wait_for(f"{text('log')}.includes('sends a drawing')")
        assert await page.evaluate(text("local-caption")) == "Your drawing"
        await page.wait_for(f"{read_number('python-fps')} > 5")
        page.check(url)


async def test_the_page_shows_what_record_writes(tmp_path: Path) -> None:
    require(chromium(), "chromium")
    async with served(record=tmp_path / "calls.txt") as url, opened(url) as page:
        await page.wait_connected()
        await page.press("restart-python")
        await page.wait_for(f"{text('took')}.endsWith(' ms')")
        shown = await page.evaluate(SHOWN)
        page.check(url)
    (connection,) = read_dump(tmp_path / "calls.txt")
    recorded = connection.log[: len(shown)]
    assert [kind for kind, _ in shown] == [kind for kind, _ in recorded]
    assert {"restartIce", "setRemoteDescription", "oniceconnectionstatechange"} <= dict(
        shown
    ).keys()
    for (kind, text_shown), (_, details) in zip(shown, recorded, strict=True):
        if isinstance(details, dict):
            assert text_shown == details.get("sdp") or json.loads(text_shown) == details
        else:
            # States are in quotes, and errors aren't.
            assert text_shown.strip('"') == ("" if details is None else details), kind


async def test_everything_has_its_place(page: Page) -> None:
    await page.press("add-video")
    await page.wait_for("!document.getElementById('echo-figure').hidden")
    for width in WIDTHS:
        await page.resize(width, 844)
        wide, least = await page.evaluate("""[
            document.documentElement.scrollWidth - innerWidth,
            Math.min(...[...document.querySelectorAll("button")].map((button) =>
                Math.min(button.offsetHeight, button.offsetWidth))),
        ]""")
        assert wide <= 0, f"{width} pixels: it has to be scrolled sideways"
        assert least >= 44, f"{width} pixels: a finger is larger than that"


async def test_text_can_be_read(page: Page) -> None:
    for scheme in ("light", "dark"):
        await page.prefer(color_scheme=scheme, reduced_motion="reduce")
        await page.wait_for("document.getAnimations().length === 0")
        assert await page.evaluate(CONTRASTS) == [], scheme


# Returns texts whose contrast is less than WCAG wants, 4.5. What is over the video isn't looked at.
CONTRASTS = """(() => {
    const sample = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const parse = (color) => {
        sample.clearRect(0, 0, 1, 1);
        sample.fillStyle = color;
        sample.fillRect(0, 0, 1, 1);
        return [...sample.getImageData(0, 0, 1, 1).data];
    };
    const light = (color) => {
        const [r, g, b] = color.map((part) => part / 255)
            .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        const color = parse(getComputedStyle(element).backgroundColor);
        return color[3] === 255 || !element.parentElement ? color : behind(element.parentElement);
    };
    const hasText = (element) => [...element.childNodes].some(
        (node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
    const faint = [];
    for (const element of document.body.querySelectorAll("*")) {
        if (!hasText(element) || element.closest(".stage, noscript")) continue;
        if (!element.checkVisibility()) continue;
        const pair = [light(parse(getComputedStyle(element).color)), light(behind(element))];
        const contrast = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
        if (contrast < 4.5) faint.push(`${element.textContent.trim()}: ${contrast.toFixed(2)}`);
    }
    return faint;
})()"""
