"""The files that a deployment needs beside the package."""

from pathlib import Path

import pytest

from restartice_signaling.__main__ import main

FILES = Path(__file__).parents[4] / "signaling" / "restartice_signaling" / "files"
FOR_PAGES = {"rtc-in-band.js", "rtc-negotiator.js", "rtc-recovery.js", "rtc-signal.js"}
TYPES = {"rtc-negotiator.d.ts", "rtc-signal.d.ts"}
NAMES = {"nginx.conf", "rtc-signal.env", "rtc-signal@.service", *FOR_PAGES, *TYPES}


def test_they_are_written_to_a_new_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "folder"
    assert main(["files", "--to", str(folder)]) == 0
    assert {path.name for path in folder.iterdir()} == NAMES
    for path in folder.iterdir():
        assert path.read_bytes() == (FILES / path.name).read_bytes()
    assert set(capsys.readouterr().out.split()) == {str(folder / name) for name in NAMES}


def test_a_file_that_was_changed_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["files", "--to", str(tmp_path)]) == 0
    (tmp_path / "nginx.conf").unlink()
    (tmp_path / "rtc-signal.env").write_text("RESTARTICE_SIGNALING_SECRET=mine\n")
    assert main(["files", "--to", str(tmp_path)]) == 1
    assert "rtc-signal.env exists already" in capsys.readouterr().err
    assert (tmp_path / "rtc-signal.env").read_text() == "RESTARTICE_SIGNALING_SECRET=mine\n"
    assert not (tmp_path / "nginx.conf").exists()


def test_the_same_files_are_written_again(tmp_path: Path) -> None:
    assert main(["files", "--to", str(tmp_path)]) == 0
    assert main(["files", "--to", str(tmp_path)]) == 0


def test_a_folder_that_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["files", "--to", str(tmp_path / "file")]) == 1
    assert str(tmp_path / "file") in capsys.readouterr().err
