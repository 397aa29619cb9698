"""The transports of media sections: DTLS, SCTP and the BUNDLE group."""
