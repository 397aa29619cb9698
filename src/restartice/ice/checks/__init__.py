"""Connectivity checks: their order, their times, and the nomination."""
