"""The state of a client: its messages, and the peers of its room. It does no I/O."""

from collections.abc import Mapping
from typing import Any

import aiortc

from ..errors import BadMessage
from ..protocol.decoding import decode
from ..protocol.encoding import addressed, encode
from ..protocol.fields import is_unicode
from ..protocol.ice_urls import is_ice_url
from ..protocol.messages import (
    Data,
    Heartbeat,
    Hello,
    IceServers,
    Limits,
    PeerEvent,
    PeerInfo,
    Resume,
    Signal,
    Welcome,
)
from ..protocol.reliable import Inbox, Outbox
from .events import (
    Event,
    IceServersReceived,
    PeerAway,
    PeerBack,
    PeerJoined,
    PeerLeft,
    Reconnected,
    Refused,
    event_of,
)

__all__ = ["ClientSession"]

# The size of `seq` and `ack` in a frame, in characters.
ENVELOPE = 64


class ClientSession:
    """A session in a room. If it can't be resumed, a new one takes its place.

    Raises:
        TypeError: The meta isn't JSON.
        ValueError: The server would refuse one of the values.
    """

    def __init__(self, room: str, peer: str | None, meta: Mapping[str, Any]) -> None:
        self._room = room
        self._wanted = peer
        self._meta = meta
        self._welcome: Welcome | None = None
        self.limits = Limits()
        self.heartbeat = Heartbeat()
        self.outbox = Outbox(self.limits.max_unacknowledged, self.limits.max_buffered)
        self.inbox = Inbox()
        self.peers: dict[str, PeerInfo] = {}
        self.ice_servers: tuple[aiortc.RTCIceServer, ...] = ()
        try:
            decode(encode(self.hello(None)))
        except BadMessage as error:
            raise ValueError(str(error)) from None

    @property
    def peer(self) -> str | None:
        """The id of this client, or None before the first welcome."""
        return None if self._welcome is None else self._welcome.peer

    @property
    def label(self) -> str:
        """Room and peer, for the log."""
        return f"{self._room}/{self.peer or self._wanted or '?'}"

    @property
    def resumed(self) -> bool:
        """Whether the last welcome resumed the session."""
        return self._welcome is not None and self._welcome.resumed

    def hello(self, token: str | None) -> Hello:
        """Return the first message on a new connection."""
        welcome = self._welcome
        if welcome is None:
            return Hello(self._room, peer=self._wanted, meta=self._meta, token=token)
        # If the session can't be resumed, the new one should have the same id.
        resume = Resume(welcome.session, welcome.key, self.inbox.last, self.outbox.acknowledged)
        return Hello(self._room, peer=welcome.peer, meta=self._meta, token=token, resume=resume)

    def take_welcome(self, welcome: Welcome) -> list[Event]:
        """Resume the session, or begin a new one; return the events for the application.

        Raises:
            BadMessage: The welcome resumes a session that this client doesn't have.
        """
        first = self._welcome is None
        if welcome.resumed and first:
            raise BadMessage("expected a new session, got resumed: true")
        events: list[Event] = []
        if welcome.resumed:
            self.outbox.acknowledge(welcome.last)
            events.append(Reconnected(resumed=True))
        else:
            if not first:
                events.append(Reconnected(resumed=False, unacknowledged=len(self.outbox)))
            self.outbox, self.inbox = Outbox(1, 1), Inbox()
            events += self._replace_peers(welcome.peers)
        self._welcome, self.limits = welcome, welcome.limits
        self.heartbeat = welcome.heartbeat
        self.outbox.max_count = welcome.limits.max_unacknowledged
        self.outbox.max_bytes = welcome.limits.max_buffered
        if welcome.ice is not None:
            events += [*self.check_ice(welcome.ice), self.take_ice(welcome.ice)]
        return events

    def _replace_peers(self, peers: tuple[PeerInfo, ...]) -> list[Event]:
        before, self.peers = self.peers, {info.peer: info for info in peers}
        instances = {info.instance for info in peers}
        left = [info.peer for info in before.values() if info.instance not in instances]
        known = {info.instance for info in before.values()}
        joined = [info for info in peers if info.instance not in known]
        return [
            *(PeerLeft(peer, "lost") for peer in left),
            *(PeerJoined(info.peer, info) for info in joined),
        ]

    def prepare(self, data: Data) -> str:
        """Return the text of a signal without its number and its address.

        Raises:
            ValueError: It isn't JSON, has a lone surrogate, or is larger than the server's limit.
            TypeError: It has a type that JSON doesn't have.
        """
        text = encode(Signal(0, data))
        if "\\u" in text and not is_unicode(data.to_json()):
            raise ValueError("expected Unicode text, got a lone surrogate")
        return self._check_size(text)

    def address(self, text: str, to: str, instance: str | None = None) -> str:
        """Return the text of a prepared signal with its address.

        Raises:
            ValueError: It is larger than the server's limit.
        """
        return self._check_size(addressed(text, to, instance))

    def _check_size(self, text: str) -> str:
        if len(text) + ENVELOPE > self.limits.max_message_size:
            limit = f"at most {self.limits.max_message_size} bytes"
            raise ValueError(f"expected a message of {limit}, got {len(text) + ENVELOPE}")
        return text

    def check_ice(self, ice: IceServers) -> list[Refused]:
        """Return an event for each URL that isn't the URL of a STUN or TURN server."""
        wrong = [url for server in ice.servers for url in server["urls"] if not is_ice_url(url)]
        expected = "expected the URL of a STUN or TURN server"
        return [Refused(BadMessage(f"{expected}, got {url[:100]!r}")) for url in wrong]

    def take_ice(self, ice: IceServers) -> IceServersReceived:
        """Remember the STUN and TURN servers, without the URLs that check_ice() refuses."""
        good = [(s, [url for url in s["urls"] if is_ice_url(url)]) for s in ice.servers]
        self.ice_servers = tuple(
            aiortc.RTCIceServer(
                urls=urls,
                username=server.get("username"),
                credential=server.get("credential"),
            )
            for server, urls in good
            if urls
        )
        return IceServersReceived(self.ice_servers)

    def read(self, message: Signal | PeerEvent) -> Event | None:
        """Return the event for a new message, or None if there is none.

        Raises:
            BadMessage: A peer sent a malformed candidate.
        """
        return self._note_peer(message) if isinstance(message, PeerEvent) else event_of(message)

    def _note_peer(self, event: PeerEvent) -> Event | None:
        known = self.peers.get(event.peer)
        if event.event == "left":
            if known is None or known.instance != event.instance:
                return None
            del self.peers[event.peer]
            return PeerLeft(event.peer, event.reason)
        state = "away" if event.event == "away" else "joined"
        info = PeerInfo(event.peer, event.instance, event.polite, event.meta, state)
        self.peers[event.peer] = info
        if known is None or known.instance != event.instance:
            return PeerJoined(event.peer, info)
        if known.state == state:
            return None
        return PeerAway(event.peer) if state == "away" else PeerBack(event.peer)
