"""The recorder: observes connections, asks for their statistics, and writes the dump."""

import asyncio
import dataclasses
import json
import logging
import math
import os
import platform
import sys
import time
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Self

from aiortc.stats import RTCStats

from ..logs import ObjectLogger
from ..observation import NEW
from ..peerconnection import RTCPeerConnection
from .dump import Record, as_json
from .updates import configuration_of, transceiver_of, update_of

__all__ = ["Recorder"]

logger = logging.getLogger(__name__)

SAVE_INTERVAL: Final = 60.0
CONNECTIONS: Final = 50
ENDS: Final = {"closed", "failed"}
# Gets the number of the connection, the time, the type and the details of an update.
UpdateListener = Callable[[int, float, str, Any], None]


class Recorder:
    """Records connections, in the format of Chromium's `chrome://webrtc-internals`.

    The file has what programs called on the connection, which events fired, and the statistics over
    time, and can be read by the tools that read Chromium's dumps. It has no passwords and no
    credentials, but addresses, the descriptions, and the labels of tracks and data channels.

    It is written when a connection fails or closes, every minute, and by close(). The memory is
    limited: of each statistic the last `points` values are kept, of each connection about 200
    entries of statistics and 4 MB of calls and events, and the last 50 connections.

    Recording changes nothing for the connection: no listener is added, and no reference to it kept.
    Processes that the program forks record nothing.

        with Recorder("call.json") as recorder:
            recorder.add(pc)
            ...

    Args:
        path: The file. It is written at once, and replaced as a whole afterwards. A relative path
            is one of the folder in which the program runs now. None to write nothing.
        interval: How many seconds there are between two requests for the statistics.
        points: How many values of each statistic are kept.
        on_update: Called with each call, result and event when it is recorded. Its arguments are
            the number of the connection, in the order of add(), and the time in milliseconds since
            1970, the type and the details that the file has. What it raises is logged.

    Raises:
        OSError: The file can't be written, or is a folder, a pipe or a device.
        TypeError: An argument has the wrong type.
        ValueError: `interval` or `points` isn't positive, or the path is empty.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        *,
        interval: float = 1.0,
        points: int = 1000,
        on_update: UpdateListener | None = None,
    ) -> None:
        if not (math.isfinite(interval) and interval > 0):
            raise ValueError(f"interval must be a positive number of seconds, got {interval}")
        if not (isinstance(points, int) and points > 0):
            raise ValueError(f"points must be a positive integer, got {points}")
        if on_update is not None and not callable(on_update):
            raise TypeError(f"on_update must be a function or None, got {on_update!r}")
        if path is not None and not os.fspath(path):
            raise ValueError("expected the path of a file, or None, got an empty one")
        self._path = None if path is None else Path(path).resolve()
        if self._path is not None and self._path.exists() and not self._path.is_file():
            raise FileExistsError(f"expected a file, but {str(path)!r} is something else")
        self._pid = os.getpid()
        self._interval = interval
        self._points = points
        self._on_update = on_update
        self._log = ObjectLogger(logger, f"Recorder({str(path)!r})")
        self._recordings: dict[int, _Recording] = {}
        self._count = 0
        self._closed = False
        self._saved = time.monotonic()
        # What waits to be written: the last copy alone.
        self._waiting: deque[dict[str, dict[str, Any]]] = deque(maxlen=1)
        self._write({})
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="recorder")

    @property
    def count(self) -> int:
        """The number of connections that were added."""
        return self._count

    def add(self, pc: RTCPeerConnection) -> None:
        """Record a connection from now on.

        Args:
            pc: A connection of restartice.

        Raises:
            TypeError: It isn't one.
            ValueError: The recorder is closed.
        """
        if not isinstance(pc, RTCPeerConnection):
            raise TypeError(f"expected an RTCPeerConnection of restartice, got {pc!r}")
        self._raise_if_closed()
        if self._is_forked:
            return
        self._count += 1
        if len(self._recordings) >= CONNECTIONS:
            ended = (n for n, recording in self._recordings.items() if recording.is_over)
            self._recordings.pop(next(ended, next(iter(self._recordings)))).stop()
        note = partial(self._note, self._count)
        recording = _Recording(self, pc, self._interval, self._points, self._log, tell=note)
        self._recordings[self._count] = recording

    def add_new(self) -> None:
        """Record each connection that this process makes from now on, until close().

        Raises:
            ValueError: The recorder is closed.
        """
        self._raise_if_closed()
        if self.add not in NEW:
            NEW.append(self.add)

    def save(self) -> None:
        """Write the file.

        Raises:
            OSError: It can't be written.
        """
        if self._is_forked:
            return  # the file is that of the process which was forked
        copied = self._copy()
        try:
            # After what is being written, which is older.
            written = self._writer.submit(self._write, copied)
        except RuntimeError:  # it is closed
            self._write(copied)
        else:
            written.result()

    def close(self) -> None:
        """Stop recording, and write the file.

        Raises:
            OSError: It can't be written.
        """
        self._closed = True
        with suppress(ValueError):
            NEW.remove(self.add)
        for recording in self._recordings.values():
            recording.stop()
        self._writer.shutdown()
        self.save()

    def _raise_if_closed(self) -> None:
        if self._closed:
            raise ValueError("expected an open Recorder, but this one is closed")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def save_soon(self, *, now: bool) -> None:
        """Write the file in another thread, if it is time.

        Args:
            now: Whether something has happened that must not be lost.
        """
        if self._is_forked or not (now or time.monotonic() - self._saved >= SAVE_INTERVAL):
            return
        self._saved = time.monotonic()
        self._waiting.append(self._copy())
        with suppress(RuntimeError):  # close() writes it
            self._writer.submit(self._try_to_write)

    def _note(self, number: int, time: float, kind: str, value: Any) -> None:
        """Tell the program what was recorded."""
        if self._on_update is not None:
            self._on_update(number, time, kind, value)

    @property
    def _is_forked(self) -> bool:
        return os.getpid() != self._pid

    def _copy(self) -> dict[str, dict[str, Any]]:
        recordings = list(self._recordings.items())
        return {f"{os.getpid()}-{n}": recording.record.copy() for n, recording in recordings}

    def _try_to_write(self) -> None:
        try:
            while self._waiting:
                self._write(self._waiting.popleft())
        except OSError as error:
            self._log.warning("can't be written: %s", error)

    def _write(self, copied: dict[str, dict[str, Any]]) -> None:
        if self._path is None:
            return
        dump: dict[str, Any] = {
            "timestamp": time.time() * 1000,
            "getUserMedia": [],
            "PeerConnections": {name: as_json(each) for name, each in copied.items()},
            "UserAgent": f"restartice/{version('restartice')} aiortc/{version('aiortc')} "
            f"Python/{platform.python_version()} ({platform.system()})",
            "UserAgentData": None,
        }
        part = self._path.with_name(f"{self._path.name}.part")
        part.write_text(json.dumps(dump, indent=1), encoding="utf-8")
        part.replace(self._path)


class _Recording:
    """Observes one connection."""

    def __init__(
        self,
        recorder: Recorder,
        pc: RTCPeerConnection,
        interval: float,
        points: int,
        log: ObjectLogger,
        *,
        tell: Callable[[float, str, Any], None],
    ) -> None:
        configuration = configuration_of(pc.getConfiguration())
        url = Path(sys.argv[0] or "python").name
        self.record = Record(url, os.getpid(), configuration, points)
        self._recorder = recorder
        self._pc = weakref.ref(pc)
        self._interval = interval
        self._log = log
        self._tell = tell
        self._transceivers: list[dict[str, Any]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopped = False
        self._observers = pc._core.state.observers
        self._observers.append(self.observe)

    @property
    def is_over(self) -> bool:
        """Whether the connection is closed, or was dropped."""
        pc = self._pc()
        return pc is None or pc.connectionState == "closed"

    def stop(self) -> None:
        """Observe the connection no longer."""
        self._stopped = True
        if self.observe in self._observers:
            self._observers.remove(self.observe)
        if self._timer is not None:
            self._timer.cancel()

    def observe(self, what: str, name: str, value: Any) -> None:
        """Note a call, its result, or an event."""
        pc = self._pc()
        if pc is None:
            return
        try:
            now = time.time() * 1000
            if (update := update_of(pc, what, name, value)) is not None:
                self._update(*update, now)
            if what in {"return", "failure"}:
                self._look_at_transceivers(pc, name, now)
            if name == "connectionstatechange" or (self._timer is None and self._task is None):
                self._sample_soon(0)
            if name == "connectionstatechange" and pc.connectionState in ENDS:
                self._recorder.save_soon(now=True)
        except Exception:  # noqa: BLE001  what goes wrong here must not end a call
            self._log.exception("%s %s isn't recorded", name, what)

    def _look_at_transceivers(self, pc: RTCPeerConnection, reason: str, now: float) -> None:
        """Note transceivers that are new or have changed."""
        for index, transceiver in enumerate(pc.getTransceivers()):
            seen = transceiver_of(transceiver)
            is_new = index >= len(self._transceivers)
            if is_new:
                self._transceivers.append(seen)
            elif self._transceivers[index] == seen:
                continue
            self._transceivers[index] = seen
            kind = "transceiverAdded" if is_new else "transceiverModified"
            self._update(kind, {**seen, "reason": reason, "transceiverIndex": index}, now)

    def _update(self, kind: str, value: Any, now: float) -> None:
        self.record.update(kind, value, now)
        self._tell(now, kind, value)

    def _sample_soon(self, delay: float) -> None:
        with suppress(RuntimeError):  # no loop runs yet, or no longer
            loop = asyncio.get_running_loop()
            if self._timer is not None:
                self._timer.cancel()
            self._timer = loop.call_later(delay, self._begin_sample)

    def _begin_sample(self) -> None:
        self._timer = None
        if not self.is_over and self._task is None and not self._stopped:
            self._task = asyncio.get_running_loop().create_task(self._sample())

    async def _sample(self) -> None:
        try:
            if (pc := self._pc()) is not None:
                report = await pc.getStats()
                del pc
                self.record.sample(map(_values_of, report.values()))
                self._recorder.save_soon(now=False)
        except Exception:  # noqa: BLE001  as when the connection is closed meanwhile
            self._log.debug("the statistics aren't recorded", exc_info=True)
        finally:
            self._task = None
            if not self._stopped:
                self._sample_soon(self._interval)


def _values_of(entry: RTCStats) -> tuple[str, str, float, dict[str, Any]]:
    """Return the id, the type, the time in milliseconds since 1970 and the attributes."""
    values = dataclasses.asdict(entry)
    identifier, moment = values.pop("id"), values.pop("timestamp")
    if entry.type in {"local-candidate", "remote-candidate"}:
        values["isRemote"] = entry.type == "remote-candidate"
    return identifier, entry.type, moment.timestamp() * 1000, values
