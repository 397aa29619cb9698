"""Makes ICE connections as aiortc does, also where a program has replaced aioice's class."""

from typing import Any

from ..seam import new_ice_connection, on_top_of
from .connection import IceConnection
from .credentials import IceCredentials
from .gathering.context import ConnectionContext

__all__ = ["make_ice_connection"]


def make_ice_connection(
    context: ConnectionContext | None = None,
    credentials: IceCredentials | None = None,
    **arguments: Any,
) -> IceConnection:
    """Return a new connection, made the way aiortc makes it, which a program may have patched.

    Args:
        context: Its settings and collaborators.
        credentials: Its credentials; None for those in the arguments, or those that a program has
            set on aioice's connections.
        arguments: aioice's arguments.
    """
    made = new_ice_connection(arguments)
    found = IceCredentials(made.local_username, made.local_password)
    # A program may have replaced aioice's class or changed the object: extend the object's class.
    made.__class__ = on_top_of(IceConnection, type(made))  # type: ignore[arg-type]  # a class is hashable
    assert isinstance(made, IceConnection)
    made.prepare(context, credentials or found)
    return made
