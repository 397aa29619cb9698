"""Transceivers, senders, receivers, tracks and streams."""
