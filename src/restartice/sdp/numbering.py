"""The numbers of codecs and header extensions, which must not change their meaning in a session."""

from collections.abc import Hashable, Iterator, Sequence
from typing import Final

from aiortc import RTCRtpCodecParameters
from aiortc.sdp import MediaDescription, SessionDescription

__all__ = ["Numbering"]

# Payload types that have no meaning by themselves; with RTCP on the same port those from 64 to 95
# can't be used. (RFC 3551 section 6, RFC 5761 section 4)
DYNAMIC_PAYLOAD_TYPES: Final = range(96, 128)
# What fits in the one-byte header. (RFC 8285 section 4.2)
EXTENSION_IDS: Final = range(1, 15)
RTX: Final = "rtx"


class Numbering:
    """What the payload types and header extension ids of a session stand for.

    "The mapping from a particular dynamic payload type number to a particular codec within that
    media stream MUST NOT change for the duration of a session", and in a BUNDLE group all sections
    share the numbers. aiortc numbers each offer anew, whatever was negotiated; browsers refuse
    that, or crash. (RFC 3264 section 8.3.2, RFC 9143 section 9.2, RFC 8285 section 5)
    """

    def __init__(self) -> None:
        self._payload_types = _Numbers(DYNAMIC_PAYLOAD_TYPES)
        self._extension_ids = _Numbers(EXTENSION_IDS)

    def learn(self, local: SessionDescription, remote: SessionDescription) -> None:
        """Remember what was negotiated."""
        for ours in _rtp_sections(local):
            for codec, meaning in _meanings(ours):
                self._payload_types.learn(ours.rtp.muxId, meaning, codec.payloadType)
            for extension in ours.rtp.headerExtensions:
                self._extension_ids.learn(ours.rtp.muxId, extension.uri, extension.id)
        for theirs in _rtp_sections(remote):
            self._payload_types.take(codec.payloadType for codec in theirs.rtp.codecs)
            self._extension_ids.take(extension.id for extension in theirs.rtp.headerExtensions)

    def number(self, offer: SessionDescription) -> None:
        """Let an offer say what was negotiated by the same numbers, and the new by free ones."""
        for section in _rtp_sections(offer):
            self._number_codecs(section)
            self._number_extensions(section)

    def _number_codecs(self, section: MediaDescription) -> None:
        renumbered: dict[object, int | None] = {}
        kept = []
        for codec, meaning in _meanings(section):
            base = renumbered.get(codec.parameters.get("apt"))
            number = self._payload_types.find(section.rtp.muxId, meaning, codec.payloadType)
            if number is None or (is_rtx(codec) and base is None):
                continue  # All are in use, or it was for a codec that was left out.
            renumbered[codec.payloadType] = codec.payloadType = number
            if is_rtx(codec):
                codec.parameters["apt"] = base
            kept.append(codec)
        section.rtp.codecs = kept
        section.fmt = [codec.payloadType for codec in kept]

    def _number_extensions(self, section: MediaDescription) -> None:
        kept = []
        for extension in section.rtp.headerExtensions:
            number = self._extension_ids.find(section.rtp.muxId, extension.uri, extension.id)
            if number is not None:
                extension.id = number
                kept.append(extension)
        section.rtp.headerExtensions = kept


class _Numbers:
    """Which numbers of a range stand for what, in each section, and which are taken."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers = numbers
        self._sections: dict[str, dict[Hashable, int]] = {}
        self._taken: set[int] = set()

    def learn(self, mid: str, meaning: Hashable, number: int | None) -> None:
        if number is None:
            return
        self._sections.setdefault(mid, {})[meaning] = number
        self._taken.add(number)

    def take(self, numbers: Iterator[int | None]) -> None:
        self._taken.update(number for number in numbers if number is not None)

    def find(self, mid: str, meaning: Hashable, wanted: int | None) -> int | None:
        """Return the number for that meaning in a section; a new one is taken at once."""
        if wanted not in self._numbers:
            return wanted
        sections = (self._sections.get(mid, {}), *self._sections.values())
        known = next((section[meaning] for section in sections if meaning in section), None)
        if known is None:
            free = (n for n in (wanted, *self._numbers) if n not in self._taken)
            known = next(free, None)
        if known is not None:
            self.learn(mid, meaning, known)
        return known


def is_rtx(codec: RTCRtpCodecParameters) -> bool:
    """Say if this is the retransmission of another codec. (RFC 4588 section 8.6)."""
    return codec.name.lower() == RTX


def _rtp_sections(description: SessionDescription) -> list[MediaDescription]:
    return [section for section in description.media if section.kind in {"audio", "video"}]


def _meanings(section: MediaDescription) -> list[tuple[RTCRtpCodecParameters, Hashable]]:
    """Return the codecs of a section and what each one's payload type stands for."""
    meanings: dict[object, Hashable] = {}
    for codec in section.rtp.codecs:
        if not is_rtx(codec):
            meanings[codec.payloadType] = _meaning(codec)
    return [
        (
            codec,
            (RTX, meanings.get(codec.parameters.get("apt"))) if is_rtx(codec) else _meaning(codec),
        )
        for codec in section.rtp.codecs
    ]


def _meaning(codec: RTCRtpCodecParameters) -> Hashable:
    parameters = frozenset((name, str(value)) for name, value in codec.parameters.items())
    return (codec.mimeType.lower(), codec.clockRate, codec.channels, parameters)
