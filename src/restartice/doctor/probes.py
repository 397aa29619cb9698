"""Asks servers, and makes a call inside this process."""

import asyncio
import logging
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, cast

from aioice import mdns
from aiortc import RTCConfiguration, RTCIceServer

from ..ice.candidate import RTCIceCandidate
from ..ice.gathering.interfaces import interface_names
from ..ice.gathering.lookups import look_up
from ..ice.gathering.servers import StunServer, TurnServer, one_by_one, read_servers
from ..ice.gathering.turn import route_to
from ..ice.transport import RTCIceCandidatePair, RTCIceTransport
from ..logs import ObjectLogger
from ..peerconnection import RTCPeerConnection
from ..settings import IceSettings
from .facts import Facts, ServerAnswer

__all__ = ["look_around"]

log = ObjectLogger(logging.getLogger(__name__), "the call inside this process")

MDNS_TIMEOUT: Final = 2.0


async def look_around(servers: Iterable[RTCIceServer] = (), *, timeout: float = 5.0) -> Facts:
    """Look at this machine and its network.

    It sends to the given servers only, and asks all of them at the same time.

    Args:
        servers: STUN and TURN servers.
        timeout: How many seconds each answer, and each step of a call, may take.

    Raises:
        ValueError: A URL is malformed.
    """
    entries = list(servers)
    found, _ = read_servers(entries)
    by_url = dict(one_by_one(entries))
    addresses, answers, mappings, call, name = await asyncio.gather(
        _addresses(timeout),
        asyncio.gather(*(_ask(server, by_url[server.url], timeout) for server in found)),
        _mappings([server for server in found if server.way == "udp"], timeout),
        _call(timeout),
        _resolve_own_name(),
    )
    bases, observers = mappings
    return Facts(addresses, tuple(answers), bases, observers, *call, *name)


class _Gathering:
    """A connection that only gathers, what it has found, and after how many seconds."""

    def __init__(self, servers: list[RTCIceServer], timeout: float) -> None:
        self.found: list[tuple[float, RTCIceCandidate]] = []
        self.errors: list[Any] = []
        self._pc = RTCPeerConnection(
            RTCConfiguration(iceServers=servers), iceSettings=IceSettings(server_timeout=timeout)
        )
        self._pc.on("icecandidate", self._note)
        self._pc.on("icecandidateerror", self.errors.append)
        self._ended = asyncio.Event()
        self._began = 0.0

    async def run(self) -> None:
        """Gather until all servers have answered, or their time is over."""
        self._pc.createDataChannel("check")
        self._began = time.monotonic()
        try:
            await self._pc.setLocalDescription()
            await self._ended.wait()
        finally:
            await self._pc.close()

    def _note(self, candidate: RTCIceCandidate | None) -> None:
        if candidate is None:
            self._ended.set()
        elif candidate.type is not None:
            self.found.append((time.monotonic() - self._began, candidate))


async def _addresses(timeout: float) -> tuple[tuple[str, str], ...]:
    gathering = _Gathering([], timeout)
    await gathering.run()
    names = interface_names()
    hosts = dict.fromkeys(c.ip for _, c in gathering.found if c.type == "host")
    return tuple((address, names.get(address, "")) for address in hosts)


async def _ask(
    server: StunServer | TurnServer, entry: RTCIceServer, timeout: float
) -> ServerAnswer:
    """Ask one server, as a call does."""
    answer = ServerAnswer(server.url, server.way, isinstance(server, TurnServer))
    try:
        addresses = await look_up(server.address)
    except OSError as error:
        return replace(answer, code=701, error=f"The name can't be resolved: {error}")
    if not any(route_to(address, family) for family, address in addresses.items()):
        return replace(answer, code=701, error="No route to the server", has_route=False)
    gathering = _Gathering([replace(entry, urls=[server.url])], timeout)
    await gathering.run()
    wanted = "relay" if answer.relays else "srflx"
    for seconds, candidate in gathering.found:
        if candidate.type == wanted:
            return replace(answer, seconds=seconds, address=candidate.ip, port=candidate.port)
    # A server that sees this machine at its own address gives no candidate, and no error.
    if not answer.relays and not gathering.errors and gathering.found:
        seconds, candidate = gathering.found[-1]
        return replace(answer, seconds=seconds, address=candidate.ip, port=candidate.port)
    code, text = 701, "The server did not answer"
    if gathering.errors:
        code, text = gathering.errors[-1].errorCode, gathering.errors[-1].errorText
    answer = replace(answer, code=code, error=text)
    if answer.way == "udp" and answer.code == 701:
        return replace(answer, accepts_tcp=await _accepts_tcp(server.address, timeout))
    return answer


async def _accepts_tcp(address: tuple[str, int], timeout: float) -> bool:
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(*address)
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


async def _mappings(
    servers: list[StunServer | TurnServer], timeout: float
) -> tuple[tuple[tuple[str, tuple[tuple[str, int], ...]], ...], int]:
    """Return as what servers see one socket of each address, and how many saw it."""
    if not servers:
        return (), 0
    # A TURN server is also a STUN server. (RFC 8656 section 3)
    urls = dict.fromkeys(_stun_url(server.address) for server in servers)
    gathering = _Gathering([RTCIceServer(urls=[url]) for url in urls], timeout)
    await gathering.run()
    seen: dict[str, list[tuple[str, int]]] = {}
    for _, candidate in gathering.found:
        if candidate.type == "srflx" and candidate.relatedAddress is not None:
            seen.setdefault(candidate.relatedAddress, []).append((candidate.ip, candidate.port))
    failed = {error.url for error in gathering.errors}
    return tuple((base, tuple(mapped)) for base, mapped in seen.items()), len(urls.keys() - failed)


def _stun_url(address: tuple[str, int]) -> str:
    host, port = address
    return f"stun:[{host}]:{port}" if ":" in host else f"stun:{host}:{port}"


async def _call(timeout: float) -> tuple[float | None, float | None, str | None]:
    """Connect two connections, and restart ICE; return the seconds of both, and the error."""
    seconds: list[float | None] = [None, None]
    configuration = RTCConfiguration(iceServers=[])
    near, far = RTCPeerConnection(configuration), RTCPeerConnection(configuration)
    try:
        near.createDataChannel("check")
        for step in range(len(seconds)):
            began = time.monotonic()
            before = _pair_of(near)
            near.restartIce()
            await _negotiate(near, far)
            async with asyncio.timeout(timeout):
                await _on_another_pair(near, before)
            seconds[step] = time.monotonic() - began
    except TimeoutError:
        return seconds[0], seconds[1], f"no path worked within {timeout:g} s"
    except Exception as error:
        log.debug("failed", exc_info=True)
        return seconds[0], seconds[1], f"{type(error).__name__}: {error}"
    finally:
        await asyncio.gather(near.close(), far.close())
    return seconds[0], seconds[1], None


async def _negotiate(near: RTCPeerConnection, far: RTCPeerConnection) -> None:
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)


async def _on_another_pair(pc: RTCPeerConnection, before: RTCIceCandidatePair | None) -> None:
    """Return when a connection is connected, on another pair than before."""
    changed = asyncio.Event()
    _ice_of(pc).on("selectedcandidatepairchange", changed.set)
    pc.on("connectionstatechange", changed.set)
    while pc.connectionState != "connected" or _pair_of(pc) == before:
        await changed.wait()
        changed.clear()


def _ice_of(pc: RTCPeerConnection) -> RTCIceTransport:
    assert pc.sctp is not None
    return cast("RTCIceTransport", pc.sctp.transport.transport)


def _pair_of(pc: RTCPeerConnection) -> RTCIceCandidatePair | None:
    return _ice_of(pc).getSelectedCandidatePair()


async def _resolve_own_name() -> tuple[float | None, str | None]:
    """Publish an mDNS name and resolve it; return the seconds, and the error."""
    name, address = f"{uuid.uuid4()}.local", "127.0.0.1"
    protocols = []
    try:
        protocols += [await mdns.create_mdns_protocol(), await mdns.create_mdns_protocol()]
        owner, asker = protocols
        await owner.publish(name, address)
        began = time.monotonic()
        if await asker.resolve(name, timeout=MDNS_TIMEOUT) == address:
            return time.monotonic() - began, None
    except OSError as error:
        return None, str(error)
    finally:
        for protocol in protocols:
            await protocol.close()
    return None, f"no answer within {MDNS_TIMEOUT:g} s"
