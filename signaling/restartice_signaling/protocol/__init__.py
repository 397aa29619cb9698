"""The protocol rtc-signal v1, which client and server share. It does no I/O."""
