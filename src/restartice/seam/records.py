"""Encrypts and decrypts records of DTLS, with fewer calls for each than pyOpenSSL makes."""

from typing import Any, Final

from OpenSSL import SSL

__all__ = ["LONGEST_RECORD", "Records"]

# How many bytes a datagram has at most.
LONGEST_RECORD: Final = 1500

_ffi: Any = getattr(SSL, "_ffi", None)
_lib: Any = getattr(SSL, "_lib", None)
# Which names of OpenSSL's, and of a connection's, are used if they are all there.
FUNCTIONS: Final = ("BIO_read", "BIO_write", "SSL_read", "SSL_write")
ATTRIBUTES: Final = ("_into_ssl", "_from_ssl", "_ssl")


class Records:
    """The records of a connection of pyOpenSSL's whose handshake is complete.

    What OpenSSL doesn't do at once is done by pyOpenSSL's methods, which raise what is wrong. So is
    everything if this version of pyOpenSSL has other names than those that are used here.
    """

    def __init__(self, tls: SSL.Connection) -> None:
        self.tls = tls
        parts = [getattr(tls, name, None) for name in ATTRIBUTES]
        self.incoming, self.outgoing, self.ssl = parts
        known = None not in parts and all(hasattr(_lib, name) for name in FUNCTIONS)
        self.buffer = _ffi.new("char[]", LONGEST_RECORD) if known and _ffi is not None else None

    def encrypt(self, data: bytes) -> bytes:
        """Return a record with data.

        Raises:
            SSL.Error: DTLS has ended, or failed.
        """
        buffer, size = self.buffer, 0
        if buffer is None or _lib.SSL_write(self.ssl, data, len(data)) <= 0:
            self.tls.send(data)
        else:
            size = _lib.BIO_read(self.outgoing, buffer, LONGEST_RECORD)
        record: bytes
        record = _ffi.buffer(buffer, size)[:] if size > 0 else self.tls.bio_read(LONGEST_RECORD)
        return record

    def decrypt(self, datagram: bytes) -> bytes:
        """Return the data of a datagram.

        Raises:
            SSL.Error: There is none; it may have been something else, or have ended DTLS.
        """
        buffer, size = self.buffer, 0
        if buffer is None:
            self.tls.bio_write(datagram)
        else:
            _lib.BIO_write(self.incoming, datagram, len(datagram))
            size = _lib.SSL_read(self.ssl, buffer, LONGEST_RECORD)
        data: bytes = _ffi.buffer(buffer, size)[:] if size > 0 else self.tls.recv(LONGEST_RECORD)
        return data
