"""Follows the redirections of STUN and TURN servers."""

import ipaddress
from typing import Final

from ...logs import ObjectLogger
from ...seam import Redirected

__all__ = ["Trail"]

# How many servers are asked at most, in case of an endless chain.
LIMIT: Final = 5
THIS_NETWORK: Final = ipaddress.ip_network("0.0.0.0/8")


class Trail:
    """A chain of redirections, which asks no server twice. (RFC 8489 section 10).

    Args:
        address: The address of the first server.
        log: The log of the transport.

    Raises:
        OSError: No host has this address.
    """

    def __init__(self, address: tuple[str, int], log: ObjectLogger) -> None:
        if not _can_be_a_host(address[0]):
            raise OSError(f"{address[0]} isn't the address of a host")
        self.log = log
        self.address = address
        self.domain: str | None = None
        self._asked = {address}

    def follow(self, hint: Redirected) -> None:
        """Go on to the next server.

        Raises:
            Redirected: The server was asked before, is one too many, or has an address of another
                family.
        """
        same_family = (":" in hint.address[0]) == (":" in self.address[0])
        if hint.address in self._asked or len(self._asked) == LIMIT or not same_family:
            raise hint
        self.log.info("the server at %s:%d redirects us to %s:%d", *self.address, *hint.address)
        self._asked.add(hint.address)
        self.address, self.domain = hint.address, hint.domain or self.domain


def _can_be_a_host(text: str) -> bool:
    """Return whether one host can have an address, and answer.

    A number in place of a name is an address, too: 123 is 0.0.0.123, of the network 0.0.0.0/8, that
    has no hosts. (RFC 6890 section 2.2.2)
    """
    address = ipaddress.ip_address(text)
    nowhere = address in THIS_NETWORK and not address.is_unspecified
    return not (nowhere or address.is_multicast)
