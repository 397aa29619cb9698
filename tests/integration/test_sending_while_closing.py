"""Timers that send while a connection closes log no error."""

import asyncio
import gc
import logging
from collections.abc import Callable

import aiortc
import pytest

from connecting import connect
from restartice import RTCPeerConnection

Factory = Callable[..., RTCPeerConnection]


@pytest.fixture
async def ends(make_pc: Factory) -> tuple[RTCPeerConnection, aiortc.RTCDataChannel]:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    return near, echo.channel


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_between_the_closing_alert_and_closed(
    ends: tuple[RTCPeerConnection, aiortc.RTCDataChannel], caplog: pytest.LogCaptureFixture
) -> None:
    """OpenSSL refuses to encrypt as soon as its alert is made, while the state is "connected"."""
    near, channel = ends
    assert near.sctp is not None
    dtls = near.sctp.transport
    assert dtls._ssl is not None
    dtls._ssl.shutdown()
    assert dtls.state == "connected"
    with pytest.raises(ConnectionError, match="DTLS has ended"):
        await dtls._send_data(b"data")
    channel.send("message")
    await turns()
    # The timers of SCTP.
    near.sctp._t3_expired()
    near.sctp._t1_chunk = near.sctp._t2_chunk = None
    await near.sctp._send_sack()
    await turns()
    await near.close()
    gc.collect()
    await turns()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
