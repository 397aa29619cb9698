"""TURN credentials that expire.

The TURN server, such as coturn with `use-auth-secret`, checks them with a shared secret.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Annotated

from ..protocol.ice_urls import is_ice_url
from ..protocol.messages import IceServers
from ..protocol.setting import check_numbers

__all__ = ["TurnSettings", "turn_credentials"]


@dataclass(frozen=True)
class TurnSettings:
    """The STUN and TURN servers that the welcome tells to clients. Times are in seconds.

    Attributes:
        urls: Their `turn:`, `turns:` and `stun:` URLs.
        secret: The secret that is shared with the TURN servers. Peers never see it.
        lifetime: How long TURN credentials are valid.

    Raises:
        ValueError: A URL isn't the URL of a STUN or TURN server, a TURN server has no secret, or
            the lifetime isn't a positive number.
    """

    urls: tuple[str, ...]
    secret: str = field(repr=False)
    lifetime: Annotated[float, "s"] = 3600.0

    def __post_init__(self) -> None:
        check_numbers(self)
        for url in self.urls:
            if not is_ice_url(url):
                raise ValueError(
                    f"each of urls must be a URL such as turn:turn.example.org, not {url!r}"
                )
        turn = [url for url in self.urls if not _is_stun(url)]
        if turn and not self.secret.strip():
            raise ValueError(f"secret must be the secret of {turn[0]}, not empty")

    def servers_for(self, peer: str, now: float) -> IceServers:
        """Return the servers with credentials for a peer.

        Args:
            peer: The id of the peer in its room.
            now: The Unix time, in seconds.
        """
        expire = int(now + self.lifetime)
        username, credential = turn_credentials(self.secret, peer, expire)
        turn = [url for url in self.urls if not _is_stun(url)]
        stun = [url for url in self.urls if _is_stun(url)]
        servers: list[dict[str, object]] = [{"urls": stun}] if stun else []
        if turn:
            servers.append({"urls": turn, "username": username, "credential": credential})
        return IceServers(tuple(servers), expire if turn else None)


def _is_stun(url: str) -> bool:
    return url.lower().startswith("stun")


def turn_credentials(secret: str, peer: str, expire: int) -> tuple[str, str]:
    """Return the user name and the credential of a peer until a Unix time."""
    username = f"{expire}:{peer}"
    # TURN servers expect SHA-1 here.
    digest = hmac.digest(secret.encode(), username.encode(), hashlib.sha1)
    return username, base64.b64encode(digest).decode()
