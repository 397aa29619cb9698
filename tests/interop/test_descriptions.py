"""Who takes the descriptions of the corpus in tests/data/descriptions: libwebrtc, browsers and we.

What came of it is DESCRIPTIONS.md, which .ci/interop writes.
"""

import asyncio
import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from descriptions import Entry, answers, offers
from interop.cable import Cable
from interop.process import PeerProcess
from interop.stacks import STACKS
from interop.taking import BEGIN, OURS, TABLE, Outcome, key, less_than, table, take
from requiring import require

pytestmark = [pytest.mark.network, pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

ENTRIES = [*offers(), *answers()]
OTHERS = [stack for stack in STACKS if stack.name in {"chromium", "firefox", "wrtc"}]
Outcomes = dict[str, dict[str, Outcome]]


async def give(cable: Cable, side: str, *names: str) -> Outcomes:
    """Give everything to some stacks, one after the other; return what comes of it."""
    outcomes = {}
    for stack in (stack for stack in [OURS, *OTHERS] if stack.name in names):
        process = await PeerProcess.start(cable.namespace(side), stack.command)
        try:
            outcomes[stack.name] = {key(entry): await take(process, entry) for entry in ENTRIES}
        finally:
            await process.close()
    return outcomes


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def outcomes(cable: Cable) -> AsyncIterator[Outcomes]:
    """Give each description to each stack."""
    for stack in OTHERS:
        require(not stack.missing(), stack.missing())
    found = await asyncio.gather(
        give(cable, "we", OURS.name, "firefox"), give(cable, "they", "chromium", "wrtc")
    )
    every = {name: result for part in found for name, result in part.items()}
    yield {name: every[name] for name in (OURS.name, *(stack.name for stack in OTHERS))}


@pytest.mark.parametrize("entry", ENTRIES, ids=key)
async def test_we_take_what_chromium_takes(entry: Entry, outcomes: Outcomes) -> None:
    ours, theirs = (outcomes[name][key(entry)] for name in (OURS.name, "chromium"))
    if less_than(ours, theirs):
        assert entry.unlike_chromium, f"{ours.cell()} {ours.error}, Chromium: {theirs.cell()}"
    else:
        assert not entry.unlike_chromium, "there is a reason, but no difference any more"


async def test_the_table_is_what_came_of_it(outcomes: Outcomes) -> None:
    versions = ", ".join(f"{stack.title} {stack.version()}" for stack in OTHERS)
    text = table(ENTRIES, outcomes, f"Here with {versions}.")
    before, _, written = TABLE.read_text(encoding="utf-8").partition(BEGIN)
    if os.environ.get("INTEROP_TABLE"):
        TABLE.write_text(f"{before}{BEGIN}\n\n{text}", encoding="utf-8")
    else:
        # Other versions may take more or less.
        assert written.strip() == text.strip() or versions not in written
