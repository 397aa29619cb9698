"""Descriptions of the corpus, with a few changes, are applied, or refused naming the line.

A refused one leaves no trace. (W14) `RESTARTICE_EXAMPLES` is how many are tried.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies

from conftest import other_tasks
from descriptions import Entry, answers, offers, texts
from properties.mutation import Mutator
from properties.trial import Trial, breathe, refused
from restartice import RTCSessionDescription, SdpSyntaxError
from restartice.exceptions import InvalidContentError

EXAMPLES = int(os.environ.get("RESTARTICE_EXAMPLES", "300"))
# Each names the line.
ERRORS = {SdpSyntaxError, InvalidContentError}
OFFERS, ANSWERS = texts("offer"), texts("answer")

mutated = settings(
    max_examples=EXAMPLES // 2, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
randoms = strategies.randoms(use_true_random=False)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test in a loop of its own; nothing may reach its exception handler."""
    unhandled: list[object] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, it: unhandled.append(it))
        await test()
        async with asyncio.timeout(30):
            while tasks := other_tasks():
                await asyncio.wait(tasks)

    with asyncio.Runner() as runner:
        runner.run(main())
    assert unhandled == []


def check(error: Exception, text: str) -> None:
    """Check that an error of a description names the line."""
    assert isinstance(error, SdpSyntaxError | InvalidContentError)
    assert error.sdpLineNumber is not None
    assert 1 <= error.sdpLineNumber <= text.count("\n") + 1
    told = f"in line {error.sdpLineNumber}"
    assert any(told in said for said in (str(error), *getattr(error, "__notes__", ())))
    assert str(error).isprintable()


async def give(trial: Trial, text: str, kind: str) -> bool:
    """Let a trial take a remote description; return whether it has."""
    setting = trial.pc.setRemoteDescription(RTCSessionDescription(text, kind))
    error = await refused(trial, setting, ERRORS)
    if error is not None:
        check(error, text)
        return False
    assert trial.pc.remoteDescription.type == kind
    return True


@mutated
@given(
    base=strategies.sampled_from(OFFERS),
    random=randoms,
    state=strategies.sampled_from(["new", "new", "new", "offered", "connected"]),
)
def test_mutated_offers(base: str, random: Random, state: str) -> None:
    text = Mutator(random, OFFERS).mutate(base)

    async def test() -> None:
        trial = Trial()
        try:
            if state == "offered":
                await trial.offer()
            elif state == "connected":
                await trial.connect()
            if await give(trial, text, "offer"):
                await trial.pc.setLocalDescription()
                assert trial.pc.signalingState == "stable"
                await breathe()
        finally:
            await trial.close()

    run(test)


@mutated
@given(
    entry=strategies.sampled_from(answers()),
    random=randoms,
    kind=strategies.sampled_from(["answer", "answer", "pranswer"]),
)
def test_mutated_answers(entry: Entry, random: Random, kind: str) -> None:
    async def test() -> None:
        trial = Trial(entry.offered)
        try:
            await trial.offer()
            base = entry.sdp(trial.pc.localDescription.sdp)
            if await give(trial, Mutator(random, ANSWERS).mutate(base), kind):
                await breathe()
        finally:
            await trial.close()

    run(test)


@pytest.mark.parametrize("entry", [*offers(), *answers()], ids=lambda e: f"{e.kind} {e.name}")
def test_the_corpus_itself(entry: Entry) -> None:
    async def test() -> None:
        trial = Trial(entry.offered)
        try:
            if entry.kind == "answer":
                await trial.offer()
                offer = trial.pc.localDescription.sdp
                await give(trial, entry.sdp(offer), "answer")
            elif await give(trial, entry.sdp(), "offer"):
                await trial.pc.setLocalDescription()
        finally:
            await trial.close()

    run(test)
