"""Records what happens to connections, in the format of Chromium's webrtc-internals dump."""

from .recorder import Recorder

__all__ = ["Recorder"]
