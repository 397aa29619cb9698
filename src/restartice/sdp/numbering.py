"""Keeps the payload types and header extension ids of a session stable."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Final, Self

from aiortc import RTCRtpCodecParameters
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters
from aiortc.sdp import MediaDescription, SessionDescription

__all__ = ["RID", "Numbering"]

# The dynamic payload types, except those that RTCP on the same port makes unusable. (RFC 3551
# section 6, RFC 5761 section 4)
DYNAMIC_PAYLOAD_TYPES: Final = range(96, 128)
# The ids that fit in the one-byte header. (RFC 8285 section 4.2)
EXTENSION_IDS: Final = range(1, 15)
RTX: Final = "rtx"
# The ids in a first offer. No browser uses them for another extension. Chromium remembers the ids
# of its own rolled-back offer, and refuses its next offer if ours gave them another meaning.
EXTENSIONS: Final[Mapping[str, int]] = {
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time": 2,
    "urn:ietf:params:rtp-hdrext:sdes:mid": 9,
    "urn:ietf:params:rtp-hdrext:ssrc-audio-level": 12,
}
# The extensions that name the encodings of a simulcast. We don't offer them, but keep them in
# sections that got them from an offer, or else Chromium refuses its own next offer of a simulcast.
RID: Final = (
    "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
    "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
)


class Numbering:
    """The meanings of the payload types and header extension ids of a session.

    "The mapping from a particular dynamic payload type number to a particular codec within that
    media stream MUST NOT change for the duration of a session." All sections of a BUNDLE group
    share the numbers. aiortc numbers each offer from scratch, so its numbers change, and browsers
    refuse that, or crash. (RFC 3264 section 8.3.2, RFC 9143 section 9.2, RFC 8285 section 5)
    """

    def __init__(self) -> None:
        self._payload_types = _Numbers(DYNAMIC_PAYLOAD_TYPES)
        self._extension_ids = _Numbers(EXTENSION_IDS)

    def learn(self, local: SessionDescription, remote: SessionDescription) -> None:
        """Remember the numbers of a negotiation."""
        for ours in _rtp_sections(local):
            for codec, meaning in _meanings(ours):
                self._payload_types.learn(ours.rtp.muxId, meaning, codec.payloadType)
            for extension in ours.rtp.headerExtensions:
                self._extension_ids.learn(ours.rtp.muxId, extension.uri, extension.id)
        for theirs in _rtp_sections(remote):
            self._payload_types.take(codec.payloadType for codec in theirs.rtp.codecs)
            self._extension_ids.take(extension.id for extension in theirs.rtp.headerExtensions)

    def number(self, offer: SessionDescription) -> None:
        """Renumber an offer: keep the negotiated numbers, and use free ones for the rest.

        The new numbers are remembered only by learn(), as the offer may be rolled back.
        """
        payload_types, extension_ids = self._payload_types.copy(), self._extension_ids.copy()
        for section in _rtp_sections(offer):
            _number_codecs(section, payload_types)
            _number_extensions(section, extension_ids)


def _number_codecs(section: MediaDescription, numbers: "_Numbers") -> None:
    renumbered: dict[object, int | None] = {}
    kept = []
    for codec, meaning in _meanings(section):
        base = renumbered.get(codec.parameters.get("apt"))
        number = numbers.find(section.rtp.muxId, meaning, codec.payloadType)
        if number is None or (is_rtx(codec) and base is None):
            continue  # no number is free, or this is the RTX of an omitted codec
        renumbered[codec.payloadType] = codec.payloadType = number
        if is_rtx(codec):
            codec.parameters["apt"] = base
        kept.append(codec)
    section.rtp.codecs = kept
    section.fmt = [codec.payloadType for codec in kept]


def _number_extensions(section: MediaDescription, numbers: "_Numbers") -> None:
    kept = []
    for extension in section.rtp.headerExtensions:
        wanted = EXTENSIONS.get(extension.uri, extension.id)
        number = numbers.find(section.rtp.muxId, extension.uri, wanted)
        if number is not None:
            extension.id = number
            kept.append(extension)
    told = {extension.uri for extension in kept}
    for uri in RID:
        number = numbers.negotiated(section.rtp.muxId, uri)
        if number is not None and uri not in told:
            kept.append(RTCRtpHeaderExtensionParameters(number, uri))
    section.rtp.headerExtensions = kept


class _Numbers:
    """The meanings of a range of numbers, in each section, and which numbers are taken."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers = numbers
        self._sections: dict[str, dict[Hashable, int]] = {}
        self._taken: set[int] = set()

    def copy(self) -> Self:
        copied = type(self)(self._numbers)
        copied._sections = {mid: {**numbers} for mid, numbers in self._sections.items()}  # noqa: SLF001
        copied._taken = {*self._taken}  # noqa: SLF001
        return copied

    def learn(self, mid: str, meaning: Hashable, number: int | None) -> None:
        if number is None:
            return
        self._sections.setdefault(mid, {})[meaning] = number
        self._taken.add(number)

    def take(self, numbers: Iterator[int | None]) -> None:
        self._taken.update(number for number in numbers if number is not None)

    def negotiated(self, mid: str, meaning: Hashable) -> int | None:
        return self._sections.get(mid, {}).get(meaning)

    def find(self, mid: str, meaning: Hashable, wanted: int | None) -> int | None:
        """Return the number of a meaning in a section; if it is new, take a free number.

        A wanted number outside the range, such as a static payload type, is kept. None if no number
        is free.
        """
        if wanted not in self._numbers:
            return wanted
        own = self._sections.get(mid, {})
        negotiated = (s[meaning] for s in (own, *self._sections.values()) if meaning in s)
        # Sections that aren't bundled may have other numbers.
        used = {number for known, number in own.items() if known != meaning}
        known = next((number for number in negotiated if number not in used), None)
        if known is None:
            free = (n for n in (wanted, *self._numbers) if n not in self._taken)
            known = next(free, None)
        if known is not None:
            self.learn(mid, meaning, known)
        return known


def is_rtx(codec: RTCRtpCodecParameters) -> bool:
    """Return whether this is RTX, for another codec. (RFC 4588 section 8.6)."""
    return codec.name.lower() == RTX


def _rtp_sections(description: SessionDescription) -> list[MediaDescription]:
    return [section for section in description.media if section.kind in {"audio", "video"}]


def _meanings(section: MediaDescription) -> list[tuple[RTCRtpCodecParameters, Hashable]]:
    """Return the codecs of a section, each with a value that identifies its meaning."""
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
