"""WebSocket signaling for restartice."""
