"""Parses, checks and writes session descriptions."""
