"""The peers, how each is started, and what each of them is known not to do."""

import shutil
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent

# What a peer makes of an offer that restarts ICE.
FOLLOWS, IGNORES, REFUSES = "follows", "ignores", "refuses"

# Scenarios that don't hold yet.
UNCHECKED = "at times the new pair isn't nominated; the old one stays in use"
RESTARTS = ("we_restart", "they_restart", "three_alternating_restarts", "glare_with_us_polite")


@dataclass(frozen=True)
class Stack:
    """A peer.

    Attributes:
        name: What it is called on the command line and in the table.
        title: What it is.
        command: How its program is started, in the directory of the peers.
        needs: What the machine must have for it.
        media: What it does with media: "decodes", "sends back" or "" for nothing.
        answers_restart: What it makes of our restart.
        restarts: Whether it has restartIce().
        rolls_back: Whether a remote offer rolls back its own one.
        rolls_back_explicitly: Whether a rollback can be set.
        trickles: Whether it tells its candidates one by one.
        open: Scenarios that don't hold yet, and what is known of it.
    """

    name: str
    title: str
    command: tuple[str, ...]
    needs: str = ""
    media: str = "decodes"
    answers_restart: str = FOLLOWS
    restarts: bool = True
    rolls_back: bool = True
    rolls_back_explicitly: bool = True
    trickles: bool = True
    open: dict[str, str] = field(default_factory=dict)

    def missing(self) -> str:
        """Return what the machine lacks for this peer, or nothing."""
        return "" if _is_there(self.needs) else self.needs


def _is_there(need: str) -> bool:
    if need.startswith("npm "):
        package = HERE / "node_modules" / need.removeprefix("npm ")
        return shutil.which("node") is not None and package.exists()
    if need.startswith("Python package "):
        return find_spec(need.removeprefix("Python package ")) is not None
    return not need or shutil.which(need) is not None


def python(*command: str) -> tuple[str, ...]:
    """Return how to start a program in Python."""
    return (sys.executable, *command)


WE = python("python_peer.py", "restartice")

STACKS = [
    Stack(
        "aiortc",
        "plain aiortc",
        python("python_peer.py", "aiortc"),
        answers_restart=IGNORES,
        restarts=False,
        rolls_back=False,
        rolls_back_explicitly=False,
        trickles=False,
    ),
    Stack(
        "chromium",
        "Chromium",
        python("browser_peer.py", "chromium"),
        needs="chromium",
        open={"they_restart": UNCHECKED, "three_alternating_restarts": UNCHECKED},
    ),
    Stack(
        "firefox",
        "Firefox ESR",
        python("browser_peer.py", "firefox"),
        needs="firefox-esr",
        open={"they_restart": UNCHECKED, "glare_with_us_impolite": "refuses the restart"},
    ),
    Stack(
        "wrtc",
        "libwebrtc by PyPI wrtc",
        python("wrtc_peer.py"),
        needs="Python package webrtc",
        open=dict.fromkeys(RESTARTS, UNCHECKED),
    ),
    Stack(
        "roamhq",
        "libwebrtc by npm @roamhq/wrtc",
        ("node", "node_peer.mjs", "roamhq"),
        needs="npm @roamhq/wrtc",
        rolls_back=False,
        open={
            "they_restart": "says goodbye by RTCP in mid-call, after which aiortc ends the track",
            "three_alternating_restarts": UNCHECKED,
            "track_added_and_removed": "refuses the a=ssrc lines of the offer",
        },
    ),
    Stack(
        "werift",
        "npm werift",
        ("node", "node_peer.mjs", "werift"),
        needs="npm werift",
        media="sends back",
        open={
            "they_restart": "at times a message is lost after its restart",
            "three_alternating_restarts": "at times a message is lost after its restart",
        },
    ),
    Stack(
        "datachannel",
        "libdatachannel by npm node-datachannel",
        ("node", "node_peer.mjs", "datachannel"),
        needs="npm node-datachannel",
        media="",
        open=dict.fromkeys(
            (RESTARTS[0], *RESTARTS[2:]), "what it makes of our restart isn't known yet"
        ),
        answers_restart=IGNORES,
        restarts=False,
        rolls_back=False,
        rolls_back_explicitly=False,
    ),
]
