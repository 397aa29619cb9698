"""fastapi-webrtc's engine, with connections that restart ICE. It needs Python 3.12."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiortc import AudioStreamTrack, RTCSessionDescription

from connecting import DEADLINE, sending_ufrags, wait_connected, wait_restarted
from downstream.remote import Remote

engine = pytest.importorskip("fastapi_webrtc.engine")
ours = pytest.importorskip("restartice_signaling.fastapi_webrtc")

RESTARTS = 3


class Session:
    """What a session of fastapi-webrtc does with its engine, and hears from it."""

    def __init__(self) -> None:
        self.engine = ours.RestartingEngine()
        self.peer: Any = None
        self.track_kind = ""
        self.states: list[str] = []
        self.messages = asyncio.Queue[str]()

    async def signal(self, offer: RTCSessionDescription) -> RTCSessionDescription:
        """Handle an offer of the client."""
        await self.peer.set_remote_description(
            engine.SessionDescription(type=engine.DescriptionType("offer"), sdp=offer.sdp)
        )
        answer = await self.peer.create_answer()
        return RTCSessionDescription(answer.sdp, answer.type.value)

    def ice_candidate(self, _: object) -> None:
        """Have it in the description."""

    def connection_state(self, state: Any) -> None:
        self.states.append(state.value)

    def track(self, track: Any) -> None:
        self.track_kind = track.kind.value

    def data_channel(self, channel: Any) -> None:
        channel.observe(
            on_open=lambda: None,
            on_message=self.messages.put_nowait,
            on_close=lambda: None,
            on_buffered_amount_low=lambda: None,
        )


@asynccontextmanager
async def call() -> AsyncIterator[tuple[Session, Remote]]:
    """Connect a client, which sends sound and gets some."""
    session = Session()
    session.peer = await session.engine.create_peer(engine.PeerConfig(), session)
    session.peer.add_track(AudioStreamTrack())
    try:
        async with Remote(session.signal, "audio") as remote:
            await remote.connect()
            await wait_connected(session.peer.connection)
            yield session, remote
    finally:
        await session.peer.close()


async def check(session: Session, remote: Remote, text: str) -> None:
    """Check that sound and messages come."""
    await remote.receive()
    remote.channel.send(text)
    async with asyncio.timeout(DEADLINE):
        assert await session.messages.get() == text


async def test_clients_may_restart() -> None:
    assert ours.RestartingEngine().capabilities.ice_restart
    async with call() as (session, remote):
        for number in range(RESTARTS):
            await remote.restart()
            await check(session, remote, f"after restart {number}")
        assert session.states.count("connected") == 1
        assert session.track_kind == "audio"


async def test_the_server_may_restart() -> None:
    async with call() as (session, remote):
        for number in range(RESTARTS):
            pcs = (remote.pc, session.peer.connection)
            before = [sending_ufrags(pc) for pc in pcs]
            offer = await session.peer.create_offer(ice_restart=True)
            await remote.pc.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
            await remote.pc.setLocalDescription()
            answer = remote.pc.localDescription
            await session.peer.set_remote_description(
                engine.SessionDescription(type=engine.DescriptionType("answer"), sdp=answer.sdp)
            )
            await wait_restarted(*pcs, since=before)
            await check(session, remote, f"after restart {number}")
