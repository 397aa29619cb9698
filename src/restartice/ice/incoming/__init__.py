"""Filters the datagrams that arrive at the sockets of ICE."""
