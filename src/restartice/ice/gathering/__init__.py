"""Gathering local candidates: addresses of this host, STUN and TURN servers."""
