"""The model of a session description: aiortc's, with more fields."""

import copy
from typing import Self

from aiortc.sdp import SessionDescription

from .section import Section

__all__ = ["Description"]


class Description(SessionDescription):
    """aiortc's description, with the fields that it lacks.

    Attributes:
        media: Its media sections.
        ice_options: The ICE options of the session level.
        unusable: The indices of sections that the peer offers but we can't use.
        group_line: The line number of the BUNDLE group, from 1, or None.
    """

    media: list[Section]  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.ice_options: str | None = None
        self.unusable: frozenset[int] = frozenset()
        self.group_line: int | None = None
        self._rendered: tuple[object, str] = None, ""

    @property
    def rejected(self) -> frozenset[int]:
        """The indices of the rejected sections."""
        return frozenset(n for n, section in enumerate(self.media) if section.is_rejected)

    def copy(self) -> Self:
        """Return a copy with the same sections."""
        copied = copy.copy(self)
        copied.media, copied.group = [*self.media], [*self.group]
        copied.__dict__["_rendered"] = None, ""
        return copied

    def __str__(self) -> str:
        text = super().__str__()
        if self.ice_options is not None:
            head, time, rest = text.partition(f"t={self.time}\r\n")
            text = f"{head}{time}a=ice-options:{self.ice_options}\r\n{rest}"
        return text

    def text_so_far(self) -> str:
        """Return the text of an applied description, which changes only by new candidates."""
        # Cached: rendering takes long, and the text is needed often.
        added = [(m.port, len(m.ice_candidates), m.ice_candidates_complete) for m in self.media]
        if self._rendered[0] != added:
            self._rendered = added, str(self)
        return self._rendered[1]
