"""The observed facts of this machine and its network."""

from dataclasses import dataclass

__all__ = ["Facts", "ServerAnswer"]


@dataclass(frozen=True)
class ServerAnswer:
    """The answer of a STUN or TURN server.

    Attributes:
        url: Its URL, as it was given.
        way: How it was asked: "udp", "tcp" or "tls".
        relays: Whether it is a TURN server.
        seconds: How long the answer took; None if there was none.
        address: The address that the server gave: how it sees this machine, or where it relays.
        port: The port of that.
        code: The error code of the server's answer, such as 401, or 701 if the server can't be
            reached.
        error: The text of the error.
        has_route: Whether this machine has a route to the server.
        accepts_tcp: Whether a server that didn't answer over UDP accepts a TCP connection; None if
            that wasn't tried.
    """

    url: str
    way: str
    relays: bool
    seconds: float | None = None
    address: str | None = None
    port: int | None = None
    code: int | None = None
    error: str | None = None
    has_route: bool = True
    accepts_tcp: bool | None = None


@dataclass(frozen=True)
class Facts:
    """The observed facts of this machine and its network.

    Attributes:
        addresses: Each address that ICE would use, with the name of its interface.
        servers: The answer of each server.
        mappings: For each local address, the addresses and ports as which STUN servers see one
            socket of it.
        observers: How many STUN servers saw that socket.
        connected: How many seconds a call inside this process took to connect; None if it didn't.
        restarted: How many seconds its ICE restart took; None if it failed.
        call_error: Why that call failed.
        resolved: How many seconds it took to resolve an mDNS name of this machine; None if that
            failed.
        mdns_error: Why that failed.
    """

    addresses: tuple[tuple[str, str], ...] = ()
    servers: tuple[ServerAnswer, ...] = ()
    mappings: tuple[tuple[str, tuple[tuple[str, int], ...]], ...] = ()
    observers: int = 0
    connected: float | None = None
    restarted: float | None = None
    call_error: str | None = None
    resolved: float | None = None
    mdns_error: str | None = None

    @property
    def maps_by_destination(self) -> bool | None:
        """Whether a NAT uses another port for each destination; None if that can't be told.

        (RFC 4787 section 4.1 calls it address-dependent mapping, and older texts a symmetric NAT.)
        """
        if any(len(seen) > 1 for _, seen in self.mappings):
            return True
        return False if self.mappings and self.observers > 1 else None

    @property
    def is_behind_nat(self) -> bool | None:
        """Whether servers see this machine at another address; None if that can't be told."""
        if not self.mappings:
            return None
        return any(seen[0] != base for base, mapped in self.mappings for seen in mapped)
