"""One window: a JavaScript context, the Python objects that it knows by number, and its timers."""

import asyncio
import dataclasses
import functools
import inspect
import itertools
import json
import math
import re
import time
import traceback
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import aiortc
import quickjs

from .dictionaries import codec_from, dictionary
from .eager import start
from .library import INTERFACES, Library

__all__ = ["Realm", "scripts"]

JS = Path(__file__).parent / "js"
STACK = 4 * 1024 * 1024
CLOSING_LIMIT = 20.0
UNDEFINED = object()
SCRIPT = re.compile(
    r"""<script(?:\s+src\s*=\s*["']?(?P<src>[^"'>\s]+)["']?)?[^>]*>(?P<text>.*?)</script>""",
    re.DOTALL | re.IGNORECASE,
)


class _Answer(str):
    """An answer for JavaScript that is in its form already."""

    __slots__ = ()


def scripts(document: str) -> list[tuple[str | None, str]]:
    """Return the address, or the text, of each script of a page."""
    return [(match["src"], match["text"]) for match in SCRIPT.finditer(document)]


class Realm:
    """A window with the interfaces of WebRTC.

    Python enters it by `evaluate`, or by events, timers, messages and settled promises; each time,
    all jobs of JavaScript run before it is left, so promise reactions come before later tasks.
    """

    _numbers = itertools.count()

    def __init__(
        self, library: Library, parent: "Realm | None" = None, time_limit: float = 10.0
    ) -> None:
        self.number = next(self._numbers)
        self.results: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.errors: list[str] = []
        self._library = library
        self._parent = parent
        self._time_limit = time_limit
        self._windows: dict[int, Realm] = {} if parent is None else parent._windows
        self._windows[self.number] = self
        self._objects: list[Any] = []
        self._ids: dict[int, int] = {}
        self._depth = 0
        self._promises = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._context = quickjs.Context()
        self._context.set_max_stack_size(STACK)
        self._context.add_callable("__host", self._serve)
        sources = "\n".join(
            (JS / name).read_text() for name in ("dom.js", "values.js", "webrtc.js")
        )
        self._context.eval(f"(() => {{\n{sources}\n}})();")
        self._enter = self._context.eval("(name, ...args) => __bridge[name](...args)")

    # Into JavaScript.

    def evaluate(self, source: str) -> None:
        """Run a classic script; promise reactions wait for `run_jobs`."""
        self._depth += 1
        try:
            self._context.eval(source)
        finally:
            self._depth -= 1

    def load_harness(self) -> None:
        """Have the results of testharness.js handed over."""
        source = (JS / "harness.js").read_text()
        self.evaluate(f"(() => {{\n{source}\n}})();")

    def run_jobs(self) -> None:
        """Run the reactions of promises."""
        if self._depth:
            return
        self._depth += 1
        try:
            while self._run_job():
                pass
        finally:
            self._depth -= 1

    def _run_job(self) -> bool:
        try:
            return bool(self._context.execute_pending_job())
        except quickjs.JSException as error:
            self.errors.append(str(error))
            return True

    def _call(self, name: str, *args: Any) -> None:
        self._depth += 1
        try:
            self._enter(name, *args)
        except quickjs.JSException as error:
            self.errors.append(str(error))
        finally:
            self._depth -= 1
        self.run_jobs()

    # Out of JavaScript.

    def _serve(self, operation: str, text: str) -> str:
        try:
            args = self._decode(json.loads(text))
            served = getattr(self, f"_do_{operation}")(*args)
        except Exception as error:  # noqa: BLE001  # it is handed over
            return self._failure(error)
        return served if isinstance(served, _Answer) else self._success(served)

    def _success(self, value: Any) -> str:
        return json.dumps({"value": self._encode(value)})

    def _failure(self, error: BaseException) -> str:
        if not isinstance(error, AttributeError):
            self.errors.append("".join(traceback.format_exception(error)))
        return json.dumps({"error": self._library.error(error)})

    def _do_connection(self, configuration: Mapping[str, Any]) -> int:
        return self._number(self._library.connection(configuration))

    def _do_stream(self, tracks: list[aiortc.MediaStreamTrack]) -> int:
        return self._number(self._library.stream(tracks))

    def _do_watch(self, target: Any, interface: str) -> None:
        self._watch(target, interface)

    def _do_get(self, target: Any, name: str) -> Any:
        return getattr(target, name) if hasattr(target, name) else UNDEFINED

    def _do_has(self, target: Any, name: str) -> bool:
        return hasattr(target, name)

    def _do_set(self, target: Any, name: str, value: Any) -> None:
        setattr(target, name, value)

    def _do_static(self, interface: str, method: str, args: list[Any]) -> Any:
        returned = self._library.static(interface, method, *args)
        return self._promise(returned) if inspect.iscoroutine(returned) else returned

    def _do_call(
        self, target: Any, name: str, args: list[Any], options: Mapping[str, Any]
    ) -> "Any | _Answer":
        returned = self._library.call(target, name, args, options)
        if not inspect.iscoroutine(returned):
            return returned
        return self._promise(returned)

    def _promise(self, coroutine: Coroutine[Any, Any, Any]) -> "_Answer":
        """Start a coroutine. An error rejects as soon as it is known, a result comes later."""
        number = next(self._promises)
        at_once: list[tuple[str, BaseException | None]] = []

        def done(result: Any, error: BaseException | None) -> None:
            text = self._success(result) if error is None else self._failure(error)
            if waiting:
                self._call("settle", number, text)
            else:
                at_once.append((text, error))

        waiting = False
        task = start(coroutine, done)
        waiting = True
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        for text, error in at_once:
            if error is not None:
                return _Answer(text)
            asyncio.get_running_loop().call_soon(self._call, "settle", number, text)
        return _Answer(json.dumps({"promise": number}))

    def _do_parseCandidate(self, init: Mapping[str, Any]) -> dict[str, Any] | None:  # noqa: N802
        return self._library.parse_candidate(init)

    def _do_media(self, kind: str) -> Any:
        return self._library.track(kind)

    def _do_now(self) -> float:
        return time.monotonic() * 1000

    def _do_origin(self) -> float:
        return (time.time() - time.monotonic()) * 1000

    def _do_log(self, message: str) -> None:
        self.errors.append(message)

    def _do_utf8(self, text: str) -> bytes:
        return text.encode()

    def _do_text(self, data: bytes) -> str:
        return data.decode(errors="replace")

    def _do_limit(self) -> float:
        return self._time_limit * 1000

    def _do_timer(self, task: int, delay: float) -> None:
        asyncio.get_running_loop().call_later(delay / 1000, self._call, "runTask", task)

    def _do_window(self) -> int:
        return self.number

    def _do_parent(self) -> int | None:
        return None if self._parent is None else self._parent.number

    def _do_post(self, window: int, text: str) -> None:
        target = self._windows[window]
        asyncio.get_running_loop().call_soon(target._call, "receiveMessage", text)

    def _do_frame(self, document: str) -> int:
        frame = Realm(self._library, self)
        asyncio.get_running_loop().call_soon(self._load_frame, frame, document)
        return frame.number

    def _load_frame(self, frame: "Realm", document: str) -> None:
        for _, source in scripts(document):
            frame.evaluate(source)
        frame.run_jobs()
        self._call("frameLoaded", frame.number)

    def _do_results(self, results: dict[str, Any]) -> None:
        if not self.results.done():
            self.results.set_result(results)

    # Values.

    def _number(self, target: Any) -> int:
        if (number := self._ids.get(id(target))) is None:
            number = self._ids[id(target)] = len(self._objects)
            self._objects.append(target)
        return number

    def _watch(self, target: Any, interface: str) -> None:
        for event in INTERFACES[interface][1]:
            if hasattr(target, "on"):
                target.on(event, functools.partial(self._emitted, target, event))

    def _emitted(self, target: Any, event: str, payload: Any = None) -> None:
        if event == "track":
            payload = self._track_event(target, payload)
        self._call("fire", self._ids[id(target)], event, json.dumps(self._encode(payload)))

    @staticmethod
    def _track_event(connection: Any, track: aiortc.MediaStreamTrack) -> dict[str, Any]:
        transceiver = next(t for t in connection.getTransceivers() if t.receiver.track is track)
        receiver = transceiver.receiver
        streams = list(getattr(track, "streams", ()))
        return {
            "receiver": receiver,
            "track": track,
            "transceiver": transceiver,
            "streams": streams,
        }

    def _encode(self, value: Any) -> Any:
        if value is UNDEFINED:
            return {"$undefined": True}
        if value == math.inf:
            return {"$infinity": True}  # which JSON doesn't have
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if (encoded := self._library.encode(value)) is not NotImplemented:
            return encoded
        if (interface := self._library.interface(value)) is not None:
            return self._reference(value, interface)
        return self._encode_structure(value)

    def _reference(self, value: Any, interface: str) -> dict[str, Any]:
        if id(value) not in self._ids:
            self._number(value)
            self._watch(value, interface)
        return {"$ref": self._ids[id(value)], "$type": interface}

    def _encode_structure(self, value: Any) -> Any:
        if isinstance(value, aiortc.RTCStatsReport):
            return {"$map": [[key, self._encode(item)] for key, item in value.items()]}
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            value = dictionary(value)
        if isinstance(value, Mapping):
            return {str(key): self._encode(item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._encode(item) for item in value]
        return str(value)

    def _decode(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._decode(item) for item in value]
        if not isinstance(value, dict):
            return value
        decoders: dict[str, Callable[[Any], Any]] = {
            "$ref": self._objects.__getitem__,
            "$bytes": lambda text: text.encode("latin-1"),
            "$description": self._library.description,
            "$candidate": self._library.candidate,
            "$codecs": lambda codecs: [codec_from(codec) for codec in codecs],
            "$configuration": lambda init: self._library.configuration(self._decode(init)),
            "$encodings": self._library.encodings,
            "$parameters": self._library.parameters,
        }
        for key, decoder in decoders.items():
            if key in value:
                return decoder(value[key])
        return {key: self._decode(item) for key, item in value.items()}

    async def close(self) -> None:
        """Close all connections of this window and its frames."""
        closing: list[asyncio.Future[None]] = []
        for target in [t for realm in self._windows.values() for t in realm._objects]:
            if isinstance(target, aiortc.RTCPeerConnection):
                closing.append(asyncio.ensure_future(target.close()))
            elif isinstance(target, aiortc.MediaStreamTrack):
                target.stop()
        if not closing:
            return
        # One that failed to close the first time is never closed in plain aiortc.
        done, remaining = await asyncio.wait(closing, timeout=CLOSING_LIMIT)
        for task in remaining:
            task.cancel()
        failed = [task for task in done if not task.cancelled() and task.exception()]
        if remaining or failed:
            self.errors.append(f"{len(remaining)} never closed, {len(failed)} failed to")
