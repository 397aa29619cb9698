"""ICE candidates with the username fragment of their generation."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import aiortc
from aiortc.rtcicetransport import RTCIceCandidate as AiortcCandidate
from aiortc.sdp import candidate_from_sdp, candidate_to_sdp

from ..exceptions import CandidateSyntaxError

__all__ = [
    "RTCIceCandidate",
    "belongs_nowhere",
    "checked",
    "end_of_candidates",
    "is_end",
    "is_unicode",
    "read_candidate",
    "with_ufrag",
]

UFRAG = re.compile(r" ufrag (\S+)")
PORTS = range(1 << 16)
# Others are ignored. (RFC 8839 section 5.1)
TYPES = frozenset({"host", "srflx", "prflx", "relay"})
COMPONENTS = range(1, 257)
PRIORITIES = range(1 << 32)
RANGES = {
    "port": PORTS,
    "component": COMPONENTS,
    "priority": PRIORITIES,
    "relatedPort": PORTS,
}
EXAMPLE = "'1 1 udp 2130706431 192.0.2.1 5000 typ host'"
TOKEN = re.compile(r"\S+")
DECIMAL = re.compile(r"[0-9]{1,10}")
NUMBERS = ("component", "port", "priority", "relatedPort")
REQUIRED = {
    "component": int,
    "foundation": str,
    "ip": str,
    "port": int,
    "priority": int,
    "protocol": str,
    "type": str,
}
OPTIONAL = {
    "relatedAddress": str,
    "relatedPort": int,
    "tcpType": str,
    "sdpMid": str,
    "sdpMLineIndex": int,
    "usernameFragment": str,
}


class _AnyCandidate(type):
    """Makes isinstance() true for aiortc's own candidates.

    So a program can check a candidate with the class of either package.
    """

    def __instancecheck__(cls, instance: object) -> bool:
        of_aiortc = cls.__base__ is AiortcCandidate and type(instance) is cls.__base__
        return of_aiortc or super().__instancecheck__(instance)


@dataclass
class RTCIceCandidate(AiortcCandidate, metaclass=_AnyCandidate):
    """aiortc's candidate, with the username fragment of its ICE generation.

    `isinstance()` accepts candidates of aiortc, too; they have no `usernameFragment`.

    Attributes:
        usernameFragment: The username fragment of its generation; None for the newest one. The
            others are aiortc's.

    Spec: https://w3c.github.io/webrtc-pc/#rtcicecandidate-interface
    """

    usernameFragment: str | None = None

    @property
    def candidate(self) -> str:
        """The value of the candidate attribute; empty for the end of candidates.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcicecandidate-candidate
        """
        if not self.type:
            return ""
        # (RFC 8839 section 5.1, RFC 8840 section 4.1)
        extension = f" ufrag {self.usernameFragment}" if self.usernameFragment else ""
        return f"candidate:{candidate_to_sdp(self)}{extension}"

    @property
    def address(self) -> str | None:
        """The IP address or host name; None for the end of candidates.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcicecandidate-address
        """
        return self.ip or None

    @classmethod
    def fromJSON(cls, init: Mapping[str, Any]) -> Self | None:
        """Read the browser's form, `{candidate, sdpMid, sdpMLineIndex, usernameFragment}`.

        Args:
            init: The browser's form; each field may be missing or None.

        Returns:
            The candidate. If `candidate` is empty, it is the end of candidates of its generation,
            or None without any field that identifies the generation.

        Raises:
            CandidateSyntaxError: The candidate is malformed, by a mistake of its sender.
            TypeError: This isn't a mapping.
            ValueError: A field has the wrong type.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcicecandidateinit
        """
        if not isinstance(init, Mapping):
            raise TypeError(f"expected a mapping, got {init!r:.80}")
        text = _typed(init, "candidate", str) or ""
        mid = _typed(init, "sdpMid", str)
        index = _typed(init, "sdpMLineIndex", int)
        ufrag = _typed(init, "usernameFragment", str)
        if not text:
            if (mid, index, ufrag) == (None,) * 3:
                return None
            return cls(**vars(end_of_candidates(ufrag, mid, index)))
        candidate = cls(**vars(with_ufrag(_parse_candidate(text), ufrag)))
        candidate.sdpMid = mid
        candidate.sdpMLineIndex = index
        return candidate

    def toJSON(self) -> dict[str, Any]:
        """Return the browser's form, `{candidate, sdpMid, sdpMLineIndex, usernameFragment}`.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcicecandidate-tojson
        """
        return {
            "candidate": self.candidate,
            "sdpMid": self.sdpMid,
            "sdpMLineIndex": self.sdpMLineIndex,
            "usernameFragment": self.usernameFragment,
        }


def with_ufrag(candidate: aiortc.RTCIceCandidate, ufrag: str | None) -> RTCIceCandidate:
    """Copy a candidate and add the username fragment, unless it has one already.

    Args:
        candidate: A candidate of this package or of aiortc.
        ufrag: The username fragment.
    """
    values = vars(candidate)
    return RTCIceCandidate(
        **{**values, "usernameFragment": values.get("usernameFragment") or ufrag}
    )


def end_of_candidates(
    ufrag: str | None, mid: str | None = None, index: int | None = None
) -> RTCIceCandidate:
    """Make the candidate that means the end of a generation's candidates.

    Args:
        ufrag: The username fragment of the generation, None for the newest.
        mid: The mid of the media section.
        index: The index of the media section.
    """
    return RTCIceCandidate(1, "", "", 0, 0, "udp", "", None, None, mid, index, None, ufrag)


def is_end(candidate: aiortc.RTCIceCandidate | None) -> bool:
    """Return whether this is the end of candidates, of all generations or of one."""
    return candidate is None or getattr(candidate, "candidate", None) == ""


def belongs_nowhere(candidate: aiortc.RTCIceCandidate | Mapping[str, Any] | None) -> bool:
    """Return whether a candidate, other than the end of candidates, has no media section."""
    if isinstance(candidate, Mapping):
        names = ("sdpMid", "sdpMLineIndex")
        return bool(candidate.get("candidate")) and all(candidate.get(n) is None for n in names)
    if candidate is None or is_end(candidate):
        return False
    return candidate.sdpMid is None and candidate.sdpMLineIndex is None


def checked(
    candidate: aiortc.RTCIceCandidate | Mapping[str, Any] | None,
) -> aiortc.RTCIceCandidate | None:
    """Check a candidate of the remote side, and return it as an object.

    Numbers may be strings of digits, because programs split the browser's text and pass the parts
    on as they are.

    Raises:
        TypeError: The argument isn't a candidate.
        ValueError: The candidate has no media section, or a field has the wrong type.
        CandidateSyntaxError: The candidate is malformed.
    """
    if not isinstance(candidate, AiortcCandidate | Mapping | None):
        raise TypeError(f"expected an RTCIceCandidate, a mapping or None, got {candidate!r}")
    if belongs_nowhere(candidate):
        raise ValueError("Candidate must have either sdpMid or sdpMLineIndex")
    if isinstance(candidate, Mapping):
        candidate = RTCIceCandidate.fromJSON(candidate)
    if candidate is None:
        return None
    candidate = _with_numbers(candidate)
    _check_fields(candidate)
    return candidate


def is_unicode(text: str) -> bool:
    """Return whether a text can be encoded; JSON may contain lone surrogates, which can't."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _with_numbers(candidate: aiortc.RTCIceCandidate) -> aiortc.RTCIceCandidate:
    """Return the candidate with its numbers as int; the same object if they are."""
    texts = {name: getattr(candidate, name, None) for name in NUMBERS}
    numbers: dict[str, Any] = {
        name: int(text)
        for name, text in texts.items()
        if isinstance(text, str) and DECIMAL.fullmatch(text)
    }
    return replace(candidate, **numbers) if numbers else candidate


def _check_fields(candidate: aiortc.RTCIceCandidate) -> None:
    fields = {name: getattr(candidate, name, None) for name in (*REQUIRED, *OPTIONAL)}
    for name, kind in OPTIONAL.items():
        _typed(fields, name, kind)
    if is_end(candidate):
        return
    for name, kind in REQUIRED.items():
        if _typed(fields, name, kind) is None:
            raise ValueError(f"a candidate must have {name}, got none")
    # A space or a line break would change the meaning of a description.
    for name, text in fields.items():
        if not isinstance(text, str) or name == "sdpMid":
            continue
        if not (TOKEN.fullmatch(text) and is_unicode(text)):
            raise CandidateSyntaxError(
                f"{name} of a candidate must be a word without white space, not {text!r}"
            )
    _check_ranges(candidate)


def _check_ranges(candidate: aiortc.RTCIceCandidate) -> None:
    # asyncio closes a socket that is asked to send to an invalid port.
    for name, allowed in RANGES.items():
        number = getattr(candidate, name)
        if number is not None and number not in allowed:
            limits = f"from {allowed[0]} to {allowed[-1]}"
            raise CandidateSyntaxError(f"{name} of a candidate must be {limits}, not {number}")


def _typed(init: Mapping[str, Any], name: str, kind: type) -> Any:
    value = init.get(name)
    if value is None or (isinstance(value, kind) and not isinstance(value, bool)):
        return value
    raise ValueError(f"{name} of a candidate must be {kind.__name__} or null, not {value!r}")


def _parse_candidate(text: str) -> RTCIceCandidate:
    value = text.removeprefix("a=").removeprefix("candidate:")
    candidate = read_candidate(value)
    match = UFRAG.search(value)
    return with_ufrag(candidate, match.group(1) if match else None)


def read_candidate(value: str) -> AiortcCandidate:
    """Read the value of a candidate attribute. (RFC 8839 section 5.1).

    Departure: the foundation may be missing, because some cameras omit it.

    Raises:
        CandidateSyntaxError: The candidate is malformed.
    """
    fields = value.split()
    if value[:1].isspace():
        # Candidates of the same type and transport are taken to have the same base.
        fields.insert(0, "".join(filter(str.isalnum, "".join(fields[1:2] + fields[6:7]))) or "0")
    try:
        candidate = candidate_from_sdp(" ".join(_with_readable_extensions(fields)))
    except (AssertionError, ValueError, IndexError):
        raise CandidateSyntaxError(f"expected a candidate like {EXAMPLE}, got {value!r}") from None
    if fields[6].lower() != "typ":
        raise CandidateSyntaxError(f"expected a candidate like {EXAMPLE}, got {value!r}")
    candidate.type = candidate.type.lower()
    _check_ranges(candidate)
    return candidate


def _with_readable_extensions(fields: list[str]) -> list[str]:
    """Leave out an invalid related port, which isn't needed."""
    for place in range(8, len(fields) - 1, 2):
        if fields[place] == "rport" and not DECIMAL.fullmatch(fields[place + 1]):
            return [*fields[:place], *fields[place + 2 :]]
    return fields
