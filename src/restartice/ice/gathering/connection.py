"""Gathers the candidates of a generation: host candidates at once, others as servers answer."""

import asyncio
import functools
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import aioice
import aioice.ice
from aioice import stun
from aiortc.exceptions import OperationError

from ...seam import AioiceConnection, hear_refusals, is_aioices
from ..incoming.guarded_socket import Gate, guarded_protocol, put_on_guard
from .candidates import host_candidate, relayed_candidate, server_reflexive_candidate
from .context import ConnectionContext, Observer, Owner, stand_alone
from .endpoints import Address, bind, family_of, is_loopback, open_endpoint
from .interfaces import allowed_addresses
from .known_servers import KNOWN_SERVERS, Verdict
from .lookups import look_up
from .pending import PendingServers
from .queries import ask_for_address, explain, within_quota
from .servers import RTCPeerConnectionIceErrorEvent, StunServer, TurnServer
from .turn import allocate, hidden_address, vantage_points

__all__ = ["GatheringConnection"]

COMPONENT: Final = 1
LOOPBACK: Final = "127.0.0.1"


class GatheringConnection(AioiceConnection):
    """aioice's connection, which asks any number of servers and reports each candidate when found.

    Late candidates join the checks in progress, which run until a pair is nominated.
    """

    def __init__(self, *args: Any, context: ConnectionContext | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.prepare(context)

    def prepare(self, context: ConnectionContext | None = None) -> None:
        """Add the attributes that aioice's connection lacks.

        Args:
            context: Its settings and collaborators; None for a connection of its own.
        """
        super().prepare()
        if context is None:
            context = stand_alone(type(self).__name__)
        self.context = context
        self.settings = context.settings
        self.log = context.log
        self.releases = context.releases
        self.gate = Gate(context.discards)
        self.gathered = False
        self.ended = False
        self._on_candidate: Callable[[aioice.Candidate], None] = _ignore
        self._relays: dict[Any, Address] = {}
        self._pending = PendingServers(self.settings, self.log, self._end)

    async def begin_gathering(
        self,
        servers: Sequence[StunServer | TurnServer],
        on_candidate: Callable[[aioice.Candidate], None] = lambda _: None,
    ) -> None:
        """Gather host candidates, and ask the servers without waiting for their answers.

        Args:
            servers: The servers to ask.
            on_candidate: Called with each candidate when it is found, until the connection closes.

        Raises:
            OperationError: No port in the range of the settings is free.
        """
        self._on_candidate = on_candidate
        self.context.siblings.add(self)
        # We ask the servers ourselves, not aioice.
        self.stun_server = self.turn_server = None
        try:
            await super().gather_candidates()
        except BaseException:
            self.local_candidates_start = False
            raise
        for candidate in self.local_candidates:
            self._on_candidate(candidate)
        for server in servers:
            if isinstance(server, TurnServer):
                self._pending.ask(server, self._allocate(server))
            elif not self.relay_only:
                self._pending.ask(server, self._query(server))
        if not self._pending:
            self._end()

    async def gather_enough(self) -> None:
        """Return when enough servers have answered. No candidate comes after that."""
        await self._pending.wait(self._network)

    async def get_component_candidates(
        self, component: int, addresses: list[str], timeout: int = 5
    ) -> list[aioice.Candidate]:
        """Gather host candidates on the addresses that the settings allow."""
        if not self.relay_only:
            addresses = allowed_addresses(addresses, self.settings.interfaces)
            if self.settings.loopback_candidates and LOOPBACK not in addresses:
                addresses = [*addresses, LOOPBACK]
        if self.settings.port_range is not None:
            return await self._gather_in_range(component, addresses, self.settings.port_range)
        if is_aioices(super().get_component_candidates):
            return await self._gather_anywhere(component, addresses)
        # The program has replaced aioice's method with its own.
        candidates = await super().get_component_candidates(component, addresses, timeout)
        for protocol in self.protocols:
            put_on_guard(protocol)
        return candidates

    async def gather_at(self, address: str) -> None:
        """Gather a host candidate on a new address of the host.

        Raises:
            OperationError: No port in the range of the settings is free.
            OSError: The host doesn't have the address.
        """
        if self.relay_only or self.ended:
            return
        for candidate in await self.get_component_candidates(COMPONENT, [address]):
            self.add_local_candidate(candidate)
            self._on_candidate(candidate)

    async def open_port(self, address: str) -> Any:
        """Open one more socket on an address of the host, whose candidate isn't reported.

        Raises:
            OperationError: No port in the range of the settings is free.
            OSError: The host doesn't have the address.
        """
        if self.relay_only or self.ended:
            return None
        candidates = await self.get_component_candidates(COMPONENT, [address])
        return next((p for p in self.protocols if p.local_candidate in candidates), None)

    async def close(self) -> None:
        """Close the sockets. `releases` releases TURN allocations in the background."""
        self._stop_reporting()
        await self._pending.give_up()
        relays = self._take_relays()
        try:
            await super().close()
        finally:
            self._release(relays)

    def abort(self) -> None:
        """Close the sockets and cancel all tasks, without waiting."""
        self._stop_reporting()
        self._pending.cancel()
        for task in self.running_tasks():
            task.cancel()
        self._release(self._take_relays())
        for protocol in self.protocols:
            protocol.transport.close()

    def _stop_reporting(self) -> None:
        self.ended = True
        self._on_candidate = _ignore

    def _take_relays(self) -> list[Any]:
        self._relays.clear()
        relays = [p for p in self.protocols if p.local_candidate.type == "relay"]
        self.protocols = [p for p in self.protocols if p not in relays]
        return relays

    def _release(self, relays: Sequence[Any]) -> None:
        for protocol in relays:
            self.releases.begin(protocol, self.settings.release_timeout)

    def drop_socket(self, protocol: Any) -> None:
        """Stop using a socket that has been closed."""
        if protocol in self.protocols:
            self.protocols.remove(protocol)
            self._relays.pop(protocol, None)
            if protocol.local_candidate.type == "relay":
                # Nothing refreshes its allocation any more, so release it.
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
            # After a cancellation, close the sockets that aren't in use yet.
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
                self.log.info("no socket could be bound to %s: %s", address, error)
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

    def _end(self) -> None:
        self.gathered = True
        if (owner := self.owner()) is not None:
            owner.gathering_ended()

    def owner(self) -> Owner | None:
        """Return the owner to report to, unless this has ended or the owner is gone."""
        return None if self.ended else self.context.owner()

    def observer(self) -> Observer | None:
        """Return the observer, unless it is gone. This connection doesn't keep it alive."""
        owner = self.context.owner()
        return None if owner is None else owner.observer

    def _found(self, candidate: aioice.Candidate, server: StunServer | TurnServer) -> None:
        self._pending.answered(server)
        # Several servers may report the same address.
        place = (candidate.type, candidate.host, candidate.port)
        if place not in {(c.type, c.host, c.port) for c in self.local_candidates}:
            self.add_local_candidate(candidate)
            self._on_candidate(candidate)

    async def _query(self, server: StunServer) -> None:
        """Ask a STUN server from all host candidates that may reach it, at the same time."""
        hosts = [p for p in self.protocols if p.local_candidate.type == "host"]
        if not is_loopback(server.address[0]):
            hosts = [p for p in hosts if not is_loopback(p.local_candidate.host)]
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
        direct = await asyncio.gather(*queries)
        if direct and all(direct):
            KNOWN_SERVERS.note(server.address, self._network, Verdict.NO_NAT, time.monotonic())

    @property
    def _network(self) -> frozenset[str]:
        """The addresses of this host that STUN servers are asked from."""
        hosts = (p.local_candidate for p in self.protocols if p.local_candidate.type == "host")
        return frozenset(candidate.host for candidate in hosts)

    async def _resolve(self, server: StunServer | TurnServer) -> dict[int, Address]:
        async with asyncio.timeout(self.settings.server_timeout):
            return await look_up(server.address)

    async def _query_from(
        self, protocol: Any, server: StunServer, address: tuple[str, int]
    ) -> bool:
        """Ask a STUN server from a socket; return whether it sees the socket's own address."""
        base = protocol.local_candidate
        try:
            async with asyncio.timeout(self.settings.server_timeout):
                response = await ask_for_address(protocol, address, self.log)
            mapped = response.attributes["XOR-MAPPED-ADDRESS"]
        except (stun.TransactionError, OSError, KeyError) as error:
            self._report(server, error, (base.host, base.port))
            return False
        KNOWN_SERVERS.forget(server.address, self._network)
        self._found(server_reflexive_candidate(base, mapped), server)
        return bool(mapped == (base.host, base.port))

    async def _allocate(self, server: TurnServer) -> None:
        """Ask a TURN server for relayed addresses, from each local address that can reach it."""
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
        """Ask for a relayed address from a local address, and add its candidate."""
        protocol: Any = guarded_protocol(self)
        protocol.base = base
        try:
            async with asyncio.timeout(self.settings.server_timeout):
                relayed, mapped = await within_quota(
                    lambda: allocate(server, address, base, self.settings, protocol, log=self.log),
                    lambda: self._make_room(server.address),
                )
        except (stun.TransactionError, OSError) as error:
            # "If the address isn't exposed as part of a local candidate, it's null."
            self._report(server, error, None if self.relay_only else (base, None))
            return
        related = hidden_address(relayed) if self.relay_only else mapped
        candidate = relayed_candidate(server, relayed)
        candidate.related_address, candidate.related_port = related
        protocol.local_candidate = candidate
        hear_refusals(protocol.transport, functools.partial(self._peer_refused, server, protocol))
        self.protocols.append(protocol)
        self._relays[protocol] = server.address
        self.releases.use()
        self._found(candidate, server)
        self.pair_remote_candidates()

    async def _make_room(self, server: Address) -> bool:
        """Let another connection release an allocation; return whether there was one."""
        observer = self.observer()
        return observer is not None and await observer.make_room(self, server)

    def relays_of(self, server: Address) -> list[Any]:
        """Return the sockets with an allocation at a server."""
        return [p for p in self.protocols if self._relays.get(p) == server]

    def _peer_refused(
        self, server: TurnServer, protocol: Any, peer: Address, error: stun.TransactionFailed
    ) -> None:
        code, text = explain(error)
        text = f"{text} ({peer[0]}:{peer[1]})"
        self.log.info("the TURN server %s refuses to send: %s", server.url, text)
        self._tell_error(RTCPeerConnectionIceErrorEvent(server.url, code, text))
        self.refuse_pairs(protocol, peer)

    def refuse_pairs(self, protocol: Any, peer: Address) -> None:
        """Fail pairs whose remote address the TURN server refuses to send to."""

    def _tell_error(self, error: RTCPeerConnectionIceErrorEvent) -> None:
        if (owner := self.owner()) is not None:
            owner.server_failed(error)

    def _report(
        self,
        server: StunServer | TurnServer,
        error: Exception,
        base: tuple[str, int | None] | None = None,
    ) -> None:
        code, text = explain(error)
        address, port = base or (None, None)
        self._tell_error(RTCPeerConnectionIceErrorEvent(server.url, code, text, address, port))


def _ignore(*_: object) -> None:
    """Do nothing."""
