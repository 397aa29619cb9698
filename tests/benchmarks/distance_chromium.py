"""A peer of calls over a distance in headless Chromium: `distance_chromium.py Chromium`.

It obeys the same orders as `distance_peer.py`, except those to restart and to send data, and tells
the same. The times are those at which this process hears of it.
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "interop" / "peers"))

from devtools import Chromium

from benchmarks.chromium import SHOW_ADDRESSES
from benchmarks.distance_peer import tell
from benchmarks.orders import read_orders

# The same as Peer of distance_peer.py, in a browser.
PAGE: Final = r"""
(() => {
  const say = (event, values) => tellText(JSON.stringify({ event, ...values }));
  const use = (channel) => {
    const opened = () => say("open", { label: channel.label });
    if (channel.readyState === "open") opened();
    else channel.onopen = opened;
  };
  let pc = null;
  const begin = () => {
    pc?.close();
    pc = new RTCPeerConnection();
    pc.ondatachannel = ({ channel }) => use(channel);
  };
  const describe = async () => {
    const gathered = new Promise((resolve) => {
      pc.onicecandidate = ({ candidate }) => { if (candidate === null) resolve(); };
    });
    await pc.setLocalDescription();
    await gathered;
    const { type, sdp } = pc.localDescription;
    return { type, sdp };
  };
  const obey = {
    call: () => { begin(); use(pc.createDataChannel("benchmark")); return describe(); },
    wait: () => { begin(); return {}; },
    description: async ({ type, sdp }) => {
      await pc.setRemoteDescription({ type, sdp });
      const dtls = pc.sctp.transport;
      dtls.onstatechange ??= () => say("DTLS", { state: dtls.state });
      return type === "offer" ? describe() : {};
    },
  };
  globalThis.obey = async (order) => (await obey[order.do](order));
})()
"""


async def main() -> None:
    """Do as told until stdin ends."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = await Chromium.start(Path(profile), SHOW_ADDRESSES)
        browser.on_tell = lambda values: tell(**values)
        try:
            await browser.evaluate(PAGE)
            tell("ready")
            async for order in read_orders():
                answer = await browser.evaluate(f"obey({json.dumps(order)})")
                tell("answer", order=order["number"], **answer)
        finally:
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
