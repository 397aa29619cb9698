"""The corpus of descriptions in `data/descriptions`, in the shapes of real devices and servers."""

import hashlib
import re
import string
import tomllib
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "data" / "descriptions"
RTPMAP = re.compile(r"^a=rtpmap:(\d+) (\w+)/", re.MULTILINE)
FMTP = re.compile(r"^a=fmtp:(\d+) (.*?)\r?$", re.MULTILINE)
HASHES = {"fingerprint": "sha256", "sha1": "sha1", "sha224": "sha224", "sha512": "sha512"}
BASELINE = "42e01f"
# What a description is answered with, or answers, where no offer tells other payload types.
PAYLOAD_TYPES = {"opus": 96, "vp8": 97, "h264": 99}


@dataclass(frozen=True)
class Entry:
    """A description of the corpus.

    Attributes:
        kind: "offer" or "answer".
        name: What it is called.
        product: Which product writes such ones.
        special: What is remarkable.
        source: Where that is known from.
        text: The text, with places to be filled in.
        offered: What an answer answers: the kinds of its sections, with directions.
        unlike_chromium: Why we refuse or reject what Chromium takes, or nothing.
    """

    kind: str
    name: str
    product: str
    special: str
    source: str
    text: str
    offered: tuple[str, ...] = ()
    unlike_chromium: str = ""

    def sdp(self, offer: str = "") -> str:
        """Return the SDP; that of an answer has the payload types of the offer."""
        seed = self.name.encode()
        values: dict[str, object] = {name: _digest(kind, seed) for name, kind in HASHES.items()}
        values["ufrag"] = hashlib.sha256(b"ufrag" + seed).hexdigest()[:8]
        values["pwd"] = hashlib.sha256(b"pwd" + seed).hexdigest()[:24]
        values |= PAYLOAD_TYPES | _payload_types(offer)
        lines = string.Template(self.text.strip("\n")).substitute(values).split("\n")
        return "".join(f"{line}\r\n" for line in lines)


def _digest(kind: str, seed: bytes) -> str:
    """Return a fingerprint that is no certificate's."""
    return bytes.hex(hashlib.new(kind, seed).digest(), ":").upper()


def _payload_types(offer: str) -> dict[str, object]:
    """Return those that an answer uses; of H.264, that of the constrained baseline profile."""
    found: dict[str, object] = {}
    baseline = {
        number
        for number, parameters in FMTP.findall(offer)
        if BASELINE in parameters.lower() and "packetization-mode=1" in parameters
    }
    for number, name in RTPMAP.findall(offer):
        if name.lower() != "h264" or number in baseline:
            found.setdefault(name.lower(), number)
    return found


def offers() -> list[Entry]:
    """Return the offers of the corpus."""
    return _read("offer")


def answers() -> list[Entry]:
    """Return the answers of the corpus."""
    return _read("answer")


def texts(kind: str) -> list[str]:
    """Return the SDP of all offers, or answers, with that of the files beside the corpus."""
    files = [path.read_bytes().decode() for path in sorted(FOLDER.glob("*.sdp"))]
    return [*(files if kind == "offer" else []), *(entry.sdp() for entry in _read(kind))]


def _read(kind: str) -> list[Entry]:
    content = tomllib.loads((FOLDER / f"{kind}s.toml").read_text(encoding="utf-8"))
    return [
        Entry(
            kind,
            **{key: values[key] for key in ("name", "product", "special", "source")},
            text=values["sdp"],
            offered=tuple(values.get("offered", ())),
            unlike_chromium=values.get("unlike_chromium", ""),
        )
        for values in content[kind]
    ]
