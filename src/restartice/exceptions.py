"""The one exception of the specification that aiortc doesn't have."""

__all__ = ["InvalidModificationError"]


class InvalidModificationError(Exception):
    """A description, or a configuration, was changed in a way that isn't allowed.

    The caller's mistake. Spec: https://webidl.spec.whatwg.org/#invalidmodificationerror
    """
