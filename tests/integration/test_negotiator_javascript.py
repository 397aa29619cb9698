"""The Negotiator for browsers, in Node: wrong use, and the end while an offer waits.

The connection only counts what is called; tests/browser has calls in real browsers.
"""

import asyncio
import json
import shutil
from asyncio.subprocess import PIPE
from pathlib import Path

from connecting import DEADLINE
from requiring import require

FILES = Path(__file__).parents[2] / "signaling" / "restartice_signaling" / "files"
PROGRAM = """
import { Negotiator } from NEGOTIATOR;

class Connection extends EventTarget {
  signalingState = "stable";
  iceConnectionState = "new";
  calls = 0;
  answers = 0;
  restartIce() { this.calls += 1; }
  async setRemoteDescription() { this.calls += 1; }
  async setLocalDescription() {
    this.calls += 1;
    this.answers += 1;
    if (this.answers === 30) setImmediate(end);
  }
}
const pc = new Connection();
const make = (recovery) => new Negotiator(pc, { send() {} }, { recovery });
const refused = [
  { firstWait: 0 }, { firstWait: undefined }, { longestWait: NaN }, { settleTime: -1 },
].map((times) => {
  try { make(times); } catch (error) { return error.name; }
});
make({ disconnectedFor: 0, settleTime: 0, giveWay: 0 }).close();
const negotiator = make(false);
for (const message of [null, undefined, {}, "text"]) negotiator.receive(message);
// One more than may follow one another at once, so that the last one waits.
for (let count = 0; count < 31; count += 1) {
  negotiator.receive({ description: { type: "offer", sdp: "v=0\\r\\n" } });
}
let before;
const end = () => {
  negotiator.close();
  before = pc.calls;
};
process.on("beforeExit", () => console.log(JSON.stringify([refused, before, pc.calls - before])));
"""


async def test_wrong_use_and_the_end(tmp_path: Path) -> None:
    node = shutil.which("node")
    require(node, "node")
    assert node is not None
    program = tmp_path / "program.mjs"
    negotiator = json.dumps((FILES / "rtc-negotiator.js").as_uri())
    program.write_text(PROGRAM.replace("NEGOTIATOR", negotiator))
    process = await asyncio.create_subprocess_exec(node, str(program), stdout=PIPE)
    async with asyncio.timeout(DEADLINE):
        output, _ = await process.communicate()
    refused, before, after = json.loads(output)
    assert refused == ["RangeError"] * 4
    assert before >= 60
    assert after == 0
