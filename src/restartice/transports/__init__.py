"""What media sections ride on: DTLS, SCTP, and their BUNDLE group."""
