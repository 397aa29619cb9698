"""A recorded call has the form of the dump that Chromium saves of its own calls."""

import asyncio
from pathlib import Path
from typing import Any, Self

import pytest
from devtools import Chromium

import connecting
from browser.pages import DEADLINE, FLAGS, chromium
from dumps import Connection, read_dump
from requiring import require
from restartice import (
    InvalidStateError,
    Recorder,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)

pytestmark = pytest.mark.browser

INTERNALS = "chrome://webrtc-internals"
CALL = """(async () => {
    const near = new RTCPeerConnection(), far = new RTCPeerConnection();
    window.kept = [near, far];
    near.onicecandidate = event => far.addIceCandidate(event.candidate);
    far.onicecandidate = event => near.addIceCandidate(event.candidate);
    const channel = near.createDataChannel("chat", {ordered: false, maxRetransmits: 2});
    near.addTransceiver("video");
    const negotiate = async () => {
        await near.setLocalDescription(await near.createOffer());
        await far.setRemoteDescription(near.localDescription);
        await far.setLocalDescription(await far.createAnswer());
        await near.setRemoteDescription(far.localDescription);
    };
    await negotiate();
    await new Promise(resolve => { channel.onopen = resolve; });
    await near.setRemoteDescription({type: "answer", sdp: "hello"}).catch(() => {});
    near.restartIce();
    await negotiate();
})()"""
# Which page has which entries depends on the times at which it asks.
SAMPLED = """new Promise(resolve => {
    const timer = setInterval(() => {
        const records = Object.values(JSON.parse(JSON.stringify(peerConnectionDataStore)));
        const has = kind => record => Object.values(record.stats).some(
            series => series.statsType === kind);
        if (records.length === 2 && records.every(has("candidate-pair"))) {
            clearInterval(timer);
            resolve();
        }
    }, 50);
})"""
LOADED = """new Promise(resolve => {
    const timer = setInterval(() => {
        if (document.readyState === "complete" && window.peerConnectionDataStore) {
            clearInterval(timer);
            resolve();
        }
    }, 20);
})"""
SAVE = """{
    document.getElementById("dump-checkbox").checked = false;
    document.getElementById("dump-click-target").click();
}"""


# Chromium tells an option of these that we don't have, and of the last one the description only if
# the call had none.
OWN_DETAILS = {"createOffer", "createAnswer", "setLocalDescriptionOnSuccess"}


class Recording(Chromium):
    """Chromium with a page that calls itself, and the page that records calls."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        super().__init__(process)
        self.saved = asyncio.Event()

    @classmethod
    async def record(cls, profile: Path, downloads: Path) -> Self:
        """Let the page call itself, and save the dump."""
        browser = await cls.start(profile, *FLAGS)
        try:
            async with asyncio.timeout(DEADLINE):
                await browser._record(downloads)
        except BaseException:
            await browser.close()
            raise
        return browser

    def notice(self, message: dict[str, Any]) -> None:
        """Take note of what is saved."""
        if message["params"].get("state") == "completed":
            self.saved.set()

    async def _record(self, downloads: Path) -> None:
        caller, self.session = self.session, None
        await self.command(
            "Browser.setDownloadBehavior",
            behavior="allow",
            downloadPath=str(downloads),
            eventsEnabled=True,
        )
        await self._open(INTERNALS)
        recorder = self.session
        # Only what happens after it has loaded is recorded as a whole.
        await self.evaluate(LOADED)
        self.session = caller
        await self.evaluate(CALL)
        self.session = recorder
        await self.evaluate(SAMPLED)
        await self.evaluate(SAVE)
        await self.saved.wait()


@pytest.fixture
async def theirs(tmp_path: Path) -> list[Connection]:
    """The dump of Chromium."""
    require(chromium(), "chromium")
    browser = await Recording.record(tmp_path / "profile", tmp_path / "saved")
    await browser.close()
    return read_dump(tmp_path / "saved" / "webrtc_internals_dump.txt")


@pytest.fixture
async def ours(tmp_path: Path) -> list[Connection]:
    """The record of a call that does the same."""
    path = tmp_path / "ours.txt"
    near, far = RTCPeerConnection(), RTCPeerConnection()
    with Recorder(path, interval=0.05) as recorder:
        recorder.add(near)
        recorder.add(far)
        for here, there in ((near, far), (far, near)):
            here.on("icecandidate", there.addIceCandidate)
        near.createDataChannel("chat", ordered=False, maxRetransmits=2)
        near.addTransceiver(VideoStreamTrack())
        await connecting.negotiate(near, far)
        await connecting.wait_connected(near, far)
        with pytest.raises(InvalidStateError):
            await near.setRemoteDescription(RTCSessionDescription("hello", "answer"))
        near.restartIce()
        await connecting.negotiate(near, far)
        async with asyncio.timeout(DEADLINE):
            recorder.save()
            while not all(one.selected_pairs() for one in read_dump(path)):
                await asyncio.sleep(0.05)
                recorder.save()
        for pc in (near, far):
            pc.remove_all_listeners()
            await pc.addIceCandidate(None)  # after those that are being added
        await asyncio.gather(near.close(), far.close())
    return read_dump(path)


async def test_our_dump_has_the_form_of_chromium_s(
    theirs: list[Connection], ours: list[Connection]
) -> None:
    assert len(theirs) == len(ours) == 2
    for their, our in zip(theirs, ours, strict=True):
        assert isinstance(our.configuration, dict)
        assert isinstance(their.configuration, dict)
        check_updates(their, our)
        check_statistics(their, our)


def check_updates(their: Connection, our: Connection) -> None:
    """All that Chromium tells is in ours, too, with the same details."""
    our_kinds = {kind for kind, _ in our.log}
    missing = {kind for kind, _ in their.log} - our_kinds
    # It fires in a later turn of the loop, in which the offer is made already.
    assert missing <= {"onnegotiationneeded"}
    for kind in our_kinds:
        for details in their.details(kind)[:1]:
            found = our.details(kind)[0]
            assert type(found) is type(details) or kind in OWN_DETAILS, kind
            if isinstance(details, dict) and isinstance(found, dict) and kind != "addTransceiver":
                common = found.keys() & details.keys()
                assert common, kind
                for name in common - {"mid", "currentDirection", "track"}:
                    assert type(found[name]) is type(details[name]), (kind, name)


def check_statistics(their: Connection, our: Connection) -> None:
    """Of the types that both have, the attributes are those of the specification."""
    kinds = {"transport", "candidate-pair", "local-candidate", "remote-candidate"}
    assert kinds <= set(our.kinds.values())
    for kind in kinds:
        theirs = set[str]().union(*(entry.keys() for entry in their.of_kind(kind)))
        found = set[str]().union(*(entry.keys() for entry in our.of_kind(kind)))
        assert len(found & theirs) >= len(theirs) / 3, kind
        assert {"timestamp", "type"} <= found
    assert our.selected_pairs()
    assert their.selected_pairs()
