"""The bridge itself: what JavaScript sees of a connection, and in what order."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import aiortc
import pytest

import restartice
from conformance.eager import start
from conformance.library import Library
from conformance.page import PageResult, run_page
from conformance.realm import Realm
from conformance.report import as_json, as_markdown

DEADLINE = 120.0
# As much of testharness.js as the bridge itself needs.
HARNESS = """
const states = new Set(), completions = new Set(), tests = [];
const phases = { INITIAL: 0, STARTED: 1, HAS_RESULT: 2 };
const setup = () => {};
const add_test_state_callback = callback => states.add(callback);
const add_completion_callback = callback => completions.add(callback);
const timeout = () => { for (const test of tests) test.timeout(); };
function promise_test(body, name) {
  const test = { name, phases, phase: phases.STARTED, status: 3, message: null };
  const end = (status, message) => {
    if (test.phase === phases.HAS_RESULT) return;
    Object.assign(test, { phase: phases.HAS_RESULT, status, message });
    if (tests.every(({ phase }) => phase === phases.HAS_RESULT)) {
      for (const callback of completions) callback(tests, { status: 0, message: null });
    }
  };
  test.timeout = () => end(2, "timed out");
  tests.push(test);
  for (const callback of states) callback(test);
  Promise.resolve().then(body).then(() => end(0, null), error => end(1, String(error)));
}
"""

Run = Callable[[str], Coroutine[Any, Any, PageResult]]


@pytest.fixture(params=["restartice", "aiortc"])
def library(request: pytest.FixtureRequest) -> Library:
    return Library({"restartice": restartice, "aiortc": aiortc}[request.param])


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run one test, given as the body of an async function, with the published harness's names."""

    async def run_body(body: str) -> PageResult:
        (tmp_path / "resources").mkdir(exist_ok=True)
        (tmp_path / "resources" / "testharness.js").write_text(HARNESS)
        page = tmp_path / "webrtc" / "page.html"
        page.parent.mkdir(exist_ok=True)
        page.write_text(
            "<script src=/resources/testharness.js></script><script src='helper.js'></script>"
            f"<script>promise_test(async () => {{ {body} }}, 'body');</script>"
        )
        (page.parent / "helper.js").write_text(
            "function equal(a, b) { if (a !== b) throw new Error(`${a} is not ${b}`); }"
        )
        return await run_page(
            Library(restartice), tmp_path, page, time_limit=DEADLINE / 2, page_limit=DEADLINE
        )

    return run_body


async def passes(run: Run, body: str) -> None:
    result = await run(body)
    assert [(t["status"], t["message"]) for t in result.tests] == [("PASS", None)], result.errors


async def test_two_connections_negotiate_and_carry_a_message(run: Run) -> None:
    await passes(
        run,
        """
        const [near, far] = [new RTCPeerConnection(), new RTCPeerConnection()];
        const channel = near.createDataChannel("chat", { ordered: false });
        equal(channel instanceof RTCDataChannel, true);
        equal(channel.ordered, false);
        const got = new Promise(resolve => far.ondatachannel = ({ channel }) => {
          channel.onmessage = ({ data }) => resolve([channel.label, data]);
        });
        near.onicecandidate = ({ candidate }) => far.addIceCandidate(candidate);
        far.onicecandidate = ({ candidate }) => near.addIceCandidate(candidate);
        await near.setLocalDescription();
        await far.setRemoteDescription(near.localDescription);
        await far.setLocalDescription();
        const opened = new Promise(resolve => channel.onopen = resolve);
        await near.setRemoteDescription(far.localDescription);
        await opened;
        channel.send("hello");
        const [label, data] = await got;
        equal(label, "chat");
        equal(data, "hello");
        """,
    )


async def test_an_object_of_python_is_one_object_in_javascript(run: Run) -> None:
    await passes(
        run,
        """
        const pc = new RTCPeerConnection();
        const transceiver = pc.addTransceiver("audio", { direction: "recvonly" });
        equal(pc.getTransceivers()[0], transceiver);
        equal(transceiver.sender, pc.getSenders()[0]);
        equal(transceiver.direction, "recvonly");
        const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
        const [track] = stream.getTracks();
        equal(pc.addTrack(track).track, track);
        equal(transceiver instanceof RTCRtpTransceiver, true);
        """,
    )


async def test_a_description_is_one_object_until_it_changes(run: Run) -> None:
    await passes(
        run,
        """
        const pc = new RTCPeerConnection();
        pc.addTransceiver("audio");
        equal(pc.localDescription, null);
        await pc.setLocalDescription();
        const first = pc.localDescription;
        equal(pc.pendingLocalDescription, first);
        equal(pc.pendingRemoteDescription, null);
        await new Promise(resolve => pc.onicecandidate = ({ candidate }) => candidate || resolve());
        equal(pc.localDescription === first, false);
        equal(pc.localDescription, pc.pendingLocalDescription);
        """,
    )


async def test_events_of_states_come_after_the_promise(run: Run) -> None:
    await passes(
        run,
        """
        const [near, far] = [new RTCPeerConnection(), new RTCPeerConnection()];
        const log = [];
        near.createDataChannel("x");
        for (const pc of [near, far]) {
          const name = pc === near ? "near" : "far";
          pc.onicegatheringstatechange = () => log.push(`${name} ${pc.iceGatheringState}`);
          pc.oniceconnectionstatechange = () => log.push(`${name} ${pc.iceConnectionState}`);
        }
        const checking = new Promise(resolve => near.addEventListener(
          "iceconnectionstatechange", resolve));
        await near.setLocalDescription();
        equal(log.length, 0);
        await new Promise(resolve => near.onicecandidate = e => e.candidate || resolve());
        equal(log.join(), "near gathering,near complete");
        await far.setRemoteDescription(near.localDescription);
        await far.setLocalDescription();
        equal(log.length, 2);
        await near.setRemoteDescription(far.localDescription);
        equal(log.includes("near checking"), false);
        await checking;
        equal(near.iceConnectionState, "checking");
        """,
    )


async def test_errors_are_those_of_the_web(run: Run) -> None:
    await passes(
        run,
        """
        const pc = new RTCPeerConnection();
        const fails = (promise, name) => promise.then(
          () => { throw new Error("fulfilled"); }, error => equal(error.name, name));
        await fails(pc.createAnswer(), "InvalidStateError");
        await fails(pc.setRemoteDescription(), "TypeError");
        await fails(pc.setRemoteDescription({ type: "nonsense" }), "TypeError");
        const wrong = { type: "offer", sdp: "Invalid SDP" };
        const error = await pc.setRemoteDescription(wrong).catch(error => error);
        equal(error instanceof RTCError, true);
        equal(error.errorDetail, "sdp-syntax-error");
        try {
          pc.addTransceiver("smell");
          throw new Error("accepted");
        } catch (error) {
          equal(error instanceof TypeError, true);
        }
        """,
    )


async def test_promise_reactions_come_before_later_tasks(run: Run) -> None:
    await passes(
        run,
        """
        const pc = new RTCPeerConnection();
        pc.createDataChannel("chat");
        const order = [];
        setTimeout(() => order.push("timer"), 0);
        pc.onnegotiationneeded = () => order.push("event");
        await Promise.resolve().then(() => order.push("reaction"));
        equal(order.join(), "reaction");
        await new Promise(resolve => setTimeout(resolve, 0));
        equal(order[0], "reaction");
        equal(order.includes("event"), true);
        """,
    )


async def test_a_frame_has_a_window_of_its_own(run: Run) -> None:
    await passes(
        run,
        r"""
        const frame = document.createElement("iframe");
        frame.srcdoc = `<script>
          window.onmessage = ({ data }) => window.parent.postMessage({ twice: data.number * 2 });
        <\/script>`;
        document.documentElement.appendChild(frame);
        await new Promise(resolve => frame.onload = resolve);
        const reply = new Promise(resolve => window.onmessage = ({ data }) => resolve(data));
        frame.contentWindow.postMessage({ number: 21 });
        equal((await reply).twice, 42);
        """,
    )


async def test_a_failing_test_is_reported(run: Run) -> None:
    result = await run("equal(1, 2);")

    assert result.passed == 0
    assert result.tests[0]["status"] == "FAIL"
    assert "1 is not 2" in result.tests[0]["message"]
    assert "| webrtc/page.html | 0 | 1 |" in as_markdown([result])
    assert '"status": "FAIL"' in as_json([result])


async def test_a_page_that_cannot_be_loaded_is_reported(run: Run) -> None:
    result = await run("} } (")

    assert result.status == "ERROR"
    assert not result.tests


async def test_plain_aiortc_can_be_bridged_too(library: Library) -> None:
    realm = Realm(library)
    realm.evaluate("const pc = new RTCPeerConnection(); const kept = pc;")
    realm.evaluate("if (pc.signalingState !== 'stable') throw new Error(pc.signalingState);")
    realm.evaluate("pc.close(); if (pc.signalingState !== 'closed') throw new Error('open');")
    await realm.close()


async def test_a_coroutine_runs_at_once_up_to_where_it_waits() -> None:
    steps: list[str] = []
    ready = asyncio.get_running_loop().create_future()
    outcome: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def work() -> str:
        steps.append("called")
        steps.append(await ready)
        await asyncio.sleep(0)
        return "result"

    task = start(work(), lambda result, error: outcome.set_result((result, error)))
    assert steps == ["called"]
    ready.set_result("woken")
    assert await asyncio.wait_for(outcome, DEADLINE) == ("result", None)
    assert steps == ["called", "woken"]
    assert task is not None
    await task


async def test_an_error_before_the_first_wait_is_known_at_once() -> None:
    outcomes: list[BaseException | None] = []

    async def work() -> None:
        raise ValueError("wrong")

    assert start(work(), lambda _, error: outcomes.append(error)) is None
    assert [str(error) for error in outcomes] == ["wrong"]
