"""The INIT of SCTP in descriptions, which saves the round trips of its handshake.

Each side tells in `a=sctp-init` the INIT that it would send, in Base64. If both do, the association
is established as soon as DTLS is. (draft-hancke-tsvwg-snap)
"""

from base64 import b64decode, b64encode
from struct import unpack_from
from typing import Final

from .sctp_chunks import INIT, fault_of

__all__ = ["read_init", "write_init"]

HEADER: Final = 4
# In bytes, with the parameters of today some 30.
SHORTEST, LONGEST = 20, 1024


def write_init(chunk: bytes) -> str:
    """Return what a description says of our INIT, without the padding behind it."""
    (size,) = unpack_from("!H", chunk, 2)
    return b64encode(chunk[:size]).decode("ascii")


def read_init(told: str) -> bytes | None:
    """Return the INIT in a description, or None if it isn't one that could be answered."""
    try:
        chunk = b64decode(told, validate=True)
    except ValueError:
        return None
    if not SHORTEST <= len(chunk) <= LONGEST:
        return None
    kind, flags, size = unpack_from("!BBH", chunk)
    whole = SHORTEST <= size <= len(chunk) < size + 4
    if kind != INIT or flags != 0 or not whole:
        return None
    # What comes by the network is checked like this, too, before aiortc reads it.
    return None if fault_of(INIT, chunk[HEADER:size]) else chunk[:size]
