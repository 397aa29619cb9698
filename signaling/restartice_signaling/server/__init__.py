"""The signaling server."""
