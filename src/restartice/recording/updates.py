"""Puts calls, their results and events into the words of a webrtc-internals dump."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import aiortc
from aiortc.rtcconfiguration import RTCConfiguration as AiortcConfiguration

from ..ice.candidate import RTCIceCandidate, checked, with_ufrag
from .dump import without_secrets

__all__ = ["configuration_of", "transceiver_of", "update_of"]

STATES: Final = {
    "connectionstatechange": "connectionState",
    "iceconnectionstatechange": "iceConnectionState",
    "icegatheringstatechange": "iceGatheringState",
    "signalingstatechange": "signalingState",
}
DESCRIBING: Final = {"createOffer", "createAnswer", "setLocalDescription", "setRemoteDescription"}
CREATING: Final = {"createOffer", "createAnswer"}
Update = tuple[str, Any]


def update_of(pc: aiortc.RTCPeerConnection, what: str, name: str, value: Any) -> Update | None:
    """Return the type and the details of an update; None if a dump doesn't have such ones.

    Args:
        pc: The connection.
        what: "call", "return", "failure" or "event".
        name: The name of the method, or of the event.
        value: The arguments by name, the result, the exception, or the arguments of the event.
    """
    if what == "event":
        return _event(pc, name, value)
    if what == "call":
        candidate = value.get("candidate")
        details = _arguments(name, value)
        return None if name == "addIceCandidate" and candidate and not details else (name, details)
    if what == "failure":
        kind = "addIceCandidateFailed" if name == "addIceCandidate" else f"{name}OnFailure"
        return kind, without_secrets(f"{type(value).__name__}: {value}")
    if name not in DESCRIBING:
        return None
    if name == "setLocalDescription":
        value = pc.localDescription  # with the candidates, and also if the call had no argument
    return f"{name}OnSuccess", _description(value)


def configuration_of(configuration: Any) -> dict[str, Any]:
    """Return a configuration with the URLs of its servers, but no user name and no credential."""
    servers = getattr(configuration, "iceServers", None) or []
    urls = [[s.urls] if isinstance(s.urls, str) else list(s.urls) for s in servers if s.urls]
    policies = {
        name: str(getattr(policy, "value", policy))
        for name in ("iceTransportPolicy", "bundlePolicy", "rtcpMuxPolicy")
        if (policy := getattr(configuration, name, None)) is not None
    }
    return {"iceServers": [{"urls": each} for each in urls], **policies}


def transceiver_of(transceiver: aiortc.RTCRtpTransceiver) -> dict[str, Any]:
    """Return what a dump says of a transceiver."""
    sender, receiver = transceiver.sender.track, transceiver.receiver.track
    return {
        "mid": transceiver.mid,
        "kind": transceiver.kind,
        "sender": {"track": None if sender is None else sender.id},
        "receiver": {"track": None if receiver is None else receiver.id},
        "direction": transceiver.direction,
        "currentDirection": transceiver.currentDirection,
    }


def _event(pc: aiortc.RTCPeerConnection, name: str, args: tuple[Any, ...]) -> Update | None:
    details: Any = None
    if name in STATES:
        # In a dump the states are in quotes.
        details = f'"{getattr(pc, STATES[name])}"'
    elif name == "icecandidate":
        if (details := _candidate(args[0])) is None:
            return None
    elif name == "icecandidateerror":
        details = vars(args[0])
    elif name == "track":
        details = {"id": args[0].id, "kind": args[0].kind}
    elif name == "datachannel":
        details = {"label": args[0].label, "protocol": args[0].protocol}
    return f"on{name}", details


def _arguments(name: str, values: Mapping[str, Any]) -> Any:
    if name in DESCRIBING - CREATING:
        return _description(values.get("sessionDescription"))
    if name == "addIceCandidate":
        return _candidate(values.get("candidate"))
    if name == "setConfiguration":
        given = values.get("configuration")
        return configuration_of(given) if isinstance(given, AiortcConfiguration) else None
    plain = {key: _plain(value) for key, value in values.items()}
    return plain or None


def _plain(value: Any) -> Any:
    """Return an argument as JSON has it: of a track, its kind and id, of others their type."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if hasattr(value, "kind"):
        return {"id": getattr(value, "id", None), "kind": value.kind}
    return getattr(value, "id", None) or type(value).__name__


def _description(description: Any) -> dict[str, Any] | None:
    if not isinstance(description, aiortc.RTCSessionDescription):
        return None
    return {"type": description.type, "sdp": without_secrets(description.sdp)}


def _candidate(candidate: Any) -> dict[str, Any] | None:
    """Return a candidate; None for the end of candidates, and for what isn't one."""
    with suppress(TypeError, ValueError):
        if (read := checked(candidate)) is not None:
            form = RTCIceCandidate(**vars(with_ufrag(read, None))).toJSON()
            return form if form["candidate"] else None
    return None
