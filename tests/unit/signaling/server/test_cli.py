"""The command line of the signaling server, and the variables that stand for it."""

import dataclasses
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from websockets.datastructures import Headers

from restartice_signaling import (
    BackendLimits,
    Heartbeat,
    Limits,
    ServerSettings,
    SignalingServer,
    TurnSettings,
    make_token,
)
from restartice_signaling.__main__ import main
from restartice_signaling.client.reconnecting import OPEN_TIMEOUT
from restartice_signaling.protocol.setting import Setting, meanings, numbers_of
from restartice_signaling.server.cli import (
    ConfigurationError,
    make_settings,
    make_ssl,
    option_of,
    parse_arguments,
    parse_token_arguments,
    read_secret,
)
from restartice_signaling.server.local_access import comes_from_elsewhere, is_loopback

SECRET = "0123456789" * 4
TURN = ("--turn-url=stun:s", "--node=n")
NUMBERS = [
    (cls, number)
    for cls in (ServerSettings, Limits, BackendLimits, Heartbeat, TurnSettings)
    for number in numbers_of(cls)
]
ANYWHERE = "0.0.0.0"  # noqa: S104
PREFIX = "RESTARTICE_SIGNALING_"


def settings(*arguments: str, **environment: str) -> ServerSettings:
    variables = {PREFIX + name: value for name, value in environment.items()}
    return make_settings(parse_arguments(arguments, variables))


def flat(made: ServerSettings) -> dict[tuple[type[Any], str], object]:
    """Return the numbers of settings by class and name."""
    parts = {
        type(part): part for part in (made, made.limits, made.rooms, made.heartbeat, made.turn)
    }
    return {(cls, number.name): getattr(parts[cls], number.name) for cls, number in NUMBERS}


def test_without_options_the_settings_are_those_of_a_program() -> None:
    expected = ServerSettings(node="n")
    assert settings("--node=n") == expected
    # What a lost connection's place is kept for is enough for more than one attempt.
    assert expected.stall_timeout >= expected.rooms.resume_window > 2 * OPEN_TIMEOUT


def test_options_and_variables_mean_the_same_and_the_command_line_wins() -> None:
    by_option = settings("--max-peers=3", "--rate=5.5", "--resume-window=7", "--node=n")
    assert by_option == settings(MAX_PEERS="3", RATE="5.5", RESUME_WINDOW="7", NODE="n")
    assert (by_option.rooms.max_peers, by_option.limits.rate) == (3, 5.5)
    assert by_option.rooms.resume_window == 7
    assert settings("--max-peers=4", MAX_PEERS="3").rooms.max_peers == 4


@pytest.mark.parametrize(("cls", "number"), NUMBERS, ids=lambda value: getattr(value, "name", ""))
def test_each_number_has_an_option_of_its_own(cls: type[Any], number: Setting) -> None:
    name = option_of(cls, number)
    text = "0.5,7" if number.kind is tuple else "7"
    before, after = (flat(settings(*given, *TURN)) for given in ([], [f"--{name}={text}"]))
    assert before[cls, number.name] == number.default
    assert after == {**before, (cls, number.name): number.read(text)} != before
    assert flat(settings(*TURN, **{name.replace("-", "_").upper(): text})) == after


def test_each_field_has_an_option() -> None:
    others = {"secret", "origins", "turn", "limits", "rooms", "heartbeat", "node", "insecure"}
    found = {number.name for cls, number in NUMBERS if cls is ServerSettings}
    assert found | others == {field.name for field in dataclasses.fields(ServerSettings)}
    for cls in (Limits, BackendLimits, Heartbeat):
        found = {number.name for owner, number in NUMBERS if owner is cls}
        assert found == {field.name for field in dataclasses.fields(cls)}


def test_help_says_what_each_number_means(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "10000")
    with pytest.raises(SystemExit):
        parse_arguments(["--help"], {})
    shown = capsys.readouterr().out
    assert "How long a client may take to say hello (10.0 s)" in shown
    assert "(0.0,2.0 s)" in shown
    for cls, number in NUMBERS:
        sentence = meanings(cls)[number.name].partition(". ")[0].rstrip(".")
        assert re.search(rf"{re.escape(sentence)} \([\d.,]+ {number.unit}\)", shown), number.name


def test_lists_are_given_several_times_or_with_commas() -> None:
    urls = ("stun:s", "turn:t")
    by_option = settings("--turn-url=stun:s", "--turn-url=turn:t", TURN_SECRET=SECRET)
    by_variable = settings(TURN_URL="stun:s,turn:t", TURN_SECRET=SECRET)
    for made in (by_option, by_variable):
        assert made.turn is not None
        assert (made.turn.urls, made.turn.secret) == (urls, SECRET)
    assert settings(ORIGIN="https://a,https://b").origins == [None, "https://a", "https://b"]
    assert (settings().origins, settings().turn) == (None, None)


@pytest.mark.parametrize("value", ["1", "true", "YES"])
def test_flags_are_set_by_variables(value: str) -> None:
    assert parse_arguments(["--host=192.0.2.1"], {f"{PREFIX}INSECURE": value}).insecure


def test_secrets_come_from_files_or_variables(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    assert settings(f"--secret-file={file}").secret == SECRET
    assert settings(SECRET=SECRET).secret == SECRET
    assert read_secret(None, {}) is None
    assert SECRET not in repr(settings(SECRET=SECRET))
    with pytest.raises(ConfigurationError, match="32"):
        read_secret(None, {f"{PREFIX}SECRET": "short"})


@pytest.mark.parametrize(
    ("arguments", "environment", "complaint"),
    [
        ([f"--host={ANYWHERE}"], {}, "--insecure"),
        (["--host=example.org"], {}, "--insecure"),
        (["--key=k"], {}, "--key needs --cert"),
        (["--turn-url=turn:t"], {}, "TURN_SECRET"),
        (["--log-format=xml"], {}, "json or text"),
        (["--log-level=loud"], {}, "debug, info, warning or error"),
        (["--port=x"], {}, "--port"),
        (["--max-peers=0"], {}, "--max-peers: must be a positive integer (peers), not '0'"),
        (["--max-peers=1.5"], {}, "--max-peers: must be a positive integer (peers), not '1.5'"),
        (["--rate=nan"], {}, "--rate: must be a positive number (messages/s), not 'nan'"),
        ([], {"RATE": "-1"}, "--rate: must be a positive number (messages/s), not '-1'"),
        (["--reconnect-in=2,1"], {}, "--reconnect-in: must be two numbers from 0 on"),
        (["--reconnect-in=2"], {}, "--reconnect-in: must be two numbers from 0 on"),
        ([], {"PORT": "x"}, "--port"),
        ([], {"SECRET": "short"}, "32"),
        (["--secret-file=/none/there"], {}, "No such file"),
        (["--turn-url=turn.example.org"], {"TURN_SECRET": SECRET}, "must be a URL"),
        (["--turn-url=stun:s:99999"], {}, "must be a URL"),
        (["--behind-proxy"], {}, "--insecure"),
        ([], {"BEHIND_PROXY": "yes"}, "--insecure"),
        ([], {"INSECURE": "perhaps"}, "yes or no"),
        # A line of settings that nobody has filled in.
        ([], {"SECRET": ""}, "SECRET is set, but empty"),
        ([], {"SECRET": " " * 40}, "SECRET is set, but empty"),
        (["--insecure"], {"SECRET": ""}, "SECRET is set, but empty"),
        ([], {"SECRET": f"short{' ' * 40}"}, "32"),
        (["--turn-url=stun:s"], {"TURN_SECRET": ""}, "TURN_SECRET is set, but empty"),
        ([], {"TURN_SECRET": "\t"}, "TURN_SECRET is set, but empty"),
        (["--secret-file="], {}, "--secret-file: is set, but empty"),
        ([], {"SECRET_FILE": ""}, "--secret-file: is set, but empty"),
        (["--cert="], {}, "--cert: is set, but empty"),
        ([], {"CERT": ""}, "--cert: is set, but empty"),
        ([], {"REDIS": ""}, "--redis: is set, but empty"),
        ([], {"HOST": ""}, "--host: is set, but empty"),
        (["--origin="], {}, "--origin: is set, but empty"),
        ([], {"ORIGIN": ""}, "ORIGIN is set, but empty"),
        ([], {"ORIGIN": "https://a,,https://b"}, "ORIGIN is set, but empty"),
        ([], {"INSECURE": ""}, "yes or no"),
    ],
)
def test_what_makes_no_sense_is_said_in_a_sentence(
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    environment: dict[str, str],
    complaint: str,
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_arguments(arguments, {PREFIX + k: v for k, v in environment.items()})
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert complaint in said
    assert len(said.splitlines()) <= 3


@pytest.mark.parametrize("content", ["", "\n", " \t\r\n"])
def test_a_secret_from_a_file_without_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    file = tmp_path / "secret"
    file.write_text(content)
    for option in ("--secret-file", "--turn-secret-file"):
        with pytest.raises(SystemExit):
            parse_arguments([f"{option}={file}"], {})
        assert f"{file} is set, but empty" in capsys.readouterr().err


@pytest.mark.parametrize("secret", ["", " " * 40, f"short{' ' * 40}"])
def test_a_program_gives_no_empty_secret(secret: str) -> None:
    with pytest.raises(ValueError, match="32"):
        SignalingServer(ServerSettings(secret=secret))
    with pytest.raises(ValueError, match="32"):
        make_token(secret, "room")


@pytest.mark.parametrize("secret", ["", "  "])
def test_a_turn_server_has_a_secret(secret: str) -> None:
    with pytest.raises(ValueError, match="turn:t"):
        TurnSettings(("stun:s", "turn:t"), secret)


def test_behind_a_proxy_tokens_are_needed_unless_it_is_said() -> None:
    assert settings("--behind-proxy", SECRET=SECRET).secret == SECRET
    assert settings("--behind-proxy", "--insecure").insecure
    assert not settings().insecure


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "127.0.0.1:8765"},
        {"Host": "localhost:8765"},
        {"Host": "LOCALHOST"},
        {"Host": "[::1]:8765"},
        {},
    ],
)
def test_what_comes_from_this_machine(headers: dict[str, str]) -> None:
    assert not comes_from_elsewhere(Headers(headers))


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "signal.example.org"},
        {"Host": "192.0.2.1:8765"},
        {"Host": "localhost.example.org"},
        {"Host": "[2001:db8::1]:443"},
        {"Host": ""},
        {"Host": "localhost", "X-Forwarded-For": "192.0.2.1"},
        {"Host": "localhost", "x-real-ip": "192.0.2.1"},
        {"Host": "localhost", "Forwarded": "for=192.0.2.1"},
        {"Host": "localhost", "Via": "1.1 proxy"},
    ],
)
def test_what_a_proxy_hands_on(headers: dict[str, str]) -> None:
    assert comes_from_elsewhere(Headers(headers))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)
    assert parse_arguments([f"--host={host}"], {}).host == host


@pytest.mark.parametrize("host", [ANYWHERE, "::", "192.0.2.1", "localhost.example.org", ""])
def test_what_others_reach(host: str) -> None:
    assert not is_loopback(host)


def test_without_a_certificate_there_is_no_tls() -> None:
    assert make_ssl(parse_arguments([], {})) is None


def test_a_token_needs_a_room_and_a_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(f"{PREFIX}SECRET", raising=False)
    for arguments, complaint in (([], "--room"), (["--room=r"], f"{PREFIX}SECRET")):
        with pytest.raises(SystemExit):
            parse_token_arguments(arguments)
        assert complaint in capsys.readouterr().err
    monkeypatch.setenv(f"{PREFIX}SECRET", SECRET)
    options = parse_token_arguments(["--room=r", "--peer=p", "--right=custom", "--once"])
    assert (options.room, options.peer, options.right) == ("r", "p", ["custom"])
    assert (options.once, options.secret) == (True, SECRET)


def test_a_token_that_can_t_be_made_is_an_error_of_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secret").write_text(SECRET)
    arguments = ["token", "--room=r", f"--secret-file={tmp_path / 'secret'}"]
    assert main([*arguments, "--lifetime=nan"]) == main([*arguments, "--peer=a/b"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("can't make a token: lifetime must be a number of seconds")
    assert second == "can't make a token: peer must be 1 to 64 of A-Z a-z 0-9 . _ ~ -, not 'a/b'"
    assert main(arguments) == 0
    assert capsys.readouterr().out.count(".") == 2


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"restartice {version('restartice')}\n"
