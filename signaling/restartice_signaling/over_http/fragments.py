"""Fragments of SDP with what ICE needs: media type `application/trickle-ice-sdpfrag` (RFC 8840)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

__all__ = [
    "Fragment",
    "answer_again",
    "apply_fragment",
    "fragment_of",
    "ice_of",
    "read_fragment",
    "tagged_mid",
]

KEPT: Final = re.compile(r"m=|a=(group:BUNDLE |mid:|ice-|candidate:|end-of-candidates)")
CANDIDATES: Final = re.compile(r"^a=(candidate:.*|end-of-candidates)(\r?\n|$)", re.MULTILINE)
CREDENTIALS: Final = re.compile(r"^a=ice-(ufrag|pwd):(\S+)", re.MULTILINE)
# RFC 8839 section 5.4.
UFRAG: Final = re.compile(r"[A-Za-z0-9+/]{4,256}")
PWD: Final = re.compile(r"[A-Za-z0-9+/]{22,256}")


@dataclass(frozen=True)
class Fragment:
    """The content of a fragment.

    Attributes:
        ufrag: The username fragment, or "" if none is given.
        pwd: The password.
        candidates: The MID of each candidate, and the candidate as in `RTCIceCandidate.candidate`;
            or `end-of-candidates`, if there are no more.
    """

    ufrag: str
    pwd: str
    candidates: tuple[tuple[str, str], ...]


def read_fragment(text: str) -> Fragment:
    """Parse a fragment, whose sections are all in one BUNDLE group.

    Raises:
        ValueError: It is malformed.
    """
    found = {"a=ice-ufrag": "", "a=ice-pwd": "", "a=mid": ""}
    candidates = []
    for line in text.splitlines():
        if not re.match(r"[a-z]=\S", line):
            raise ValueError(f"expected a line of SDP, got {line[:80]!r}")
        name, _, value = line.partition(":")
        if name in {"a=candidate", "a=end-of-candidates"}:
            candidates.append((found["a=mid"], line[2:]))
        elif name == "a=mid" or (name in found and not found[name]):
            found[name] = value
    ufrag, pwd = found["a=ice-ufrag"], found["a=ice-pwd"]
    if (ufrag or pwd) and not (UFRAG.fullmatch(ufrag) and PWD.fullmatch(pwd)):
        raise ValueError("expected ice-ufrag and ice-pwd as in RFC 8839")
    if not (ufrag or candidates):
        raise ValueError("expected a fragment of SDP with credentials or candidates of ICE")
    return Fragment(ufrag, pwd, tuple(candidates))


def ice_of(sdp: str) -> tuple[str, str]:
    """Return username fragment and password of the section that carries the BUNDLE group."""
    found = dict(reversed(CREDENTIALS.findall("".join(_tagged(sdp)))))
    return found.get("ufrag", ""), found.get("pwd", "")


def tagged_mid(sdp: str) -> str:
    """Return the MID of the section that carries the BUNDLE group."""
    return _mid(_tagged(sdp)[1])


def fragment_of(sdp: str, candidates: Iterable[str] | None = None) -> str:
    """Return the fragment of a description: of the section that carries the BUNDLE group.

    Args:
        sdp: The description.
        candidates: The candidates to give, instead of those in the description; "" if there are no
            more.
    """
    lines = [line for line in "".join(_tagged(sdp)).splitlines() if KEPT.match(line)]
    if candidates is not None:
        lines = [line for line in lines if not CANDIDATES.match(line)]
        lines += [f"a={candidate or 'end-of-candidates'}" for candidate in candidates]
    lines.sort(key=lambda line: bool(CANDIDATES.match(line)))
    return "".join(f"{line}\r\n" for line in lines)


def apply_fragment(sdp: str, fragment: Fragment) -> str:
    """Return a description with the credentials and the candidates of a fragment."""
    new = {"ufrag": fragment.ufrag, "pwd": fragment.pwd}
    sdp = CREDENTIALS.sub(lambda found: f"a=ice-{found[1]}:{new[found[1]]}", sdp)
    head, *sections = _split(CANDIDATES.sub("", sdp))
    for number, section in enumerate(sections):
        mid = _mid(section)
        for of, candidate in fragment.candidates:
            if of == mid or (not of and number == 0):
                sections[number] += f"a={candidate}\r\n"
    return "".join([head, *sections])


def answer_again(answer: str, offer: str) -> tuple[str, bool]:
    """Answer a later offer: as before, and without what it adds.

    Returns:
        The answer, and whether the offer adds sections.
    """
    adds = False
    for section in _split(offer)[len(_split(answer)) :]:
        media, port, *rest = section.splitlines()[0].split(" ")
        answer += f"{' '.join([media, '0', *rest])}\r\na=mid:{_mid(section)}\r\na=inactive\r\n"
        adds |= port != "0" or "a=bundle-only" in section
    return answer, adds


def _split(sdp: str) -> list[str]:
    """Return the lines for all sections, and the sections."""
    return re.split(r"^(?=m=)", sdp if sdp.endswith("\n") else sdp + "\r\n", flags=re.MULTILINE)


def _mid(section: str) -> str:
    found = re.search(r"^a=mid:(\S+)", section, re.MULTILINE)
    return found[1] if found else ""


def _tagged(sdp: str) -> tuple[str, str]:
    """Return the lines for all sections, and the section that carries the BUNDLE group."""
    head, *sections = _split(sdp)
    group = re.search(r"^a=group:BUNDLE (\S+)", head, re.MULTILINE)
    tagged = [section for section in sections if group and _mid(section) == group[1]]
    return head, next(iter(tagged or sections), "")
