"""Follows the redirections of STUN and TURN servers."""

from typing import Final

from ...logs import ObjectLogger
from ...seam import Redirected

__all__ = ["Trail"]

# How many servers are asked at most, in case of an endless chain.
LIMIT: Final = 5


class Trail:
    """A chain of redirections, which asks no server twice. (RFC 8489 section 10).

    Args:
        address: The address of the first server.
        log: The log of the transport.
    """

    def __init__(self, address: tuple[str, int], log: ObjectLogger) -> None:
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
