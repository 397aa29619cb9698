"""What the signaling client logs: who connects, loses the connection, tries again, and gives up."""

import asyncio
import logging

import pytest

from restartice_signaling import (
    Disconnected,
    Reconnected,
    ServerSettings,
    SignalingClosed,
    WebSocketSignaling,
    make_token,
    serve,
)

SECRET = "x" * 32
SETTINGS = ServerSettings(secret=SECRET, reconnect_in=(0.0, 0.0))


async def test_connect_loss_retry_and_giving_up_are_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "restartice_signaling.client")
    token = make_token(SECRET, "room")
    async with serve(settings=SETTINGS) as server:
        url, port = f"{server.url}/?hidden=query", server.port
        client = WebSocketSignaling(url, room="room", peer="a", token=token, give_up_after=8)
        await client.connect()
    async with asyncio.timeout(60):
        events = client.events()
        assert isinstance(await anext(events), Disconnected)
        while "trying again" not in caplog.text:  # noqa: ASYNC110  a log has no event
            await asyncio.sleep(0.01)
        async with serve(port=port, settings=SETTINGS):
            assert isinstance(await anext(events), Reconnected)
        with pytest.raises(SignalingClosed):
            async for _event in events:
                pass
    await client.close()
    messages = [r.getMessage() for r in caplog.records if r.levelno == logging.INFO]
    assert all(message.startswith("room/a: ") for message in messages)
    kinds = [message.removeprefix("room/a: ") for message in messages]
    assert kinds[0] == "connected, and began a session"
    assert kinds[1].startswith("lost the connection, close code ")
    assert "trying again: no connection to the server (ConnectionRefusedError)" in kinds
    assert kinds.count("connected, and began a session") == 2
    assert kinds[-1] == "gave up: no connection to the server"
    for record in caplog.records:
        for secret in (token, SECRET, "hidden=query"):
            assert secret not in record.getMessage()
