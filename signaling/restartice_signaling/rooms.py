"""Who is in which room, and who is polite to whom."""

import itertools
import secrets
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from .errors import NoPeer, ServerError
from .messages import PeerInfo

__all__ = ["Member", "Rooms"]

Connection = TypeVar("Connection", bound=Hashable)


@dataclass(eq=False)
class Member(Generic[Connection]):
    """A peer in a room.

    Attributes:
        instance: Names one stay; a peer that comes back gets another one, so that what was meant
            for the peer before never reaches it.
        rank: Rises with each arrival. The later of two is the polite one.
    """

    connection: Connection
    room: str
    peer: str
    rank: int
    meta: Mapping[str, Any]
    instance: str = field(default_factory=lambda: secrets.token_hex(8))

    def seen_by(self, other: "Member[Connection]") -> PeerInfo:
        """Return what another member is told of this one."""
        return PeerInfo(self.peer, self.instance, other.rank > self.rank, self.meta)


class Rooms(Generic[Connection]):
    """All rooms. A room is there as long as somebody is in it."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._rooms: dict[str, dict[str, Member[Connection]]] = {}
        self._ranks = itertools.count()

    def join(
        self, connection: Connection, room: str, wanted: str | None, meta: Mapping[str, Any]
    ) -> Member[Connection]:
        """Let a peer in, under the id it wants, or under another one if that is taken.

        Raises:
            ServerError: The room is full.
        """
        members = self._rooms.get(room, {})
        if len(members) >= self._capacity:
            raise ServerError("room-full", f"the room has {self._capacity} peers already")
        free = wanted is not None and wanted not in members
        peer = wanted if free and wanted is not None else secrets.token_hex(6)
        member = Member(connection, room, peer, next(self._ranks), meta)
        self._rooms.setdefault(room, {})[peer] = member
        return member

    def leave(self, member: Member[Connection]) -> None:
        """Let a peer out."""
        members = self._rooms[member.room]
        del members[member.peer]
        if not members:
            del self._rooms[member.room]

    def others(self, member: Member[Connection]) -> list[Member[Connection]]:
        """Return all others in the same room, in order of their arrival."""
        return [other for other in self._rooms[member.room].values() if other is not member]

    def recipient(
        self, sender: Member[Connection], to: str | None, instance: str | None
    ) -> Member[Connection]:
        """Return whom a message is for. In a room of two it needs no address.

        Raises:
            NoPeer: There is no such peer, it is another instance, or several could be meant.
        """
        others = self.others(sender)
        if to is None and len(others) > 1:
            raise NoPeer("several peers are in the room, so the message needs an address")
        found = [other for other in others if to in {None, other.peer}]
        if not found or instance not in {None, found[0].instance}:
            raise NoPeer("no such peer is in the room")
        return found[0]
