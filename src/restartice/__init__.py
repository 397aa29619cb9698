"""ICE restart for aiortc."""

__version__ = "0.1.0"
