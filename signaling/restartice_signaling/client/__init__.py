"""The signaling client: a session that outlives its connections to the server."""
