"""The model of a session description: aiortc's, and what that has no place for."""

import copy
from typing import Self

from aiortc.sdp import SessionDescription

from .section import Section

__all__ = ["Description"]


class Description(SessionDescription):
    """aiortc's description, with what that has no place for.

    Attributes:
        media: Its media sections.
        ice_options: The ICE options of the session level.
        unusable: The places of the sections that only we don't accept.
    """

    media: list[Section]  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.ice_options: str | None = None
        self.unusable: frozenset[int] = frozenset()
        self._rendered: tuple[object, str] = None, ""

    @property
    def rejected(self) -> frozenset[int]:
        """The places of the sections that are rejected."""
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
        """Return the text of a description that was applied, to which only candidates are added."""
        # Programs and ourselves ask for it again and again, and rendering takes long.
        added = [(m.port, len(m.ice_candidates), m.ice_candidates_complete) for m in self.media]
        if self._rendered[0] != added:
            self._rendered = added, str(self)
        return self._rendered[1]
