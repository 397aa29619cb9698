"""The libraries that can be measured: aiortc, and restartice, which takes its place.

Here arguments become the library's values, and its values and errors those of JavaScript. A member
that the library lacks stays absent, and an argument that a method doesn't know is left out, as
WebIDL does with unknown members of dictionaries.
"""

import dataclasses
import datetime as dt
import enum
import inspect
import uuid
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import aiortc
from aiortc.sdp import candidate_from_sdp, candidate_to_sdp

from .dictionaries import codec_from

__all__ = ["INTERFACES", "Library"]


class StandInStream:
    """A name that tracks share, for a library that has no media streams."""

    def __init__(self) -> None:
        self.id = str(uuid.uuid4())
        self._tracks: list[aiortc.MediaStreamTrack] = []

    def getTracks(self) -> list[aiortc.MediaStreamTrack]:  # noqa: N802
        """Return its tracks."""
        return list(self._tracks)

    def addTrack(self, track: aiortc.MediaStreamTrack) -> None:  # noqa: N802
        """Add a track."""
        if track not in self._tracks:
            self._tracks.append(track)

    def removeTrack(self, track: aiortc.MediaStreamTrack) -> None:  # noqa: N802
        """Remove a track."""
        if track in self._tracks:
            self._tracks.remove(track)


# The interfaces whose objects JavaScript knows by number, with the events it may listen to.
INTERFACES: dict[str, tuple[type, tuple[str, ...]]] = {
    "RTCPeerConnection": (
        aiortc.RTCPeerConnection,
        (
            "negotiationneeded",
            "icecandidate",
            "icecandidateerror",
            "signalingstatechange",
            "iceconnectionstatechange",
            "icegatheringstatechange",
            "connectionstatechange",
            "track",
            "datachannel",
        ),
    ),
    "RTCCertificate": (aiortc.RTCCertificate, ()),
    "MediaStreamTrack": (aiortc.MediaStreamTrack, ("ended", "mute", "unmute")),
    "RTCDataChannel": (
        aiortc.RTCDataChannel,
        ("open", "bufferedamountlow", "error", "closing", "close", "message"),
    ),
    "RTCDtlsTransport": (aiortc.RTCDtlsTransport, ("statechange", "error")),
    "RTCIceTransport": (
        aiortc.RTCIceTransport,
        ("statechange", "gatheringstatechange", "selectedcandidatepairchange"),
    ),
    "MediaStream": (StandInStream, ("addtrack", "removetrack")),
    "RTCRtpReceiver": (aiortc.RTCRtpReceiver, ()),
    "RTCRtpSender": (aiortc.RTCRtpSender, ()),
    "RTCRtpTransceiver": (aiortc.RTCRtpTransceiver, ()),
    "RTCSctpTransport": (aiortc.RTCSctpTransport, ("statechange",)),
}

DOM_EXCEPTIONS = {
    "IceServerSyntaxError": "SyntaxError",
    "InvalidAccessError": "InvalidAccessError",
    "InvalidModificationError": "InvalidModificationError",
    "InvalidStateError": "InvalidStateError",
    "NotSupportedError": "NotSupportedError",
    "OperationError": "OperationError",
}
# Errors for which Python has a word of its own.
JS_ERRORS = {
    "TypeError": "TypeError",
    "RangeError": "RangeError",
    "InternalError": "TypeError",
    "ValueError": "TypeError",
}


class Library:
    """What the tests are run on: the names of a module."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._stream: type = getattr(module, "MediaStream", StandInStream)

    # From JavaScript.

    def connection(self, configuration: Mapping[str, Any]) -> Any:
        """Make a connection."""
        return self._module.RTCPeerConnection(self.configuration(configuration))

    def stream(self, tracks: list[aiortc.MediaStreamTrack]) -> Any:
        """Make a media stream."""
        stream = self._stream()
        for track in tracks:
            stream.addTrack(track)
        return stream

    def configuration(self, init: Mapping[str, Any]) -> Any:
        """Make the library's RTCConfiguration."""
        servers = [self._filled(aiortc.RTCIceServer, server) for server in init["iceServers"]]
        values = {**init, "iceServers": servers}
        for name, kind in (
            ("bundlePolicy", aiortc.RTCBundlePolicy),
            ("iceTransportPolicy", aiortc.RTCIceTransportPolicy),
        ):
            if name in values:
                values[name] = kind(values[name])
        return self._filled(self._module.RTCConfiguration, values)

    @staticmethod
    def _filled(kind: type, values: Mapping[str, Any]) -> Any:
        names = {field.name for field in dataclasses.fields(kind)}
        return kind(**{name: value for name, value in values.items() if name in names})

    def description(self, init: Mapping[str, str]) -> Any:
        """Make the library's RTCSessionDescription."""
        return self._module.RTCSessionDescription(sdp=init["sdp"], type=init["type"])

    def parameters(self, init: Mapping[str, Any]) -> Any:
        """Make the library's RTCRtpSendParameters, of which JavaScript changes the encodings."""
        values = {name: self._parameter(name, value) for name, value in init.items()}
        return self._filled(self._module.RTCRtpSendParameters, values)

    def encodings(self, init: list[Mapping[str, Any]]) -> Any:
        """Make the library's RTCRtpEncodingParameters, or leave alone what it doesn't have."""
        kind = getattr(self._module, "RTCRtpEncodingParameters", None)
        if kind is None:
            return init
        with_codecs = [
            {**item, "codec": codec_from(item["codec"])} if "codec" in item else item
            for item in init
        ]
        return [self._filled(kind, item) for item in with_codecs]

    def _parameter(self, name: str, value: Any) -> Any:
        if name == "encodings":
            return self.encodings(value)
        if name == "codecs":
            return [codec_from(codec) for codec in value]
        if name == "headerExtensions":
            extension = aiortc.RTCRtpHeaderExtensionParameters
            return [self._filled(extension, item) for item in value]
        if name == "rtcp":
            kind = getattr(self._module, "RTCRtcpParameters", aiortc.RTCRtcpParameters)
            return self._filled(kind, value)
        return value

    def candidate(self, init: Mapping[str, Any]) -> Any:
        """Make what the library's addIceCandidate takes."""
        if hasattr(self._module.RTCIceCandidate, "fromJSON"):
            return init if any(value not in {None, ""} for value in init.values()) else None
        if not init["candidate"]:
            return None
        candidate = candidate_from_sdp(init["candidate"].removeprefix("candidate:"))
        candidate.sdpMid = init["sdpMid"]
        candidate.sdpMLineIndex = init["sdpMLineIndex"]
        return candidate

    def parse_candidate(self, init: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the fields of a candidate line, or None if it can't be read."""
        try:
            candidate = self._module.RTCIceCandidate.fromJSON(init)
        except (AttributeError, ValueError):
            return None
        return None if candidate is None else dataclasses.asdict(candidate)

    def track(self, kind: str) -> aiortc.MediaStreamTrack:
        """Make a track with generated media."""
        track = aiortc.AudioStreamTrack() if kind == "audio" else aiortc.VideoStreamTrack()
        vars(track).setdefault("muted", False)
        return track

    def static(self, interface: str, method: str, *args: Any) -> Any:
        """Call a class method."""
        return getattr(getattr(self._module, interface), method)(*args)

    def call(self, target: Any, name: str, args: list[Any], options: Mapping[str, Any]) -> Any:
        """Call a method with those of the options that it has."""
        method = getattr(target, name)
        known = inspect.signature(method).parameters
        kinds = {parameter.kind for parameter in known.values()}
        if inspect.Parameter.VAR_POSITIONAL not in kinds:
            args = args[: len(known)]
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            options = {key: value for key, value in options.items() if key in known}
        return method(*args, **options)

    # To JavaScript.

    def interface(self, value: Any) -> str | None:
        """Return the interface of an object that JavaScript knows by number."""
        if isinstance(value, self._stream):
            return "MediaStream"
        return next((n for n, (kind, _) in INTERFACES.items() if isinstance(value, kind)), None)

    def encode(self, value: Any) -> Any:
        """Return a value in the form that bridge.js reads, or NotImplemented."""
        encoders: tuple[tuple[type, Callable[[Any], Any]], ...] = (
            (aiortc.RTCSessionDescription, lambda d: {"$description": vars(d)}),
            (aiortc.RTCIceCandidate, lambda c: {"$candidate": self._candidate_init(c)}),
            (enum.Enum, lambda member: member.value),
            (dt.datetime, lambda time: time.timestamp() * 1000),
            (Exception, lambda error: {"$error": self.error(error)}),
            (bytes, lambda data: {"$bytes": data.decode("latin-1")}),
        )
        encode = (encode for kind, encode in encoders if isinstance(value, kind))
        return next(encode, lambda _: NotImplemented)(value)

    @staticmethod
    def _candidate_init(candidate: aiortc.RTCIceCandidate) -> dict[str, Any]:
        if hasattr(candidate, "toJSON"):
            init: dict[str, Any] = candidate.toJSON()
            return init
        return {
            "candidate": f"candidate:{candidate_to_sdp(candidate)}",
            "sdpMid": candidate.sdpMid,
            "sdpMLineIndex": candidate.sdpMLineIndex,
        }

    @staticmethod
    def error(error: BaseException) -> dict[str, Any]:
        """Return what JavaScript throws for an exception."""
        names = [kind.__name__ for kind in type(error).__mro__]
        message = f"{names[0]}: {error}"
        if hasattr(error, "errorDetail"):
            return {"kind": "rtc", "name": "OperationError", "message": message, **vars(error)}
        for name in names:
            if name in DOM_EXCEPTIONS:
                return {"kind": "dom", "name": DOM_EXCEPTIONS[name], "message": message}
            if name in JS_ERRORS:
                return {"kind": "js", "name": JS_ERRORS[name], "message": message}
        return {"kind": "js", "name": "Error", "message": message}
