"""The files for web pages as a package of npm, and their types."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import restartice
from requiring import require

ROOT = Path(__file__).parents[2]
SIGNALING = ROOT / "signaling"
FILES = SIGNALING / "restartice_signaling" / "files"
TSC = ROOT / "tests" / "interop" / "node_modules" / ".bin" / "tsc"
MODULES = {"signal": "RtcSignal", "negotiator": "Negotiator"}
# What a type declares, without that of the class's base.
MEMBER = re.compile(r"^  (?:readonly )?(\w+)[(:]", re.MULTILINE)

PROGRAM = """
import { RtcSignal } from "restartice/signal";
import { Negotiator, type NegotiatorOptions } from "restartice/negotiator";

const signaling = new RtcSignal(["wss://a.example", "wss://b.example"], {
  room: "robot-7",
  token: async () => "a token",
});
const pc = new RTCPeerConnection();
const options: NegotiatorOptions = { peer: "robot", inBand: true, recovery: { giveWay: 0 } };
const negotiator: Negotiator = new Negotiator(pc, signaling, options);
negotiator.addEventListener("back", ({ detail }) => detail.seconds.toFixed(1));
negotiator.addEventListener("replaced", ({ detail }) => {
  new Negotiator(pc, signaling).receive({ description: detail.description });
});
negotiator.addEventListener("of my own", () => negotiator.close());
signaling.addEventListener("signal", ({ detail }) => detail.data.candidate?.sdpMid);
signaling.addEventListener("peer", ({ detail }) => signaling.peers.get(detail.peer)?.polite);
await signaling.connect();
await signaling.send({ custom: 1 }, "*");

const socket = new WebSocket("wss://example.org");
const other = new Negotiator(pc, { send: (message) => socket.send(JSON.stringify(message)) });
socket.onmessage = ({ data }) => other.receive(JSON.parse(data));
const states: boolean[] = [other.polite, other.inBand, other.collisions > 0];

// @ts-expect-error: a signaling must send
new Negotiator(pc, {});
// @ts-expect-error: there is no such option
new Negotiator(pc, signaling, { inband: true });
// @ts-expect-error: times are numbers
new Negotiator(pc, signaling, { recovery: { giveWay: "1 s" } });
// @ts-expect-error: this is for reading
negotiator.polite = true;
// @ts-expect-error: a restart has no state
negotiator.addEventListener("restart", ({ detail }) => detail.state);
// @ts-expect-error: a room is needed
new RtcSignal("wss://example.org", {});
// @ts-expect-error: what is no part of a package isn't seen
import { InBand } from "restartice/in-band";
export { states, InBand };
"""
# Each member that the types declare is one of a real object.
IMPORTS = """
import { RtcSignal } from "restartice/signal";
import { Negotiator } from "restartice/negotiator";
class Connection extends EventTarget {
  signalingState = "stable";
  iceConnectionState = "new";
}
const signaling = new RtcSignal("ws://127.0.0.1:1", { room: "room", WebSocket: class {} });
const negotiator = new Negotiator(new Connection(), signaling);
const found = (object, names) => names.filter((name) => name in object);
const [ofSignal, ofNegotiator] = JSON.parse(process.argv[2]);
console.log(JSON.stringify([found(signaling, ofSignal), found(negotiator, ofNegotiator)]));
negotiator.close();
"""


def run(folder: Path, *command: str) -> str:
    environment = os.environ | {"npm_config_cache": str(folder / "cache"), "NO_COLOR": "1"}
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a program's folder into which the package is installed."""
    npm = shutil.which("npm")
    require(npm, "npm")
    folder = tmp_path_factory.mktemp("program")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    quiet = ("--offline", "--no-audit", "--no-fund", "--loglevel=error")
    run(folder, str(npm), "pack", "--loglevel=error", "--pack-destination=.", str(SIGNALING))
    (package,) = folder.glob("*.tgz")
    run(folder, str(npm), "install", *quiet, f"./{package.name}")
    return folder


def test_it_has_the_files_and_the_version(program: Path) -> None:
    installed = program / "node_modules" / "restartice"
    assert json.loads((installed / "package.json").read_text())["version"] == restartice.__version__
    files = {path.name for path in installed.rglob("*") if path.is_file()}
    wanted = {path.name for path in FILES.iterdir() if path.suffix in {".js", ".ts"}}
    assert files == wanted | {"package.json", "README.md", "LICENSE"}


def test_it_is_imported(program: Path) -> None:
    names = []
    for module, name in MODULES.items():
        declared = (FILES / f"rtc-{module}.d.ts").read_text().partition(f"class {name} ")[2]
        names.append(sorted(set(MEMBER.findall(declared)) - {"constructor"}))
    assert {"connect", "send", "peers"} <= set(names[0])
    assert {"receive", "close", "inBand"} <= set(names[1])
    (program / "imports.mjs").write_text(IMPORTS)
    node = shutil.which("node")
    assert node is not None
    assert json.loads(run(program, node, "imports.mjs", json.dumps(names))) == names


def test_typescript_checks_a_program(program: Path) -> None:
    require(TSC.exists(), "the compiler that .ci/run installs from npm")
    (program / "program.ts").write_text(PROGRAM)
    options = ("--strict", "--noEmit", "--module", "nodenext", "--target", "es2023")
    node = shutil.which("node")
    assert node is not None
    run(program, node, str(TSC), *options, "--types", "", "--lib", "es2023,dom", "program.ts")
