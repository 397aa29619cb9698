"""Makes the pictures of examples/browser, from a call in which ICE is restarted and a path is cut.

PYTHONPATH=tests:tests/interop/peers python -m browser.screenshots
"""

import asyncio
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.filter import Graph

from browser.pages import PROGRAM, Page, opened, served, text

SIZE_LIMIT = 200_000
SECOND = Fraction(1)
# The steps of the filter: buffer, split, palettegen, paletteuse, sink.
LINKS = ((0, 0, 1, 0), (1, 0, 3, 0), (1, 1, 2, 0), (2, 0, 3, 1), (3, 0, 4, 0))


async def press(page: Page, button: str) -> None:
    """Press a button, and let the charts have something to show of it."""
    await page.press(button)
    await asyncio.sleep(9)


async def show_call(page: Page) -> None:
    """Let everything happen."""
    await page.wait_connected()
    await asyncio.sleep(8)
    for button in ("add-video", "restart-python", "restart-here", "cut"):
        await press(page, button)
        await page.wait_for(f"{text('status')} === 'Connected'")


async def save(page: Page, name: str) -> None:
    """Save a picture beside the program."""
    path = PROGRAM.with_name(name)
    with tempfile.TemporaryDirectory() as directory:
        original = Path(directory, name)
        await page.save_picture(original)
        await asyncio.to_thread(reduce_colors, original, path)
    size = (await asyncio.to_thread(path.stat)).st_size
    print(f"{path.name}: {size} bytes")
    assert size < SIZE_LIMIT, "that is too large for a repository"


def reduce_colors(source: Path, target: Path) -> None:
    """Write a picture with 256 colors, which takes less than half the space."""
    with av.open(str(source)) as container:
        frame = next(container.decode(video=0))
    graph: Any = Graph()
    steps = [
        graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format.name, time_base=SECOND
        ),
        graph.add("split"),
        graph.add("palettegen"),
        graph.add("paletteuse", "dither=bayer:bayer_scale=4"),
        graph.add("buffersink"),
    ]
    for earlier, output, later, input_ in LINKS:
        steps[earlier].link_to(steps[later], output, input_)
    graph.configure()
    frame.pts = 0
    graph.push(frame)
    graph.push(None)
    reduced = graph.pull()
    with av.open(str(target), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height = reduced.width, reduced.height
        stream.pix_fmt = reduced.format.name
        container.mux([*stream.encode(reduced), *stream.encode(None)])


async def main() -> None:
    """Make them."""
    async with served() as url, opened(url) as page:
        await page.command("Emulation.setScrollbarsHidden", hidden=True)
        await page.resize(1280, 960)
        await page.prefer(color_scheme="light")
        await show_call(page)
        await save(page, "desktop.png")
        await page.resize(390, 844, scale=1.5)
        await page.prefer(color_scheme="dark")
        await asyncio.sleep(2)
        await save(page, "phone.png")


if __name__ == "__main__":
    asyncio.run(main())
