"""The peers, how each is started, and what each of them is known not to do."""

import functools
import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
PEERS = HERE / "peers"

# What a peer makes of an offer that restarts ICE.
FOLLOWS, IGNORES, REFUSES = "follows", "ignores", "refuses"

GSTREAMER = "GStreamer with webrtcbin"
# The bindings are packages of Debian's, for its own Python.
GSTREAMER_PEER = ("/usr/bin/python3", "gstreamer_peer.py")
PION = "Pion, built by .ci/run from golang-github-pion-webrtc.v3-dev"
PION_PEER = ("./pion_peer",)
# Peers that tell their version themselves.
TELLING = {GSTREAMER: GSTREAMER_PEER, PION: PION_PEER}


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
        restarts_after_glare: Whether it takes a restart after it has rolled back its own offer.
        trickles: Whether it tells its candidates one by one.
        ends_each: Whether it tells the end of each generation's candidates.
        adds_media: Whether media can be added to a call that had none.
        rejects_stopped: Whether its answer rejects a section that our offer has stopped.
        reuses_sections: Whether something new may take the place of a stopped section.
        notices_close: Whether it takes our close for the end of its data channel.
        finds_networks: Whether a restart finds networks that came after the connection was made.
        gives_up: Whether it gives up messages that may be sent once.
        drops_at_end: Who may lose messages by closing a data channel: `we`, `they` or both.
        takes_empty: Whether it hands over empty messages.
        certificate: The kind of its certificate's key.
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
    restarts_after_glare: bool = True
    trickles: bool = True
    ends_each: bool = True
    adds_media: bool = True
    rejects_stopped: bool = True
    reuses_sections: bool = True
    notices_close: bool = True
    finds_networks: bool = True
    gives_up: bool = True
    drops_at_end: frozenset[str] = frozenset()
    takes_empty: bool = True
    certificate: str = "EC"

    def version(self) -> str:
        """Return which version is installed."""
        if self.needs in TELLING:
            return _told_version(self.needs)
        kind, _, name = self.needs.rpartition(" ")
        if kind == "npm":
            package = HERE / "node_modules" / name / "package.json"
            return str(json.loads(package.read_text())["version"])
        if kind == "Python package" or not name:
            return version("wrtc" if name else self.name)
        told = subprocess.run([name, "--version"], capture_output=True, text=True, check=True)
        (found,) = re.findall(r"\d[\d.]+", told.stdout)[:1]
        return str(found)

    def missing(self) -> str:
        """Return what the machine lacks for this peer, or nothing."""
        return "" if _is_there(self.needs) else self.needs


def _is_there(need: str) -> bool:
    if need in TELLING:
        return bool(_told_version(need))
    if need.startswith("npm "):
        package = HERE / "node_modules" / need.removeprefix("npm ")
        return shutil.which("node") is not None and package.exists()
    if need.startswith("Python package "):
        return find_spec(need.removeprefix("Python package ")) is not None
    return not need or shutil.which(need) is not None


@functools.cache
def _told_version(need: str) -> str:
    """Return the version, or nothing if something of it isn't there."""
    command = (*TELLING[need], "--version")
    if shutil.which(PEERS / command[0]) is None:
        return ""
    told = subprocess.run(command, cwd=PEERS, capture_output=True, text=True, check=False)
    return told.stdout.strip()


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
        rejects_stopped=False,
    ),
    Stack(
        "chromium",
        "Chromium",
        python("browser_peer.py", "chromium"),
        needs="chromium",
        ends_each=False,
    ),
    Stack(
        "firefox",
        "Firefox ESR",
        python("browser_peer.py", "firefox"),
        needs="firefox-esr",
        restarts_after_glare=False,
    ),
    Stack(
        "wrtc",
        "libwebrtc by PyPI wrtc",
        python("wrtc_peer.py"),
        needs="Python package webrtc",
    ),
    Stack(
        "roamhq",
        "libwebrtc by npm @roamhq/wrtc",
        ("node", "node_peer.mjs", "roamhq"),
        needs="npm @roamhq/wrtc",
        rolls_back=False,
        drops_at_end=frozenset({"they"}),
        ends_each=False,
    ),
    Stack(
        "werift",
        "npm werift",
        ("node", "node_peer.mjs", "werift"),
        needs="npm werift",
        media="sends back",
        ends_each=False,
        gives_up=False,
    ),
    Stack(
        "datachannel",
        "libdatachannel by npm node-datachannel",
        ("node", "node_peer.mjs", "datachannel"),
        needs="npm node-datachannel",
        drops_at_end=frozenset({"we"}),
        media="",
        answers_restart=REFUSES,
        restarts=False,
        rolls_back=False,
        rolls_back_explicitly=False,
        ends_each=False,
        adds_media=False,
        rejects_stopped=False,
    ),
    Stack(
        "gstreamer",
        "GStreamer's webrtcbin, with an RSA certificate",
        GSTREAMER_PEER,
        needs=GSTREAMER,
        answers_restart=IGNORES,
        restarts=False,
        rolls_back=False,
        rolls_back_explicitly=False,
        ends_each=False,
        notices_close=False,
        takes_empty=False,
        drops_at_end=frozenset({"we", "they"}),
        certificate="RSA",
        rejects_stopped=False,
        reuses_sections=False,
    ),
    Stack(
        "pion",
        "Pion",
        PION_PEER,
        needs=PION,
        media="sends back",
        rolls_back=False,
        rolls_back_explicitly=False,
        ends_each=False,
        rejects_stopped=False,
        finds_networks=False,
    ),
]


def browsers(way: str, what: str) -> list[Stack]:
    """Return the browsers, started in a way of their own, which not all scenarios are about."""
    return [
        Stack(
            f"{name}-{way}",
            f"{title}, which {what}",
            python("browser_peer.py", f"{name}-{way}"),
            needs=needs,
        )
        for name, title, needs in (
            ("chromium", "Chromium", "chromium"),
            ("firefox", "Firefox ESR", "firefox-esr"),
        )
    ]


HIDING = browsers("mdns", "hides its addresses")
# These tell the addresses of all networks.
CAPTURING = browsers("capturing", "listens to a microphone")
