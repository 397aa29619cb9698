"""Gathers local candidates: addresses of this host, and of STUN and TURN servers."""
