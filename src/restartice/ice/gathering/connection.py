"""Gathering for one ICE generation: host candidates at once, those of servers as they answer."""

import asyncio
import functools
import ipaddress
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final

import aioice
import aioice.ice
from aioice import stun
from aiortc.exceptions import OperationError

from ...seam import AioiceConnection, hear_refusals, is_aioices
from ...settings import IceSettings
from ..incoming.guarded_socket import Gate, guarded_protocol, put_on_guard
from .candidates import host_candidate, relayed_candidate, server_reflexive_candidate
from .endpoints import Address, bind, family_of, open_endpoint
from .forgotten import OpenConnections
from .interfaces import allowed_addresses
from .lookups import look_up
from .queries import ask_for_address, explain, within_quota
from .servers import RTCPeerConnectionIceErrorEvent, StunServer, TurnServer
from .turn import (
    Releases,
    allocate,
    hidden_address,
    vantage_points,
)

__all__ = ["GatheringConnection"]

COMPONENT: Final = 1
LOOPBACK: Final = "127.0.0.1"
DEFAULTS: Final = IceSettings()

logger = logging.getLogger(__name__)


class GatheringConnection(AioiceConnection):
    """aioice's connection, which reports candidates as they are found, from any number of servers.

    Candidates that are found late join the checks under way, which don't end before a pair is
    nominated.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.prepare()

    def prepare(self) -> None:
        """Add what a connection of aioice lacks."""
        super().prepare()
        self.settings = DEFAULTS
        self.gate = Gate()
        self.gathered = False
        self.ended = False
        self.on_candidate: Callable[[aioice.Candidate], None] = _ignore
        self.on_server_error: Callable[[RTCPeerConnectionIceErrorEvent], None] = _ignore
        self.on_gathered: Callable[[], None] = _ignore
        self.releases = Releases()
        # Gives an address of a server back that other generations have, if there is one.
        self.make_room: Callable[[Address], Awaitable[bool]] = _make_no_room
        self._relays: dict[Any, Address] = {}
        # Those of the same peer connection.
        self.siblings = OpenConnections()
        self._asked: dict[asyncio.Task[None], type[StunServer | TurnServer]] = {}
        self._answered: set[type[StunServer | TurnServer]] = set()
        self._progress = asyncio.Event()

    async def begin_gathering(self, servers: Sequence[StunServer | TurnServer]) -> None:
        """Gather host candidates, and ask the servers, whose answers are not waited for.

        Raises:
            OperationError: No port in the range of the settings is free.
        """
        self.siblings.add(self)
        # The servers are ours to ask.
        self.stun_server = self.turn_server = None
        try:
            await super().gather_candidates()
        except BaseException:
            self.local_candidates_start = False
            raise
        for candidate in self.local_candidates:
            self.on_candidate(candidate)
        for server in servers:
            if isinstance(server, TurnServer):
                self._ask(TurnServer, self._allocate(server))
            elif not self.relay_only:
                self._ask(StunServer, self._query(server))
        if not self._asked:
            self._end()

    async def gather_enough(self) -> None:
        """Return when all servers have answered or are given up; no candidate comes after that.

        They are given up after `gathering_timeout`, and shortly after one of each kind has
        answered: one answer is enough, and a dead server must not delay anything.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(self.settings.gathering_timeout):
                await self._wait_until(lambda: set(self._asked.values()) <= self._answered)
                async with asyncio.timeout(self.settings.server_grace if self._answered else 0):
                    await self._wait_until(lambda: not self._asked)
        await self.end_gathering()

    async def end_gathering(self) -> None:
        """Give up the servers that haven't answered."""
        tasks = list(self._asked)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def get_component_candidates(
        self, component: int, addresses: list[str], timeout: int = 5
    ) -> list[aioice.Candidate]:
        """Gather host candidates on those of the addresses that the settings allow."""
        if not self.relay_only:
            addresses = allowed_addresses(addresses, self.settings.interfaces)
            if self.settings.loopback_candidates and LOOPBACK not in addresses:
                addresses = [*addresses, LOOPBACK]
        if self.settings.port_range is not None:
            return await self._gather_in_range(component, addresses, self.settings.port_range)
        if is_aioices(super().get_component_candidates):
            return await self._gather_anywhere(component, addresses)
        # A program has ways of its own to open sockets.
        candidates = await super().get_component_candidates(component, addresses, timeout)
        for protocol in self.protocols:
            put_on_guard(protocol)
        return candidates

    async def gather_at(self, address: str) -> None:
        """Gather a host candidate at an address that the host didn't have before.

        Raises:
            OperationError: No port in the range of the settings is free.
            OSError: There is no such address.
        """
        if self.relay_only or self.ended:
            return
        for candidate in await self.get_component_candidates(COMPONENT, [address]):
            self.add_local_candidate(candidate)
            self.on_candidate(candidate)

    async def close(self) -> None:
        """Close the sockets. TURN servers are told in the background, by `releases`."""
        self.ended = True
        self.on_candidate = self.on_server_error = self.on_gathered = _ignore
        await self.end_gathering()
        relays = self._take_relays()
        try:
            await super().close()
        finally:
            self._release(relays)

    def abort(self) -> None:
        """Close the sockets and end all tasks at once, without waiting for that."""
        self.ended = True
        self.on_candidate = self.on_server_error = self.on_gathered = _ignore
        for task in [*self._asked, *self.running_tasks()]:
            task.cancel()
        self._release(self._take_relays())
        for protocol in self.protocols:
            protocol.transport.close()

    def _take_relays(self) -> list[Any]:
        self._relays.clear()
        relays = [p for p in self.protocols if p.local_candidate.type == "relay"]
        self.protocols = [p for p in self.protocols if p not in relays]
        return relays

    def _release(self, relays: Sequence[Any]) -> None:
        for protocol in relays:
            self.releases.begin(protocol, self.settings.release_timeout)

    def drop_socket(self, protocol: Any) -> None:
        """Use a socket no more that is gone."""
        if protocol in self.protocols:
            self.protocols.remove(protocol)
            self._relays.pop(protocol, None)
            if protocol.local_candidate.type == "relay":
                # Its allocation isn't refreshed any more.
                self.releases.begin(protocol, self.settings.release_timeout)

    # Host candidates.

    async def _gather_in_range(
        self, component: int, addresses: list[str], ports: tuple[int, int]
    ) -> list[aioice.Candidate]:
        bound = deque(sock for address in addresses if (sock := bind(address, ports)) is not None)
        if addresses and not bound:
            raise OperationError(
                f"No UDP port from {ports[0]} to {ports[1]} is free on {', '.join(addresses)}"
            )
        candidates = []
        try:
            while bound:
                candidates.append(await self._host_candidate(component, sock=bound.popleft()))
        finally:
            # Whoever is cancelled leaves those that nobody has taken yet.
            for sock in bound:
                sock.close()
        return candidates

    async def _gather_anywhere(
        self, component: int, addresses: list[str]
    ) -> list[aioice.Candidate]:
        candidates = []
        for address in addresses:
            try:
                candidate = await self._host_candidate(component, local_addr=(address, 0))
            except OSError as error:
                logger.info("No socket could be bound to %s: %s", address, error)
            else:
                candidates.append(candidate)
        return candidates

    async def _host_candidate(self, component: int, **where: Any) -> aioice.Candidate:
        transport, protocol = await open_endpoint(lambda: guarded_protocol(self), **where)
        address = transport.get_extra_info("sockname")
        candidate = host_candidate(component, address)
        protocol.local_candidate = candidate
        self.protocols.append(protocol)
        return candidate

    # Candidates of servers.

    def _ask(self, kind: type[StunServer | TurnServer], job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(job)
        self._asked[task] = kind
        task.add_done_callback(self._settled)

    def _settled(self, task: asyncio.Task[None]) -> None:
        del self._asked[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("Gathering candidates failed", exc_info=error)
        self._progress.set()
        if not self._asked:
            self._end()

    async def _wait_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._progress.clear()
            await self._progress.wait()

    def _end(self) -> None:
        self.gathered = True
        self.on_gathered()

    def _found(self, candidate: aioice.Candidate, kind: type[StunServer | TurnServer]) -> None:
        self._answered.add(kind)
        self._progress.set()
        # Several servers tell the same address.
        place = (candidate.type, candidate.host, candidate.port)
        if place not in {(c.type, c.host, c.port) for c in self.local_candidates}:
            self.add_local_candidate(candidate)
            self.on_candidate(candidate)

    async def _query(self, server: StunServer) -> None:
        """Ask a STUN server from all host candidates at once that may reach it."""
        hosts = [p for p in self.protocols if p.local_candidate.type == "host"]
        if not _is_loopback(server.address[0]):
            hosts = [p for p in hosts if not _is_loopback(p.local_candidate.host)]
        if not hosts:
            return
        try:
            families = await self._resolve(server)
        except OSError as error:
            self._report(server, error)
            return
        queries = [
            self._query_from(protocol, server, families[family])
            for protocol in hosts
            if (family := family_of(protocol.local_candidate.host)) in families
        ]
        await asyncio.gather(*queries)

    async def _resolve(self, server: StunServer | TurnServer) -> dict[int, Address]:
        async with asyncio.timeout(self.settings.server_timeout):
            return await look_up(server.address)

    async def _query_from(
        self, protocol: Any, server: StunServer, address: tuple[str, int]
    ) -> None:
        base = protocol.local_candidate
        try:
            async with asyncio.timeout(self.settings.server_timeout):
                response = await ask_for_address(protocol, address)
            mapped = response.attributes["XOR-MAPPED-ADDRESS"]
        except (stun.TransactionError, OSError, KeyError) as error:
            self._report(server, error, base)
        else:
            self._found(server_reflexive_candidate(base, mapped), StunServer)

    async def _allocate(self, server: TurnServer) -> None:
        """Ask a TURN server for relayed addresses, from wherever it may be asked."""
        try:
            addresses = await self._resolve(server)
            bases = vantage_points(addresses, self.settings)
        except OSError as error:
            self._report(server, error)
            return
        await asyncio.gather(
            *(self._allocate_from(base, server, addresses[family_of(base)]) for base in bases)
        )

    async def _allocate_from(self, base: str, server: TurnServer, address: Address) -> None:
        """Ask for a relayed address from one of ours, and check from there, too."""
        protocol = guarded_protocol(self)
        try:
            async with asyncio.timeout(self.settings.server_timeout):
                relayed, mapped = await within_quota(
                    lambda: allocate(server, address, base, self.settings, protocol),
                    lambda: self.make_room(server.address),
                )
        except (stun.TransactionError, OSError) as error:
            self._report(server, error)
            return
        related = hidden_address(relayed) if self.relay_only else mapped
        candidate = relayed_candidate(server, relayed)
        candidate.related_address, candidate.related_port = related
        protocol.local_candidate = candidate
        hear_refusals(protocol.transport, functools.partial(self._peer_refused, server, protocol))
        self.protocols.append(protocol)
        self._relays[protocol] = server.address
        self.releases.use()
        self._found(candidate, TurnServer)
        self.pair_remote_candidates()

    def relays_of(self, server: Address) -> list[Any]:
        """Return the sockets that relay by way of a server."""
        return [p for p in self.protocols if self._relays.get(p) == server]

    def _peer_refused(
        self, server: TurnServer, protocol: Any, peer: Address, error: stun.TransactionFailed
    ) -> None:
        code, text = explain(error)
        text = f"{text} ({peer[0]}:{peer[1]})"
        logger.info("The TURN server %s refuses to send: %s", server.url, text)
        self.on_server_error(RTCPeerConnectionIceErrorEvent(server.url, code, text))
        self.refuse_pairs(protocol, peer)

    def refuse_pairs(self, protocol: Any, peer: Address) -> None:
        """Let pairs fail, because a TURN server refuses to send to their remote address."""

    def _report(
        self,
        server: StunServer | TurnServer,
        error: Exception,
        base: aioice.Candidate | None = None,
    ) -> None:
        code, text = explain(error)
        self.on_server_error(
            RTCPeerConnectionIceErrorEvent(
                server.url,
                code,
                text,
                address=None if base is None else base.host,
                port=None if base is None else base.port,
            )
        )


def _ignore(*_: object) -> None:
    """Tell nobody."""


async def _make_no_room(_: Address) -> bool:
    return False


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
