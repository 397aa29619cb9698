"""The command line of a server, and the environment variables that stand for its options.

Each option has a variable: `--max-peers` is `RESTARTICE_SIGNALING_MAX_PEERS`. The command line
wins. Secrets come from the environment or from files only: a command line can be read by others.
"""

import argparse
import math
import os
import ssl as tls
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ..protocol.ice_urls import is_ice_url
from ..protocol.messages import Heartbeat, Limits
from .local_access import is_loopback
from .rooms.interface import BackendLimits
from .settings import ServerSettings
from .tokens import ALL_RIGHTS, check_secret
from .turn_credentials import TurnSettings

__all__ = ["ConfigurationError", "make_settings", "make_ssl", "parse_arguments", "read_secret"]

PREFIX: Final = "RESTARTICE_SIGNALING_"
YES: Final = frozenset({"1", "true", "yes", "on"})
NO: Final = frozenset({"0", "false", "no", "off"})
EMPTY: Final = "is set, but empty: give it a value, or leave it out"


class ConfigurationError(ValueError):
    """What the server was told makes no sense; the message says what."""


class _Parser:
    """Adds options whose defaults come from the environment."""

    def __init__(self, parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
        self._parser = parser
        self._environment = environment

    def add(
        self, name: str, text: str, default: Any = None, kind: Callable[[str], Any] | None = None
    ) -> None:
        """Add an option with a value."""
        told = self._environment.get(_variable(name))
        # argparse converts a default that is a string, and complains about it as about an option.
        self._parser.add_argument(
            f"--{name}",
            type=kind or _not_empty,
            default=default if told is None else told,
            metavar=name.rpartition("-")[2].upper(),
            help=f"{text} (%(default)s)" if default is not None else text,
        )

    def add_list(self, name: str, text: str) -> None:
        """Add an option that may be given again and again; the variable has commas."""
        told = self._environment.get(_variable(name))
        # argparse converts no default that is a list.
        parts = [] if told is None else [part.strip() for part in told.split(",")]
        if parts and not all(parts):
            self._parser.error(f"{_variable(name)} {EMPTY}")
        self._parser.add_argument(
            f"--{name}", action="append", type=_not_empty, default=parts, help=text
        )

    def add_flag(self, name: str, text: str) -> None:
        """Add an option without a value."""
        told = self._environment.get(_variable(name), "no").strip().lower()
        if told not in YES | NO:
            self._parser.error(f"{_variable(name)} must be yes or no")
        self._parser.add_argument(f"--{name}", action="store_true", default=told in YES, help=text)


def _variable(option: str) -> str:
    return PREFIX + option.replace("-", "_").upper()


def _not_empty(value: str) -> str:
    # A line of settings that was never filled in must not pass for one that isn't there.
    if not value.strip():
        raise argparse.ArgumentTypeError(EMPTY)
    return value


def _positive(value: str) -> float:
    number = float(value)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError("it must be more than 0")
    return number


def parse_arguments(
    arguments: Sequence[str] | None, environment: Mapping[str, str] = os.environ
) -> argparse.Namespace:
    """Read the command line and the environment."""
    parser = argparse.ArgumentParser(
        prog="python -m restartice_signaling",
        description="Relay signaling between WebRTC peers.",
        epilog=f"Each option can be given as an environment variable: --max-peers is "
        f"{PREFIX}MAX_PEERS. `python -m restartice_signaling token --help` makes room tokens.",
    )
    options = _Parser(parser, environment)
    _add_network_options(options)
    _add_limit_options(options)
    parsed = parser.parse_args(arguments)
    try:
        parsed.secret = read_secret(parsed.secret_file, environment)
        parsed.turn_secret = _read_secret(parsed.turn_secret_file, "TURN_SECRET", environment)
        _check(parsed)
    except (ConfigurationError, OSError) as error:
        parser.error(str(error))
    return parsed


def _add_network_options(options: _Parser) -> None:
    options.add("host", "address to listen on", "127.0.0.1")
    options.add("port", "port, 0 for any", 8765, int)
    options.add_flag("insecure", "let others reach it, though anyone may join any room")
    options.add_flag("behind-proxy", "a proxy on this machine hands on what others send")
    options.add("secret-file", f"what room tokens are signed with; or {PREFIX}SECRET")
    options.add("cert", "certificate chain for TLS, a file")
    options.add("key", "private key for TLS, a file")
    options.add_list("origin", "a web site that may connect; can be given several times")
    options.add_list("turn-url", "a STUN or TURN server that peers are told of; several times")
    options.add(
        "turn-secret-file", f"what coturn has as static-auth-secret; or {PREFIX}TURN_SECRET"
    )
    options.add("turn-lifetime", "seconds that TURN credentials hold", 3600.0, float)
    options.add("redis", "share rooms with other servers, such as redis://127.0.0.1:6379/0")
    options.add("node", "name of this server in the logs")
    options.add("log-level", "debug, info, warning or error", "info")
    options.add("log-format", "json or text", "text")


def _add_limit_options(options: _Parser) -> None:
    settings = ServerSettings()
    rooms, limits, heartbeat = settings.rooms, settings.limits, settings.heartbeat
    options.add("max-peers", "peers in a room", rooms.max_peers, int)
    options.add("max-rooms", "rooms", rooms.max_rooms, int)
    options.add("max-connections", "connections", settings.max_connections, int)
    options.add(
        "newcomers",
        "connections begun in a second, while many end soon",
        settings.newcomers,
        _positive,
    )
    options.add("max-message-size", "bytes of a message", limits.max_message_size, int)
    options.add("max-unacknowledged", "messages that wait for a peer", 1024, int)
    options.add("max-buffered", "bytes that wait for a peer", limits.max_buffered, int)
    options.add("max-total-buffered", "bytes that wait for all", rooms.max_total_buffered, int)
    options.add("rate", "messages a second of a client", limits.rate, float)
    options.add("burst", "messages at once of a client", limits.burst, int)
    options.add("heartbeat-interval", "seconds between heartbeats", heartbeat.interval, float)
    options.add("heartbeat-timeout", "seconds until a client is dead", heartbeat.timeout, float)
    options.add("resume-window", "seconds a lost client's place is kept", 30.0, float)
    options.add("hello-timeout", "seconds within which to say hello", 10.0, float)
    options.add("stall-timeout", "seconds to wait for a peer that doesn't read", 30.0, float)
    options.add("drain-timeout", "seconds that the end takes at most", 10.0, float)


def _check(options: argparse.Namespace) -> None:
    reached_by_others = options.behind_proxy or not is_loopback(options.host)
    if reached_by_others and not (options.insecure or options.secret):
        way = " through the proxy" if options.behind_proxy else ""
        raise ConfigurationError(
            f"{options.host} can be reached from outside{way}, and anyone could join any room: "
            f"set {PREFIX}SECRET, or say --insecure if that is meant"
        )
    if options.key and not options.cert:
        raise ConfigurationError("--key needs --cert")
    for url in options.turn_url:
        if not is_ice_url(url):
            raise ConfigurationError(f"{url!r} must be a URL such as turn:turn.example.org")
    needs_secret = [url for url in options.turn_url if url.lower().startswith("turn")]
    if needs_secret and not options.turn_secret:
        raise ConfigurationError(f"{needs_secret[0]} needs {PREFIX}TURN_SECRET")
    if options.log_format not in {"json", "text"}:
        raise ConfigurationError("--log-format is json or text")
    if options.log_level not in {"debug", "info", "warning", "error"}:
        raise ConfigurationError("--log-level is debug, info, warning or error")


def read_secret(file: str | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the secret of room tokens, if there is one.

    Raises:
        ConfigurationError: It is empty, or too short.
        OSError: The file can't be read.
    """
    secret = _read_secret(file, "SECRET", environment)
    if secret is not None:
        try:
            check_secret(secret)
        except ValueError as error:
            raise ConfigurationError(str(error)) from None
    return secret


def _read_secret(file: str | None, name: str, environment: Mapping[str, str]) -> str | None:
    """Return what a file has, or else a variable; None if neither was given."""
    if file is not None:
        try:
            secret, source = Path(file).read_text(encoding="utf-8").strip(), file
        except UnicodeDecodeError:
            raise ConfigurationError(f"{file} is no text in UTF-8") from None
    else:
        variable = PREFIX + name
        if (told := environment.get(variable)) is None:
            return None
        secret, source = told, variable
    if not secret.strip():
        raise ConfigurationError(f"{source} {EMPTY}")
    return secret


def make_settings(options: argparse.Namespace) -> ServerSettings:
    """Return what the options say."""
    urls = tuple(options.turn_url)
    settings: dict[str, Any] = {"node": options.node} if options.node else {}
    return ServerSettings(
        secret=options.secret,
        origins=[None, *options.origin] if options.origin else None,
        turn=TurnSettings(urls, options.turn_secret or "", options.turn_lifetime) if urls else None,
        limits=Limits(
            options.max_message_size,
            options.max_unacknowledged,
            options.max_buffered,
            options.rate,
            options.burst,
        ),
        rooms=BackendLimits(
            max_peers=options.max_peers,
            max_rooms=options.max_rooms,
            max_unacknowledged=options.max_unacknowledged,
            max_buffered=options.max_buffered,
            max_total_buffered=options.max_total_buffered,
            resume_window=options.resume_window,
        ),
        heartbeat=Heartbeat(options.heartbeat_interval, options.heartbeat_timeout),
        hello_timeout=options.hello_timeout,
        max_connections=options.max_connections,
        newcomers=options.newcomers,
        stall_timeout=options.stall_timeout,
        drain_timeout=options.drain_timeout,
        insecure=options.insecure,
        **settings,
    )


def make_ssl(options: argparse.Namespace) -> tls.SSLContext | None:
    """Return the context for TLS, if there is a certificate."""
    if not options.cert:
        return None
    context = tls.create_default_context(tls.Purpose.CLIENT_AUTH)
    context.load_cert_chain(options.cert, options.key)
    return context


def parse_token_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line of `token`."""
    parser = argparse.ArgumentParser(
        prog="python -m restartice_signaling token",
        description=f"Make a room token, signed with {PREFIX}SECRET.",
    )
    parser.add_argument("--room", required=True, help="the room; a * at its end for any end")
    parser.add_argument("--peer", help="the only peer id that it is for")
    parser.add_argument(
        "--right", action="append", choices=sorted(ALL_RIGHTS), help="what may be sent (all)"
    )
    parser.add_argument("--lifetime", type=float, default=3600.0, help="seconds (%(default)s)")
    parser.add_argument("--once", action="store_true", help="lets in only once")
    parser.add_argument("--secret-file", help=f"instead of {PREFIX}SECRET")
    options = parser.parse_args(arguments)
    try:
        options.secret = read_secret(options.secret_file)
    except (ConfigurationError, OSError) as error:
        parser.error(str(error))
    if options.secret is None:
        parser.error(f"set {PREFIX}SECRET, or give --secret-file")
    return options
