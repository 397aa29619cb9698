"""The signaling server is killed in mid-call, and comes back without any memory."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from browser.pages import DEADLINE, FAKE_CAMERA, chromium, opened, served, text
from ports import free_port
from requiring import require

SECRET: dict[str, Any] = {"RESTARTICE_SIGNALING_SECRET": "a secret that is long enough for a test"}


@asynccontextmanager
async def signaling(port: int) -> AsyncIterator[Process]:
    """Run a signaling server until the block ends, or it is killed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "restartice_signaling", f"--port={port}", "--log-level=error"),
        env=os.environ | SECRET,
        stdout=PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(DEADLINE):
            assert await process.stdout.readline()
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.browser
@pytest.mark.timeout(600)
async def test_a_call_goes_on_and_negotiates_again() -> None:
    require(chromium(), "chromium")
    async with (
        signaling(port := free_port()) as first,
        served(f"--signaling=ws://127.0.0.1:{port}", **SECRET) as url,
        opened(url, *FAKE_CAMERA) as page,
    ):
        await page.wait_connected()
        first.send_signal(signal.SIGKILL)
        await page.wait_for(f"{text('status')} === 'Signaling reconnects'")
        await page.press("restart-here")
        await page.wait_for(f"{text('state-negotiation')} === 'have-local-offer'")
        await page.wait_for_frames(30)
        async with signaling(port):
            # The offer wasn't lost.
            await page.wait_for(f"{text('took')}.endsWith(' ms')")
            assert "signaling has a new session" in await page.evaluate(text("log"))
            await page.press("restart-python")
            await page.wait_for(f"{text('took')}.endsWith(' ms')")
            await page.wait_for_frames(30)
