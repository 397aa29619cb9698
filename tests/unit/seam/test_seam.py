"""The seam tells what is missing, and restartice exports all that aiortc does."""

import ast
import functools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aioice
import aiortc
import aiortc.rtcicetransport
import pytest

import restartice
from restartice.seam import names as seam


def test_nothing_is_missing() -> None:
    seam.check(seam.required_names)
    assert len(seam.required_names) > 50


@pytest.mark.parametrize(
    ("owner", "name", "mangled"),
    [
        (aiortc.RTCPeerConnection, "__gone", "RTCPeerConnection._RTCPeerConnection__gone"),
        (aioice.Connection, "_gone", "Connection._gone"),
        (aiortc.rtcicetransport, "gone", "aiortc.rtcicetransport.gone"),
    ],
)
def test_a_missing_name_is_told_in_one_sentence(owner: type, name: str, mangled: str) -> None:
    required = [*seam.required_names]
    try:
        seam.require(owner, name)
        with pytest.raises(ImportError) as caught:
            seam.check(seam.required_names)
    finally:
        seam.required_names[:] = required
    message = str(caught.value)
    assert mangled in message
    assert seam.SUPPORTED in message
    assert message.count("\n") == 0


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """Return what an import says without each name."""
    canary = Path(__file__).parents[2] / "canary.py"
    run = subprocess.run([sys.executable, canary], check=True, capture_output=True, timeout=280)
    return {name: message for *_, name, message in json.loads(run.stdout)}


@pytest.mark.parametrize("name", sorted({name for _, name in seam.required_names}))
def test_the_import_says_which_name_has_moved(said: dict[str, str], name: str) -> None:
    assert said[name].startswith(f"ImportError: restartice supports {seam.SUPPORTED}; aiortc ")
    assert f".{name}" in said[name]


def test_all_private_names_in_the_seam_are_looked_up() -> None:
    folder = Path(seam.__file__).parent
    used: set[str] = set()
    defined: set[str] = set()
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
                used.add(node.attr)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                defined.add(node.name)
    # The slot is ours.
    foreign = {name for name in used - {"_core"} if not name.startswith("__")}
    required = {name for _, name in seam.required_names}
    assert len(foreign) > 20
    assert foreign - required == set()
    # What overrides a method of aiortc's or aioice's has its name.
    assert {name for name in defined if name.startswith("_RTC")} <= required


def test_all_of_aiortcs_names_are_exported() -> None:
    assert set(aiortc.__all__) <= set(restartice.__all__)
    for name in restartice.__all__:
        assert hasattr(restartice, name)
    same = {n for n in aiortc.__all__ if getattr(restartice, n) is getattr(aiortc, n)}
    ours = set(aiortc.__all__) - same
    assert ours == {
        "RTCConfiguration",
        "RTCDtlsTransport",
        "RTCIceCandidate",
        "RTCIceGatherer",
        "RTCIceTransport",
        "RTCInboundRtpStreamStats",
        "RTCOutboundRtpStreamStats",
        "RTCPeerConnection",
        "RTCRemoteInboundRtpStreamStats",
        "RTCRemoteOutboundRtpStreamStats",
        "RTCRtcpParameters",
        "RTCRtpContributingSource",
        "RTCRtpReceiver",
        "RTCRtpSender",
        "RTCRtpSynchronizationSource",
        "RTCRtpTransceiver",
        "RTCSctpTransport",
        "RTCTransportStats",
    }
    for name in ours:
        assert issubclass(getattr(restartice, name), getattr(aiortc, name))


class Derived(aioice.Connection):
    """As a program may have put in place of aioice's."""

    def __init__(self) -> None:
        super().__init__(ice_controlling=True)


def without_name(init: Any) -> Any:
    """Wrap a function in one that says nothing of it."""

    def wrapper(self: object, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)

    return wrapper


def with_name(init: Any) -> Any:
    """Wrap a function in one that names it."""
    return functools.wraps(init)(without_name(init))


@pytest.mark.parametrize("wrap", [without_name, with_name])
@pytest.mark.parametrize("owner", [aioice.Connection, Derived])
def test_names_are_looked_up_below_what_programs_have_put_on_top(
    monkeypatch: pytest.MonkeyPatch, owner: type, wrap: Callable[[Any], Any]
) -> None:
    for wrapped in {owner, aioice.Connection}:
        monkeypatch.setattr(wrapped, "__init__", wrap(vars(wrapped)["__init__"]))
    required = [(owner, name) for name in ("_check_list", "check_state", "_gone")]
    assert seam.missing_names(required) == [f"{owner.__name__}._gone"]


def test_a_private_name_is_mangled_by_the_class_that_has_it() -> None:
    class Renamed(aiortc.RTCPeerConnection):
        pass

    required = [*seam.required_names]
    try:
        assert seam.require(Renamed, "__close") == "_RTCPeerConnection__close"
        with pytest.raises(ImportError, match="has put in place of one of them, isn't a class"):
            seam.require(Renamed.close, "__close")  # type: ignore[arg-type]
    finally:
        seam.required_names[:] = required
