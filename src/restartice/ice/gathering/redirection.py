"""Following STUN and TURN servers that name another one to ask."""

import logging
from typing import Final

from ...seam import Redirected

__all__ = ["Trail"]

# How many servers are asked in turn, so that an endless chain of them has an end.
LIMIT: Final = 5

logger = logging.getLogger(__name__)


class Trail:
    """The way from one server to the next, which never leads back. (RFC 8489 section 10).

    Args:
        address: Where the first server is.
    """

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.domain: str | None = None
        self._asked = {address}

    def follow(self, hint: Redirected) -> None:
        """Go on to the server that the latest one has named.

        Raises:
            Redirected: That one was asked before, is one too many, or can't be reached from the
                same address, as it is of another family.
        """
        same_family = (":" in hint.address[0]) == (":" in self.address[0])
        if hint.address in self._asked or len(self._asked) == LIMIT or not same_family:
            raise hint
        logger.info("The server at %s:%d sends us to %s:%d", *self.address, *hint.address)
        self._asked.add(hint.address)
        self.address, self.domain = hint.address, hint.domain or self.domain
