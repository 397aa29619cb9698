"""A program that replaces or wraps classes of aioice and aiortc, as many do, and makes a call.

Run it with the kind of patch, and with `before` or `after`: when, with regard to the import of
restartice, it patches. It prints nothing, and fails if there is no call, or a restart leaves it on
the pair that it was on.
"""

import asyncio
import functools
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

import aioice
import aioice.ice
import aioice.turn
import aioice.utils

DEADLINE: Final = 60.0
UFRAG, PASSWORD = "shared", "a" * 22
KINDS: dict[str, Callable[[], None]] = {}


def kind(patch: Callable[[], None]) -> Callable[[], None]:
    KINDS[patch.__name__] = patch
    return patch


class Forcing(aioice.Connection):
    """Has the same credentials in all instances, as unitree_webrtc_connect's does."""

    local_username = UFRAG
    local_password = PASSWORD

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.local_username = Forcing.local_username
        self.local_password = Forcing.local_password


class Fixed(aioice.Connection):
    """Has them as properties that nobody can set."""

    @property
    def local_username(self) -> str:
        return UFRAG

    @property
    def local_password(self) -> str:
        return PASSWORD


@kind
def subclass_in_aioice() -> None:
    vars(aioice)["Connection"] = Forcing


@kind
def subclass_where_aioice_defines_it() -> None:
    vars(aioice)["Connection"] = vars(aioice.ice)["Connection"] = Forcing


@kind
def subclass_in_aiortc() -> None:
    ice_transport()["Connection"] = Forcing


@kind
def subclass_with_properties() -> None:
    ice_transport()["Connection"] = Fixed


@kind
def function_in_place_of_the_class() -> None:
    def make(**kwargs: Any) -> aioice.Connection:
        return Forcing(**kwargs)

    ice_transport()["Connection"] = make


@kind
def init_of_connections() -> None:
    init = aioice.Connection.__init__

    def imposing(self: Any, *args: Any, **kwargs: Any) -> None:
        kwargs |= {"local_username": UFRAG, "local_password": PASSWORD}
        init(self, *args, **kwargs)

    vars(aioice)["Connection"].__init__ = imposing


@kind
def init_of_connections_with_its_name() -> None:
    init = aioice.Connection.__init__

    @functools.wraps(init)
    def imposing(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        self._local_username, self._local_password = UFRAG, PASSWORD

    vars(aioice)["Connection"].__init__ = imposing


@kind
def init_of_each_class() -> None:
    for owner in classes():
        wrap_init(owner, lambda wrapper: wrapper)


@kind
def init_of_each_class_with_its_name() -> None:
    for owner in classes():
        wrap_init(owner, functools.wraps(vars(owner)["__init__"]))


@kind
def subclass_of_each_class_where_it_is_defined() -> None:
    for owner in classes():
        vars(sys.modules[owner.__module__])[owner.__name__] = derived(owner)


@kind
def subclass_of_each_class_wherever_it_is() -> None:
    for owner in classes():
        replace_everywhere(owner, derived(owner))


@kind
def function_in_place_of_the_exported_connection() -> None:
    import aiortc  # noqa: PLC0415

    vars(aiortc)["RTCPeerConnection"] = functools.partial(aiortc.RTCPeerConnection)


def ice_transport() -> dict[str, Any]:
    import aiortc.rtcicetransport  # noqa: PLC0415  some patch before that

    return vars(aiortc.rtcicetransport)


def classes() -> list[type]:
    """Return the classes of which restartice uses private names, or derives its own."""
    import aiortc.jitterbuffer  # noqa: PLC0415

    return [
        aioice.Connection,
        aioice.ice.CandidatePair,
        aioice.ice.StunProtocol,
        aioice.stun.Transaction,
        aioice.turn.TurnTransport,
        aiortc.MediaStreamTrack,
        aiortc.RTCConfiguration,
        aiortc.RTCDtlsTransport,
        aiortc.RTCIceCandidate,
        aiortc.RTCIceGatherer,
        aiortc.RTCIceTransport,
        aiortc.RTCPeerConnection,
        aiortc.RTCRtpReceiver,
        aiortc.RTCRtpSender,
        aiortc.RTCRtpTransceiver,
        aiortc.RTCSctpTransport,
        aiortc.jitterbuffer.JitterBuffer,
    ]


def wrap_init(owner: Any, name_as: Callable[[Any], Any]) -> None:
    init = owner.__init__

    @name_as
    def wrapper(self: object, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)

    owner.__init__ = wrapper


def derived(owner: Any) -> type:
    def init(self: object, *args: Any, **kwargs: Any) -> None:
        owner.__init__(self, *args, **kwargs)

    return type(f"Patched{owner.__name__}", (owner,), {"__init__": init, "__module__": __name__})


def replace_everywhere(owner: type, replacement: type) -> None:
    for name, module in list(sys.modules.items()):
        if isinstance(module, ModuleType) and name.split(".")[0] in {"aioice", "aiortc"}:
            for key, value in list(vars(module).items()):
                if value is owner:
                    vars(module)[key] = replacement


async def negotiate(near: Any, far: Any) -> None:
    await near.setLocalDescription(await near.createOffer())
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription(await far.createAnswer())
    await near.setRemoteDescription(far.localDescription)


async def call(module: ModuleType) -> None:
    configuration = module.RTCConfiguration(iceServers=[])
    near, far = (module.RTCPeerConnection(configuration) for _ in range(2))
    channel = near.createDataChannel("data")
    near.addTrack(module.AudioStreamTrack())
    opened, switched = asyncio.Event(), asyncio.Event()
    channel.on("open", opened.set)
    await negotiate(near, far)
    await opened.wait()
    transport = near.sctp.transport.transport
    before = transport.getLocalParameters().usernameFragment
    transport.on("selectedcandidatepairchange", switched.set)
    near.restartIce()
    await negotiate(near, far)
    await switched.wait()
    after = transport.getLocalParameters().usernameFragment
    assert after != before
    assert transport.getSelectedCandidatePair().local.usernameFragment == after
    await near.close()
    await far.close()


async def main(module: ModuleType) -> None:
    aioice.ice.get_host_addresses = lambda **_: ["127.0.0.1"]
    async with asyncio.timeout(DEADLINE):
        await call(module)


if __name__ == "__main__":
    _, chosen, when = sys.argv
    if when == "before":
        KINDS[chosen]()
    import restartice

    if when == "after":
        KINDS[chosen]()
    asyncio.run(main(restartice))
