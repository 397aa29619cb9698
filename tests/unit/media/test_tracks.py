"""The track that a receiver receives."""

from restartice.media.tracks import RemoteTrack, set_muted_state


async def test_a_change_of_the_muted_state_is_an_event_and_nothing_else_is() -> None:
    track = RemoteTrack("audio", None)
    events: list[str] = []
    for name in ("mute", "unmute"):
        track.on(name, lambda name=name: events.append(name))
    assert track.muted
    for muted in (True, False, False, True, True):
        set_muted_state(track, muted)
        assert track.muted is muted
    assert events == ["unmute", "mute"]


async def test_a_listener_sees_the_new_state() -> None:
    track = RemoteTrack("video", None)
    seen: list[bool] = []
    track.on("unmute", lambda: seen.append(track.muted))
    set_muted_state(track, muted=False)
    assert seen == [False]
