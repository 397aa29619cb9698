"""One ICE generation's connection: aioice's, which reports instead of ending things."""

import asyncio
import random
from collections.abc import Callable
from typing import Any, Protocol

import aioice
import aioice.ice
from aioice import stun

from .credentials import IceCredentials
from .internals import AioiceConnection, CandidatePair, ice_connection_base

__all__ = ["IceConnection", "Observer", "ice_connection_class"]

COMPONENT = 1
LOOPBACK = "127.0.0.1"


class Observer(Protocol):
    """Who wants to know what happens to an IceConnection."""

    def pair_nominated(self, connection: "IceConnection") -> None:
        """A pair was nominated; there may have been another one before."""

    def consent_expired(self, connection: "IceConnection") -> None:
        """The remote side hasn't answered for too long; nothing more may be sent."""


class IceConnection(AioiceConnection):
    """aioice's connection, which hands over data, and reports its nomination and lost consent.

    It ends only by close(): neither a lost socket nor lost consent closes it.
    """

    deliver: Callable[[bytes], None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.observer: Observer | None = None
        self.heard = False
        self.given_up = False
        self.loopback_candidates = False
        self._consent_granted = 0.0
        self._consent_requests: set[asyncio.Task[None]] = set()

    @property
    def credentials(self) -> IceCredentials:
        """The local username fragment and password."""
        return IceCredentials(self.local_username, self.local_password)

    @property
    def selected_pair(self) -> CandidatePair | None:
        """The nominated pair, or None."""
        return self.nominated.get(COMPONENT)

    async def get_component_candidates(
        self, component: int, addresses: list[str], timeout: int = 5
    ) -> list[aioice.Candidate]:
        """Gather on the given addresses, and on loopback if that is wanted."""
        if self.loopback_candidates and LOOPBACK not in addresses:
            addresses = [*addresses, LOOPBACK]
        return await super().get_component_candidates(component, addresses, timeout)

    def data_received(self, data: bytes, component: int) -> None:  # noqa: ARG002  aioice's interface
        """Hand a datagram over, whichever generation it came in on."""
        self.heard = True
        self.deliver(data)

    def protocol_lost(self, protocol: object) -> None:
        """Do nothing: a socket that fails is a path that fails, and consent finds that out."""

    def check_complete(self, pair: CandidatePair) -> None:
        """Report a nomination at once, not when connect() returns up to 20 ms later."""
        before = self.selected_pair
        super().check_complete(pair)
        if self.selected_pair is not before and self.observer is not None:
            self.observer.pair_nominated(self)

    def check_incoming(
        self, message: stun.Message, addr: tuple[str, int], protocol: object
    ) -> None:
        """Answer nothing with a check of our own once the generation is given up."""
        if not self.given_up:
            super().check_incoming(message, addr, protocol)  # type: ignore[arg-type]

    def give_up(self) -> None:
        """Select no pair any more; only a restart recovers. Requests are still answered.

        Otherwise the remote side would lose its consent to send, though we can still receive.
        """
        self.given_up = True
        self.nominated.clear()
        for pair in self.check_list:
            if pair.task is not None:
                pair.task.cancel()

    async def query_consent(self) -> None:
        """Ask for consent to send until none was given for too long.

        "Consent expires after 30 seconds": here after aioice's CONSENT_FAILURES times its
        CONSENT_INTERVAL, which are read each time. (RFC 7675 section 5.1)
        """
        loop = asyncio.get_running_loop()
        self._consent_granted = loop.time()
        try:
            while (remaining := self._consent_granted + consent_lifetime() - loop.time()) > 0:
                await asyncio.sleep(min(remaining, consent_interval()))
                if (pair := self.selected_pair) is not None:
                    request = asyncio.create_task(self._request_consent(pair))
                    self._consent_requests.add(request)
                    request.add_done_callback(self._consent_requests.discard)
        finally:
            for request in self._consent_requests:
                request.cancel()
        self.give_up()
        if self.observer is not None:
            self.observer.consent_expired(self)

    async def _request_consent(self, pair: CandidatePair) -> None:
        assert self.remote_password is not None
        try:
            await pair.protocol.request(
                self.build_request(pair, nominate=False),
                pair.remote_addr,
                integrity_key=self.remote_password.encode(),
                retransmissions=0,
            )
        except (stun.TransactionError, ConnectionError):
            return
        self._consent_granted = asyncio.get_running_loop().time()

    def end_consent(self) -> None:
        """Stop asking: nothing is sent on this connection any more."""
        if self.consent_task is not None:
            self.consent_task.cancel()


def consent_lifetime() -> float:
    """Return the seconds for which a response gives consent."""
    return aioice.ice.CONSENT_FAILURES * aioice.ice.CONSENT_INTERVAL


def consent_interval() -> float:
    """Return the seconds until the next request, randomized as the RFC asks."""
    return aioice.ice.CONSENT_INTERVAL * random.uniform(0.8, 1.2)  # noqa: S311  no secret


def ice_connection_class() -> type[IceConnection]:
    """Return the class for new connections, on top of aiortc's if a program has patched that."""
    base = ice_connection_base()
    if issubclass(IceConnection, base):
        return IceConnection
    return type(IceConnection.__name__, (IceConnection, base), {})
