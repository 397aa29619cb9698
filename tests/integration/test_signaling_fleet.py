"""The set-up for a fleet, from the files that are there for it: units, settings, TLS, two nodes."""

import asyncio
import configparser
import os
import re
import shutil
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from connecting import DEADLINE
from ports import free_port
from redisserver import redis_server
from requiring import require
from restartice_signaling import (
    CustomReceived,
    Reconnected,
    SignalingClosed,
    WebSocketSignaling,
)
from selfsigned import make_certificate
from signalingevents import next_of
from signalingnode import DEADLINE as START
from signalingnode import Node

FILES = Path(__file__).parents[2] / "signaling" / "restartice_signaling" / "files"
SECRET = "0123456789" * 4


def settings(**values: str) -> dict[str, str]:
    """Return what the file of settings has, with other values for some of it."""
    lines = (FILES / "rtc-signal.env").read_text().splitlines()
    found = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    changed = {f"RESTARTICE_SIGNALING_{name}": value for name, value in values.items()}
    assert changed.keys() <= found.keys()
    path = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    return found | changed | path


def command(port: int) -> list[str]:
    """Return what the unit of systemd starts."""
    unit = configparser.RawConfigParser(strict=False)
    unit.read(FILES / "rtc-signal@.service")
    python, *arguments = unit["Service"]["ExecStart"].replace("%i", str(port)).split()
    assert python.endswith("/bin/python")
    return [sys.executable, *arguments]


@asynccontextmanager
async def service(port: int, environment: Mapping[str, str], *options: str) -> AsyncIterator[Node]:
    process = await asyncio.create_subprocess_exec(
        *command(port),
        *options,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(environment),
    )
    node = Node(process, f"ws://127.0.0.1:{port}")
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START):
            assert (await process.stdout.readline()).startswith(b"listening on ws://127.0.0.1:")
        yield node
    finally:
        await node.kill()


@asynccontextmanager
async def proxy(directory: Path, ports: list[int]) -> AsyncIterator[int]:
    """Run nginx as its configuration says, but for files and ports; yield its port."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    require(nginx, "nginx (Debian package nginx-light)")
    assert nginx is not None
    chain, key = make_certificate(directory)
    text = (FILES / "nginx.conf").read_text()
    port = free_port()
    changes = {
        "listen 443": f"listen 127.0.0.1:{port}",
        "/etc/ssl/signal.example.org/chain.pem": str(chain),
        "/etc/ssl/signal.example.org/key.pem": str(key),
        "127.0.0.1:8765": f"127.0.0.1:{ports[0]}",
        "127.0.0.1:8766": f"127.0.0.1:{ports[1]}",
    }
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{name}_temp_path {directory / name};\n" for name in names)
    configuration = directory / "nginx.conf"
    configuration.write_text(
        f"daemon off; master_process off; pid {directory}/nginx.pid; error_log stderr;\n"
        f"events {{}}\nhttp {{ access_log off;\n{paths}{text}}}\n"
    )
    process = await asyncio.create_subprocess_exec(
        nginx, "-c", str(configuration), "-e", "stderr", stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await wait_listening(port, process)
        yield port
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def wait_listening(port: int, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(START):
        while True:
            assert process.returncode is None, "nginx has ended"
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


async def token_for(environment: Mapping[str, str], *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "restartice_signaling",
        "token",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        env=dict(environment),
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode().strip()


async def get(port: int, path: str, tls: ssl.SSLContext | None = None) -> int:
    async with asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
        writer.write(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        status = int((await reader.readline()).split()[1])
        writer.close()
        return status


@pytest.mark.parametrize("secret", ["", "  ", None], ids=["empty", "blank", "left out"])
async def test_it_does_not_start_behind_a_proxy_without_a_secret(secret: str | None) -> None:
    environment = settings(TURN_SECRET=SECRET)
    if secret is None:
        del environment["RESTARTICE_SIGNALING_SECRET"]
    else:
        environment["RESTARTICE_SIGNALING_SECRET"] = secret
    process = await asyncio.create_subprocess_exec(
        *command(0),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    async with asyncio.timeout(START):
        out, said = await process.communicate()
    assert (process.returncode, out) == (2, b"")
    assert b"RESTARTICE_SIGNALING_SECRET" in said


async def join_by(url: str, tls: ssl.SSLContext | None) -> bool:
    """Say if somebody without a token is let in."""
    try:
        async with WebSocketSignaling(url, room="room", ssl=tls, give_up_after=0):
            return True
    except SignalingClosed as closed:
        if "403" in str(closed):
            return False
        raise


@pytest.mark.parametrize("meant", [False, True], ids=["not meant", "insecure"])
async def test_nobody_comes_in_from_elsewhere_without_a_token(tmp_path: Path, meant: bool) -> None:
    environment = {**os.environ, "RESTARTICE_SIGNALING_HOST": "127.0.0.1"}
    async with AsyncExitStack() as stack:
        ports = [free_port(), free_port()]
        options = ["--insecure", "--behind-proxy"] if meant else []
        nodes = [
            await stack.enter_async_context(service(port, environment, *options)) for port in ports
        ]
        port = await stack.enter_async_context(proxy(tmp_path, ports))
        tls = ssl.create_default_context(cafile=str(tmp_path / "chain.pem"))
        assert await join_by(f"wss://127.0.0.1:{port}", tls) is meant
        for node in nodes:
            assert await join_by(node.url, None)
            stderr = node.process.stderr
            assert stderr is not None
            assert b"open" in (line := await stderr.readline())
            assert (b"through a proxy" in line) is meant


async def test_a_fleet_behind_a_proxy(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_server(tmp_path))
        environment = settings(SECRET=SECRET, TURN_SECRET=SECRET[::-1], REDIS=redis.url)
        ports = [free_port(), free_port()]
        nodes = [await stack.enter_async_context(service(port, environment)) for port in ports]
        port = await stack.enter_async_context(proxy(tmp_path, ports))
        tls = ssl.create_default_context(cafile=str(tmp_path / "chain.pem"))
        url = f"wss://127.0.0.1:{port}"
        with pytest.raises(SignalingClosed):
            # TLS or nothing.
            await WebSocketSignaling(url.replace("wss", "ws"), room="robot-7").connect()

        robot = await token_for(environment, "--room=robot-7", "--peer=robot", "--lifetime=60")
        operator = await token_for(environment, "--room=robot-*", "--lifetime=60")
        near = WebSocketSignaling(url, room="robot-7", token=robot, ssl=tls)
        far = WebSocketSignaling(url, room="robot-7", token=operator, ssl=tls)
        await stack.enter_async_context(near)
        await stack.enter_async_context(far)
        assert near.peer == "robot"
        assert [re.sub(":.*", "", url) for s in near.ice_servers for url in s.urls] == [
            "stun",
            "turn",
            "turn",
        ]
        await far.wait_for_peer("robot")
        await near.send_custom("by way of TLS")
        assert isinstance(await next_of(far, CustomReceived), CustomReceived)

        # What is asked by HTTP is for this machine only.
        for path in ("/metrics", "/healthz"):
            assert await get(ports[0], path) == 200
            assert await get(port, path, tls) == 404

        # nginx has given one of them to each node, and now brings both to the one that is left.
        await nodes[0].kill()
        lost = [asyncio.create_task(next_of(peer, Reconnected)) for peer in (near, far)]
        done, _ = await asyncio.wait(lost, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result() for task in done] == [Reconnected(resumed=True)] * len(done)
        for task in lost:
            task.cancel()
        await asyncio.wait(lost)
        await far.send_custom("after all")
        received = await next_of(near, CustomReceived)
        assert isinstance(received, CustomReceived)
        assert received.value == "after all"
