"""Credentials of a TURN server that hold for some time.

The server, such as coturn with `use-auth-secret`, knows the secret and needs to be told nothing.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field

from ..protocol.ice_urls import is_ice_url
from ..protocol.messages import IceServers

__all__ = ["TurnSettings", "turn_credentials"]


@dataclass(frozen=True)
class TurnSettings:
    """Which STUN and TURN servers peers are told of.

    Attributes:
        urls: `turn:`, `turns:` and `stun:` URLs.
        secret: What is shared with the TURN server; it never leaves this one.
        lifetime: For how many seconds credentials hold.

    Raises:
        ValueError: One is no such URL, or there is a TURN server and the secret is empty.
    """

    urls: tuple[str, ...]
    secret: str = field(repr=False)
    lifetime: float = 3600.0

    def __post_init__(self) -> None:
        for url in self.urls:
            if not is_ice_url(url):
                raise ValueError(f"{url!r} must be a URL such as turn:turn.example.org")
        turn = [url for url in self.urls if not _is_stun(url)]
        if turn and not self.secret.strip():
            raise ValueError(f"{turn[0]} needs the secret that it has")

    def servers_for(self, peer: str, now: float) -> IceServers:
        """Return the servers with credentials of a peer.

        Args:
            peer: Its id in the room.
            now: The Unix time.
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
    # SHA-1 is what TURN servers expect here.
    digest = hmac.digest(secret.encode(), username.encode(), hashlib.sha1)
    return username, base64.b64encode(digest).decode()
