"""A fresh Debian 12 in a folder, in which commands are run as on a machine of its own.

It has this machine's network and its settings for pip, but none of its packages.
"""

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
HOME: Final = "/root/restartice"
# Copied, so that packages come from where this machine has them from.
SETTINGS: Final = ("/etc/resolv.conf", "/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt")
INHERITED: Final = (
    "PIP_",
    "SSL_",
    "NODE_EXTRA_",
    "REQUESTS_",
    "http",
    "HTTP",
    "no_proxy",
    "NO_PROXY",
)
MOUNTED: Final = ("/proc", "/sys", "/dev")


class Program:
    """A command that runs on the machine."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._more = threading.Condition()
        self._ended = False
        self.output = ""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._more:
                self.output += line
                self._more.notify_all()
        with self._more:
            self._ended = True
            self._more.notify_all()

    def write(self, text: str) -> None:
        """Type something."""
        assert self._process.stdin is not None
        self._process.stdin.write(text)
        self._process.stdin.flush()

    def wait_for(self, text: str, seconds: float) -> None:
        """Return when it has printed a text.

        Raises:
            AssertionError: It ended without, or took too long.
        """
        with self._more:
            self._more.wait_for(lambda: text in self.output or self._ended, seconds)
            assert text in self.output, f"{text!r} was not printed:\n{self.output}"

    def wait(self, seconds: float) -> int:
        """Return the exit status."""
        status = self._process.wait(seconds)
        with self._more:
            self._more.wait_for(lambda: self._ended, 10)
        return status

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        os.killpg(self._process.pid, signal.SIGINT)

    def kill(self) -> None:
        """End it and what it has started."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self._process.wait()


class Machine:
    """The machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, command: str, *, offline: bool = False) -> Program:
        """Start a command in the clone, with its virtual environment first in the path."""
        root = shlex.quote(str(self.folder))
        # "ip -n" needs a mount point as the root.
        mounts = [f"mount --bind {root} {root}"]
        mounts += [f"mount --rbind {name} {root}{name}" for name in MOUNTED]
        network = ["ip link set lo up"] if offline else []
        entered = f'exec chroot {root} bash -c "$1"'
        inner = f"cd {HOME} && {command}"
        process = subprocess.Popen(
            [
                *("unshare", "--mount", *(["--net"] if offline else [])),
                *("sh", "-ec", "\n".join([*network, *mounts, entered]), "sh", inner),
            ],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        return Program(process)


def environment() -> dict[str, str]:
    """Return the variables of a login there, and this machine's for pip and the network."""
    path = f"{HOME}/.venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    kept = {name: value for name, value in os.environ.items() if name.startswith(INHERITED)}
    # Folders of this machine that the other one doesn't have.
    kept = {name: value for name, value in kept.items() if name != "PIP_FIND_LINKS"}
    return kept | {"PATH": path, "HOME": "/root", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}


@contextmanager
def fresh_machine(base: Path | None) -> Iterator[Machine]:
    """Make a machine with a clone of this repository; it is deleted in the end.

    Args:
        base: A folder in which debootstrap has installed Debian, to be copied; None to do that.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary, "debian")
        if base is None:
            install = ("debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm")
            subprocess.run([*install, str(folder)], check=True, stdout=subprocess.DEVNULL)
        else:
            subprocess.run(["cp", "-a", str(base), str(folder)], check=True)
        for name in SETTINGS:
            if Path(name).exists():
                shutil.copyfile(name, f"{folder}{name}")
        # Services aren't started when their packages are installed.
        policy = folder / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        clone = f"{folder}{HOME}"
        subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(ROOT), clone], check=True)
        yield Machine(folder)
