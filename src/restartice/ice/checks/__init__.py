"""Connectivity checks: which pair is checked when, and which one is nominated."""
