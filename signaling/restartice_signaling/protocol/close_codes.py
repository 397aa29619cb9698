"""The codes with which WebSocket connections of the protocol are closed."""

from typing import Final

__all__ = [
    "CLOSE_AUTH",
    "CLOSE_BYE",
    "CLOSE_GOING_AWAY",
    "CLOSE_PROTOCOL",
    "CLOSE_REPLACED",
    "CLOSE_ROOM_FULL",
    "CLOSE_TOO_LARGE",
    "CLOSE_TOO_SLOW",
    "CLOSE_TRY_LATER",
    "FINAL_CODES",
]

CLOSE_BYE: Final = 1000
CLOSE_GOING_AWAY: Final = 1001
CLOSE_TOO_LARGE: Final = 1009
CLOSE_TRY_LATER: Final = 1013
CLOSE_PROTOCOL: Final = 4000
CLOSE_REPLACED: Final = 4001
CLOSE_AUTH: Final = 4003
# The client sends too much, or too fast, or nothing for too long, or doesn't read.
CLOSE_TOO_SLOW: Final = 4008
CLOSE_ROOM_FULL: Final = 4009

# After these a client doesn't reconnect: it would be closed again, or would replace the connection
# that has replaced it.
FINAL_CODES: Final = frozenset({CLOSE_PROTOCOL, CLOSE_REPLACED, CLOSE_AUTH, CLOSE_ROOM_FULL})
