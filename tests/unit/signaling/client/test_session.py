"""A client's session: what it says, and what it makes of what it hears."""

import pytest

from restartice_signaling import (
    BadMessage,
    CandidateReceived,
    CustomReceived,
    Event,
    IceServersReceived,
    Limits,
    PeerAway,
    PeerBack,
    PeerJoined,
    PeerLeft,
    Reconnected,
    Refused,
)
from restartice_signaling.client.session import ClientSession
from restartice_signaling.protocol.messages import (
    Candidate,
    Custom,
    IceServers,
    PeerEvent,
    PeerInfo,
    Resume,
    Signal,
    Welcome,
)

OTHER = PeerInfo("b", "1", True)


def welcomed(**fields: object) -> tuple[ClientSession, list[Event]]:
    session = ClientSession("room", "a", {"name": "robot"})
    return session, session.take_welcome(welcome(**fields))


def welcome(**fields: object) -> Welcome:
    return Welcome("session", "key", "a", "room", **fields)  # type: ignore[arg-type]


def event(kind: str, instance: str = "1", peer: str = "b") -> PeerEvent:
    return PeerEvent(1, kind, peer, instance, True)


def test_the_first_hello_asks_for_an_id_and_later_ones_resume() -> None:
    session = ClientSession("room", "wanted", {"name": "robot"})
    first = session.hello("token")
    assert (first.room, first.peer, first.meta) == ("room", "wanted", {"name": "robot"})
    assert (first.token, first.resume) == ("token", None)
    session.take_welcome(welcome())
    session.inbox.take(1, 0.0)
    session.inbox.take(2, 0.0)
    session.inbox.note(1, 0.0)
    # What has come and isn't taken yet comes again.
    again = session.hello(None)
    assert (again.peer, again.resume) == ("a", Resume("session", "key", 1, 0))
    session.outbox.append("x")
    session.outbox.append("y")
    session.outbox.acknowledge(1)
    assert session.hello(None).resume == Resume("session", "key", 1, 1)


def test_nothing_can_be_resumed_at_first() -> None:
    with pytest.raises(BadMessage, match="expected a new session, got resumed"):
        welcomed(resumed=True)


def test_a_resume_keeps_what_is_not_acknowledged() -> None:
    session, _ = welcomed(peers=(OTHER,))
    for number in range(3):
        session.outbox.append(str(number))
    assert session.take_welcome(welcome(resumed=True, last=2)) == [Reconnected(resumed=True)]
    assert list(session.outbox.after(0)) == [(3, "2")]
    assert session.peers == {"b": OTHER}
    with pytest.raises(BadMessage, match="expected an acknowledgment up to"):
        session.take_welcome(welcome(resumed=True, last=4))


def test_a_new_session_tells_what_is_lost_and_who_is_there() -> None:
    session, events = welcomed(peers=(OTHER, PeerInfo("c", "9", True)))
    assert [type(told) for told in events] == [PeerJoined, PeerJoined]
    session.outbox.append("lost")
    reborn, stayed = PeerInfo("b", "2", True), PeerInfo("c", "9", True)
    assert session.take_welcome(welcome(peers=(reborn, stayed))) == [
        Reconnected(resumed=False, unacknowledged=1),
        PeerLeft("b", "lost"),
        PeerJoined("b", reborn),
    ]
    assert session.peers == {"b": reborn, "c": stayed}
    assert (len(session.outbox), session.outbox.last, session.inbox.last) == (0, 0, 0)


def test_the_limits_of_the_server_hold() -> None:
    limits = Limits(max_message_size=200, max_unacknowledged=2, max_buffered=100)
    session, _ = welcomed(limits=limits)
    assert (session.outbox.max_count, session.outbox.max_bytes) == (2, 100)
    session.prepare(Custom("x" * 50))
    with pytest.raises(ValueError, match="at most 200 bytes, got"):
        session.prepare(Custom("x" * 200))


def test_presence_is_told_once_and_of_the_right_instance() -> None:
    session, _ = welcomed()
    steps: list[tuple[PeerEvent, type[Event] | None]] = [
        (event("joined"), PeerJoined),
        (event("joined"), None),
        (event("away"), PeerAway),
        (event("away"), None),
        (event("back"), PeerBack),
        # One of before, and then the one who has taken its place.
        (event("left", instance="0"), None),
        (event("joined", instance="2"), PeerJoined),
        (event("left", instance="1"), None),
        (event("left", instance="2"), PeerLeft),
        (event("left", instance="2"), None),
    ]
    for message, expected in steps:
        told = session.read(message)
        assert (None if told is None else type(told)) is expected, message
    assert session.peers == {}


def test_signals_are_read() -> None:
    session, _ = welcomed()
    assert session.read(Signal(1, Custom(5), sender="b")) == CustomReceived("b", 5)
    assert session.read(Signal(1, Candidate(None), sender="b")) == CandidateReceived("b", None)
    with pytest.raises(BadMessage) as caught:
        session.read(Signal(7, Candidate({"candidate": "nonsense", "sdpMid": "0"}), sender="b"))
    assert caught.value.ref == 7


def test_servers_are_those_told_last() -> None:
    told = IceServers(({"urls": ["turn:t"], "username": "u", "credential": "c"},), 5.0)
    session, events = welcomed(ice=told)
    (server,) = session.ice_servers
    assert events == [IceServersReceived((server,))]
    assert (server.urls, server.username, server.credential) == (["turn:t"], "u", "c")
    session.take_ice(IceServers(()))
    assert session.ice_servers == ()


def test_urls_that_are_none_are_left_out_and_told() -> None:
    servers = (
        {"urls": ["turn.example.org", "turn:t"], "username": "u", "credential": "c"},
        {"urls": ["http://s"]},
        {"urls": ["stun:s"]},
    )
    session, events = welcomed(ice=IceServers(servers))
    told = [str(refused.error) for refused in events if isinstance(refused, Refused)]
    assert [("turn.example.org" in told[0]), ("http://s" in told[1]), len(told)] == [True, True, 2]
    assert isinstance(events[-1], IceServersReceived)
    assert [server.urls for server in session.ice_servers] == [["turn:t"], ["stun:s"]]


@pytest.mark.parametrize("value", ["\ud800", {"a": ["x\udfff"]}, {"\udc00": 1}])
def test_half_of_a_character_is_not_sent(value: object) -> None:
    session, _ = welcomed()
    with pytest.raises(ValueError, match="Unicode"):
        session.prepare(Custom(value))
    # What only looks so is text like any other.
    assert session.prepare(Custom("\\ud800 \U0001f600"))
