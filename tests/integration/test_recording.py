"""What a Recorder writes of connections, and that it changes nothing for them."""

import asyncio
import gc
import json
import os
import signal
import sys
import textwrap
import threading
import weakref
from asyncio.subprocess import PIPE
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import connecting
from conftest import Factory
from cutting import QUICK, Cut
from dumps import Connection, read_dump
from restartice import (
    IceSettings,
    InvalidAccessError,
    Recorder,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)
from restartice.__main__ import main

ROOT = Path(__file__).parents[2]
SERVER = RTCIceServer("turn:127.0.0.1:9", "the user", "the credential")
SHORT = IceSettings(gathering_timeout=0.1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "call.json"


async def wait_written(path: Path, condition: Callable[[Connection], object]) -> None:
    """Return when a condition holds for all connections in the file."""
    async with asyncio.timeout(connecting.DEADLINE):
        while not all(map(condition, read_dump(path))):  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.05)


async def wait_saved(
    recorder: Recorder, path: Path, condition: Callable[[Connection], object]
) -> None:
    """Return when a condition holds for all connections, which are written until it does."""
    async with asyncio.timeout(connecting.DEADLINE):
        recorder.save()
        while not all(map(condition, read_dump(path))):
            await asyncio.sleep(0.05)
            recorder.save()


def text_of(path: Path) -> str:
    return path.read_text()


async def test_a_call_and_its_restart(make_pc: Factory, path: Path) -> None:
    near, far = make_pc(RTCConfiguration([SERVER]), iceSettings=SHORT), make_pc()
    with Recorder(path, interval=0.05) as recorder:
        recorder.add(near)
        recorder.add(far)
        near.addTrack(VideoStreamTrack())
        await connecting.connect(near, far)
        with pytest.raises(ValueError, match="sdpMid"):
            await near.addIceCandidate({"candidate": "candidate:1 1 UDP 1 127.0.0.1 9 typ host"})
        before = [connecting.sending_ufrags(pc) for pc in (near, far)]
        near.restartIce()
        await connecting.negotiate(near, far)
        await connecting.wait_restarted(near, far, since=before)
        await wait_saved(recorder, path, lambda one: one.of_kind("candidate-pair"))
    text = text_of(path)
    offerer, answerer = read_dump(path)
    assert recorder.count == 2
    assert offerer.configuration["iceServers"] == [{"urls": ["turn:127.0.0.1:9"]}]
    check_log(offerer, answerer, near)
    check_statistics(offerer)
    check_statistics(answerer)
    for secret in ("the user", "the credential", *passwords(near), *passwords(far)):
        assert secret not in text


def check_log(offerer: Connection, answerer: Connection, near: RTCPeerConnection) -> None:
    kinds = [kind for kind, _ in offerer.log]
    assert kinds[:2] == ["addTrack", "transceiverAdded"]
    for kind in ("createDataChannel", "createOffer", "restartIce"):
        assert kind in kinds
    assert kinds.index("createOffer") < kinds.index("createOfferOnSuccess")
    for kind in ("setLocalDescription", "setRemoteDescription"):
        assert kinds.count(kind) == kinds.count(f"{kind}OnSuccess") == 2
    offers = offerer.details("createOfferOnSuccess")
    assert [offer["type"] for offer in offers] == ["offer", "offer"]
    ufrag = connecting.ufrags(near)[0]
    assert [f"a=ice-ufrag:{ufrag}" in offer["sdp"] for offer in offers] == [False, True]
    assert "a=candidate:" in offerer.details("setLocalDescriptionOnSuccess")[0]["sdp"]
    assert offerer.details("addIceCandidateFailed")[0].startswith("ValueError: ")
    assert offerer.details("onsignalingstatechange") == ["have-local-offer", "stable"] * 2
    assert "connected" in offerer.details("onconnectionstatechange")
    modified = offerer.details("transceiverModified")
    assert [(each["mid"], each["reason"]) for each in modified[:1]] == [
        ("0", "setLocalDescription")
    ]
    assert answerer.details("ondatachannel") == [{"label": "echo", "protocol": ""}]
    assert answerer.details("ontrack")[0]["kind"] == "video"


def check_statistics(connection: Connection) -> None:
    assert {"transport", "candidate-pair", "local-candidate", "remote-candidate"} <= set(
        connection.kinds.values()
    )
    for values in connection.stats.values():
        times = [time for time, _ in values["timestamp"]]
        assert times == sorted(set(times))
        for series in values.values():
            assert [time for time, _ in series] == times
    for local, remote in connection.selected_pairs():
        assert local["address"][-1][1] == remote["address"][-1][1] == "127.0.0.1"
        assert (local["isRemote"][-1][1], remote["isRemote"][-1][1]) == (False, True)
    assert connection.selected_pairs()


def passwords(pc: RTCPeerConnection) -> list[str]:
    """Return the ICE passwords that a connection has or knows."""
    found = [
        line.partition(":")[2]
        for description in (pc.localDescription, pc.remoteDescription)
        for line in description.sdp.splitlines()
        if line.startswith("a=ice-pwd:")
    ]
    assert found
    return found


async def test_a_refused_description_does_not_show_its_password(
    make_pc: Factory, path: Path, offer: RTCSessionDescription
) -> None:
    pc = make_pc()
    broken = offer.sdp.replace("a=mid:0", "a=ice-pwd:tooshort-and-secret\r\nnonsense")
    with Recorder(path) as recorder:
        recorder.add(pc)
        with pytest.raises(ValueError, match=r".+"):
            await pc.setRemoteDescription(RTCSessionDescription(broken, "offer"))
    (connection,) = read_dump(path)
    assert [kind for kind, _ in connection.log] == [
        *("setRemoteDescription", "setRemoteDescriptionOnFailure")
    ]
    assert "tooshort-and-secret" not in text_of(path)


async def test_a_lost_call_is_written_without_close(make_pc: Factory, path: Path) -> None:
    near, far = make_pc(iceSettings=QUICK), make_pc(iceSettings=QUICK)
    recorder = Recorder(path, interval=0.05)
    recorder.add(near)
    try:
        await connecting.connect(near, far)
        await connecting.wait_connected(near, far)
        Cut(near)
        await connecting.wait_for_state(near, "connectionState", "failed")
        await wait_written(path, lambda one: "failed" in one.details("onconnectionstatechange"))
        await near.close()
        await wait_written(path, lambda one: one.details("close"))
    finally:
        recorder.close()


async def test_candidates_trickle_only_with_a_listener(make_pc: Factory, path: Path) -> None:
    """As without a recorder, which has no listeners of its own."""
    with Recorder(path) as recorder:
        pc, trickling = make_pc(), make_pc()
        candidates = asyncio.Queue[object]()
        trickling.on("icecandidate", candidates.put_nowait)
        for each in (pc, trickling):
            recorder.add(each)
            each.createDataChannel("x")
            await each.setLocalDescription()
        assert pc.iceGatheringState == "complete"
        assert pc.event_names() == set()
        async with asyncio.timeout(connecting.DEADLINE):
            while await candidates.get() is not None:
                pass
    waiting, trickled = read_dump(path)
    assert "a=candidate:" in waiting.details("setLocalDescriptionOnSuccess")[0]["sdp"]
    assert "a=candidate:" not in trickled.details("setLocalDescriptionOnSuccess")[0]["sdp"]
    (candidate,) = trickled.details("onicecandidate")
    assert candidate["candidate"].startswith("candidate:")


async def test_errors_of_the_program_reach_it_and_stand_in_the_log(
    make_pc: Factory, path: Path
) -> None:
    pc, other = make_pc(), make_pc()
    with Recorder(path) as recorder:
        recorder.add(pc)
        with pytest.raises(InvalidAccessError):
            pc.removeTrack(other.addTransceiver("audio").sender)
        with pytest.raises(TypeError):
            pc.createDataChannel()  # type: ignore[call-arg]
        with pytest.raises(TypeError):
            pc.setConfiguration(7)  # type: ignore[arg-type]
    (connection,) = read_dump(path)
    kinds = [kind for kind, _ in connection.log]
    assert [kind for kind in kinds if "OnFailure" in kind] == [
        *("removeTrackOnFailure", "createDataChannelOnFailure", "setConfigurationOnFailure")
    ]


async def test_nothing_is_recorded_after_close(make_pc: Factory, path: Path) -> None:
    pc = make_pc()
    recorder = Recorder(path)
    recorder.add_new()
    recorder.add(pc)
    recorder.close()
    before = text_of(path)
    pc.createDataChannel("x")
    RTCPeerConnection().createDataChannel("y")
    for add in (recorder.add_new, lambda: recorder.add(pc)):
        with pytest.raises(ValueError, match="this one is closed"):
            add()
    assert recorder.count == 1
    assert text_of(path) == before
    assert read_dump(path)[0].log == []


async def test_a_dropped_connection_is_collected(path: Path) -> None:
    with Recorder(path) as recorder:
        pc = RTCPeerConnection()
        recorder.add(pc)
        await pc.createOffer()
        dropped = weakref.ref(pc)
        await pc.close()
        del pc
        gc.collect()
        async with asyncio.timeout(connecting.DEADLINE):
            while dropped() is not None:  # a request for its statistics may still run
                await asyncio.sleep(0)
                gc.collect()
    assert "createOffer" in dict(read_dump(path)[0].log)


async def test_a_server_keeps_the_last_connections(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("restartice.recording.recorder.CONNECTIONS", 3)
    with Recorder(path) as recorder:
        recorder.add_new()
        lasting = RTCPeerConnection()
        for _ in range(5):
            await RTCPeerConnection().close()
        recorder.save()
        names = json.loads(text_of(path))["PeerConnections"]
        assert list(names) == [f"{os.getpid()}-{number}" for number in (1, 5, 6)]
        await lasting.close()


@pytest.mark.parametrize(
    "options",
    [
        {"interval": 0},
        {"interval": float("nan")},
        {"points": 0},
        {"points": float("inf")},
        {"path": ""},
    ],
    ids=repr,
)
def test_impossible_values_are_refused(path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be a positive|expected the path of a file"):
        Recorder(**{"path": path, **options})
    assert not path.exists()


def test_a_file_that_can_t_be_written_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        Recorder(tmp_path / "nowhere" / "call.json")


def test_a_pipe_is_not_replaced(path: Path) -> None:
    """Nor is a device, such as /dev/null."""
    os.mkfifo(path)
    with pytest.raises(OSError, match="expected a file"):
        Recorder(path)
    assert path.is_fifo()


def test_the_file_stays_where_it_is_when_the_program_goes_elsewhere(
    path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    recorder = Recorder(path.name)
    path.unlink()
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    recorder.close()
    assert read_dump(path) == []


async def test_wrong_arguments_do_not_show_secrets(
    make_pc: Factory, path: Path, offer: RTCSessionDescription, caplog: pytest.LogCaptureFixture
) -> None:
    pc = make_pc()
    server = {"urls": "turn:127.0.0.1:9", "username": "x", "credential": "the-secret"}
    caplog.set_level("DEBUG")
    with Recorder(path) as recorder:
        recorder.add(pc)
        with pytest.raises(TypeError):
            await pc.setRemoteDescription({"type": "offer", "sdp": offer.sdp})  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            pc.setConfiguration(RTCConfiguration([server]))  # type: ignore[list-item]
    (password, *_) = (line[10:] for line in offer.sdp.splitlines() if "a=ice-pwd:" in line)
    for text in (text_of(path), caplog.text):
        assert password not in text
        assert "the-secret" not in text


async def test_connections_that_end_together_do_not_wait_as_copies(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked, go = threading.Event(), threading.Event()
    written: list[int] = []
    write = Recorder._write

    def slowly(recorder: Recorder, copied: dict[str, Any]) -> None:
        written.append(len(copied))
        if copied:
            blocked.set()
            assert go.wait(connecting.DEADLINE)
        write(recorder, copied)

    monkeypatch.setattr(Recorder, "_write", slowly)
    with Recorder(path) as recorder:
        recorder.add_new()
        await RTCPeerConnection().close()
        assert await asyncio.to_thread(blocked.wait, connecting.DEADLINE)
        for _ in range(10):
            await RTCPeerConnection().close()
        go.set()
    # At the beginning, of the first one, of all, and by close().
    assert written == [0, 1, 11, 11]


def test_only_connections_of_ours_are_recorded(path: Path) -> None:
    with Recorder(path) as recorder, pytest.raises(TypeError, match="of restartice"):
        recorder.add(None)  # type: ignore[arg-type]


PROGRAM = """
import asyncio, sys
from restartice import RTCPeerConnection, RTCConfiguration
from helper import LABEL

async def main():
    near, far = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    near.createDataChannel(LABEL)
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    print(sys.argv[1:], flush=True)
    if "forever" in sys.argv:
        await asyncio.Event().wait()
    await asyncio.gather(near.close(), far.close())
    sys.exit(3)

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (tmp_path / "helper.py").write_text("LABEL = 'chat'\n")
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM))
    return tmp_path / "program.py"


MAKING = """
import asyncio
from restartice import RTCPeerConnection

async def make(label):
    pc = RTCPeerConnection()
    pc.createDataChannel(label)
    await pc.close()

asyncio.run(make("first"))
"""
FORKING = f"""
import os
{MAKING}
reader, writer = os.pipe()
if os.fork() == 0:
    os.close(writer)
    os.read(reader, 1)  # the parent has ended
    asyncio.run(make("of the child"))
"""
THREADED = f"""
import threading
{MAKING}
def work(main=threading.main_thread()):
    main.join()
    asyncio.run(make("later"))

threading.Thread(target=work).start()
"""


async def test_a_program_that_forks_keeps_its_file(tmp_path: Path) -> None:
    """The child ends last, and says nothing."""
    (tmp_path / "program.py").write_text(FORKING)
    status, _, errors = await run(tmp_path, "--to", "call.json", "program.py")
    assert (status, errors) == (0, "recorded 1 connections in call.json\n")
    (connection,) = read_dump(tmp_path / "call.json")
    assert connection.details("createDataChannel") == [{"label": "first"}]


async def test_what_threads_do_after_the_program_s_end_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(THREADED)
    status, _, errors = await run(tmp_path, "--to", "call.json", "program.py")
    assert (status, errors) == (0, "recorded 2 connections in call.json\n")
    labels = [one.details("createDataChannel") for one in read_dump(tmp_path / "call.json")]
    assert labels == [[{"label": "first"}], [{"label": "later"}]]


async def test_a_file_that_can_t_be_written_in_the_end(tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "program.py").write_text(
        f"import shutil, sys\nshutil.rmtree('to'){MAKING}sys.exit(4)"
    )
    status, _, errors = await run(tmp_path, "--to", "to/call.json", "program.py")
    assert status == 4
    assert "error: [Errno 2] No such file or directory" in errors
    assert "recorded" not in errors.replace("to be recorded", "")
    assert "Traceback" not in errors


async def run(folder: Path, *arguments: str, stop: bool = False) -> tuple[int | None, str, str]:
    """Run the command; return its exit status and what it prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "restartice", "record", *arguments),
        cwd=folder,
        stdout=PIPE,
        stderr=PIPE,
    )
    assert process.stdout is not None
    first = await process.stdout.readline() if stop else b""
    if stop:
        process.send_signal(signal.SIGTERM)
    output, errors = await process.communicate()
    return process.returncode, (first + output).decode(), errors.decode()


@pytest.mark.parametrize("how", [("program.py",), ("-m", "program")], ids=["file", "module"])
async def test_a_program_is_recorded_without_a_change(program: Path, how: tuple[str, ...]) -> None:
    arguments = ("--to", "call.json", *how, "--flag", "-m", "x")
    status, output, errors = await run(program.parent, *arguments)
    assert status == 3
    assert output == "['--flag', '-m', 'x']\n"
    assert errors == "recorded 2 connections in call.json\n"
    near, far = read_dump(program.parent / "call.json")
    assert near.url == far.url == "program.py"
    assert near.details("createDataChannel") == [{"label": "chat"}]
    assert "close" in dict(far.log)


async def test_a_program_that_is_stopped_is_recorded(program: Path) -> None:
    status, _, errors = await run(program.parent, "program.py", "forever", stop=True)
    assert status == 128 + signal.SIGTERM
    assert "recorded 2 connections in webrtc_internals_dump.txt" in errors
    near, _ = read_dump(program.parent / "webrtc_internals_dump.txt")
    assert near.details("createDataChannel") == [{"label": "chat"}]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("absent.py",), "there is no file absent.py"),
        (("-m", "absent"), "there is no module absent"),
        (("-m", "absent.part"), "there is no module absent.part"),
        (("--interval=0", "program.py"), "interval must be a positive number"),
        (("--to=nowhere/x", "program.py"), "No such file or directory"),
    ],
)
def test_mistakes_are_told_in_a_line(
    program: Path,
    arguments: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(program.parent)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert main(["record", *arguments]) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert len(errors.splitlines()) == 1
    assert message in errors


async def test_a_program_can_be_told_what_is_recorded(
    make_pc: Factory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, str, Any]] = []
    pc = make_pc()
    monkeypatch.chdir(tmp_path)
    recorder = Recorder(None, on_update=lambda n, _, kind, value: told.append((n, kind, value)))
    recorder.add(make_pc())
    recorder.add(pc)
    pc.createDataChannel("chat")
    pc.restartIce()
    with pytest.raises(ValueError, match="SDP syntax error"):
        await pc.setRemoteDescription(RTCSessionDescription("hello", "offer"))
    recorder.save()
    recorder.close()
    pc.restartIce()
    assert [(number, kind) for number, kind, _ in told] == [
        (2, "createDataChannel"),
        (2, "restartIce"),
        (2, "setRemoteDescription"),
        (2, "setRemoteDescriptionOnFailure"),
    ]
    assert told[0][2]["label"] == "chat"
    assert told[2][2] == {"type": "offer", "sdp": "hello"}
    assert os.listdir() == []  # noqa: PTH208


async def test_a_listener_that_fails_harms_nothing(
    make_pc: Factory, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ArithmeticError("on purpose")

    pc = make_pc()
    with Recorder(path, on_update=fail) as recorder:
        recorder.add(pc)
        pc.restartIce()
    assert "on purpose" in caplog.text
    (connection,) = read_dump(path)
    assert connection.details("restartIce") == [None]
