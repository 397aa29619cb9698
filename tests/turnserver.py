"""A real TURN and STUN server: coturn, with a configuration and ports of its own."""

import asyncio
import shutil
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiortc
from aioice import stun
from aioice.turn import create_turn_endpoint

from ports import free_port
from requiring import require
from restartice_signaling.server.turn_credentials import turn_credentials

LOOPBACK: Final = "127.0.0.1"
PASSWORDS: Final = {"alice": "wonderland", "bob": "builder"}
DEADLINE: Final = 60.0
TRY_ALTERNATE: Final = 300


@dataclass(frozen=True)
class TurnServer:
    """A server that runs."""

    port: int
    process: asyncio.subprocess.Process
    address: str = LOOPBACK

    @property
    def stun(self) -> aiortc.RTCIceServer:
        return aiortc.RTCIceServer(urls=[f"stun:{self.address}:{self.port}"])

    def turn(
        self, user: str = "alice", *, credential: str | None = None, transport: str = "udp"
    ) -> aiortc.RTCIceServer:
        """Return the server as it is given to a connection, by way of "udp", "tcp" or "tls"."""
        scheme, transport = ("turns", "tcp") if transport == "tls" else ("turn", transport)
        return aiortc.RTCIceServer(
            urls=[f"{scheme}:{self.address}:{self.port}?transport={transport}"],
            username=user,
            credential=PASSWORDS[user] if credential is None else credential,
        )

    async def pause(self) -> None:
        """Stop it as a debugger does: it is there, and says nothing, from when this returns."""
        self.process.send_signal(signal.SIGSTOP)
        stat = Path(f"/proc/{self.process.pid}/stat")
        async with asyncio.timeout(DEADLINE):
            while stat.read_text().rpartition(")")[2].split()[0] != "T":  # noqa: ASYNC110, ASYNC240
                await asyncio.sleep(0.001)  # no event tells

    async def stop(self) -> None:
        """Kill it, which leaves its clients without an answer."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def turn_server(
    directory: Path,
    secret: str | None = None,
    *,
    address: str = LOOPBACK,
    namespace: str | None = None,
    port: int | None = None,
    options: Sequence[str] = (),
) -> AsyncIterator[TurnServer]:
    """Run a server, which keeps its files in a directory, with further options of its own.

    With a secret, it takes the credentials that are made with it, and no others. In a network
    namespace it is up to the caller to wait until it answers.
    """
    executable = shutil.which("turnserver")
    require(executable, "coturn (Debian package coturn)")
    assert executable is not None
    port = port or free_port()
    configuration = _write_configuration(address, port, directory, secret, options)
    inside = () if namespace is None else ("ip", "netns", "exec", namespace)
    process = await asyncio.create_subprocess_exec(
        *inside,
        executable,
        "-c",
        str(configuration),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    server = TurnServer(port, process, address)
    try:
        if namespace is None:
            async with asyncio.timeout(DEADLINE):
                await _wait_ready(server, *_known_user(secret))
        yield server
    finally:
        await server.stop()


def _known_user(secret: str | None) -> tuple[str, str]:
    if secret is None:
        return "alice", PASSWORDS["alice"]
    return turn_credentials(secret, "alice", int(time.time() + DEADLINE))


def _write_configuration(
    address: str, port: int, directory: Path, secret: str | None, options: Sequence[str]
) -> Path:
    users = ["lt-cred-mech", *(f"user={name}:{word}" for name, word in PASSWORDS.items())]
    if secret is not None:
        users = ["use-auth-secret", f"static-auth-secret={secret}"]
    lines = [
        f"listening-ip={address}",
        f"listening-port={port}",
        f"relay-ip={address}",
        "realm=restartice.test",
        *users,
        "fingerprint",
        "allow-loopback-peers",
        *([] if _has_certificate(options) else ["no-tls"]),
        "no-dtls",
        "no-cli",
        "relay-threads=1",
        "log-file=stdout",
        f"pidfile={directory / 'turnserver.pid'}",
        f"userdb={directory / 'turnserver.db'}",
        *options,
    ]
    directory.mkdir(exist_ok=True)
    file = directory / "turnserver.conf"
    file.write_text("\n".join([*lines, ""]))
    return file


def _has_certificate(options: Sequence[str]) -> bool:
    return any(option.startswith("cert=") for option in options)


async def _wait_ready(server: TurnServer, user: str, password: str) -> None:
    """Return when it has given an allocation, and taken it back, or names another server."""
    closed = asyncio.get_running_loop().create_future()

    class Client(asyncio.DatagramProtocol):
        def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's
            closed.set_result(None)

    while True:
        if server.process.returncode is not None:
            raise RuntimeError(f"turnserver has ended with {server.process.returncode}")
        try:
            transport, _ = await create_turn_endpoint(
                Client,
                (server.address, server.port),
                user,
                password,
                transport="tcp",
            )
        except ConnectionError:
            await asyncio.sleep(0.02)
        except stun.TransactionFailed as refusal:
            if refusal.response.attributes["ERROR-CODE"][0] != TRY_ALTERNATE:
                raise
            return
        else:
            transport.close()
            await closed
            return
