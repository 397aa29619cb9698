"""The files that a deployment needs beside the package: for browsers, systemd and nginx."""

from importlib.resources import files
from pathlib import Path

__all__ = ["write_files"]


def write_files(folder: Path) -> list[Path]:
    """Write the files to a folder, which is made if it isn't there; return their paths.

    Raises:
        FileExistsError: A file of that name is there with other content. Nothing is written.
        OSError: The folder can't be made, or a file can't be written.
    """
    contents = {
        folder / file.name: file.read_bytes()
        for file in sorted(files("restartice_signaling").joinpath("files").iterdir(), key=str)
    }
    for path, content in contents.items():
        if path.exists() and path.read_bytes() != content:
            raise FileExistsError(f"{path} exists already, with other content")
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in contents.items():
        path.write_bytes(content)
    return list(contents)
