"""The command line of the server, and its environment variables.

Each option has a variable: `--max-peers` is `RESTARTICE_SIGNALING_MAX_PEERS`. The command line
wins. Secrets come only from the environment or from files, because other users of the machine can
read a command line.
"""

import argparse
import importlib.metadata
import os
import ssl as tls
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from ..protocol.ice_urls import is_ice_url
from ..protocol.messages import Heartbeat, Limits
from ..protocol.setting import Setting, meanings, numbers_of
from .local_access import LOOPBACK, is_loopback
from .rooms.interface import BackendLimits
from .rooms.redis_url import read_sentinels
from .settings import ServerSettings
from .tokens import ALL_RIGHTS, LIFETIME, check_secret
from .turn_credentials import TurnSettings

__all__ = [
    "ConfigurationError",
    "make_settings",
    "make_ssl",
    "parse_arguments",
    "parse_files_arguments",
    "parse_token_arguments",
    "read_secret",
]

PROGRAM: Final = "python -m restartice_signaling"

PREFIX: Final = "RESTARTICE_SIGNALING_"
YES: Final = frozenset({"1", "true", "yes", "on"})
NO: Final = frozenset({"0", "false", "no", "off"})
EMPTY: Final = "is set, but empty: give it a value, or leave it out"


# The classes whose numbers are options, and how the names of these options begin.
NUMBERS: Final[dict[type, str]] = {
    ServerSettings: "",
    Limits: "",
    BackendLimits: "",
    Heartbeat: "heartbeat-",
    TurnSettings: "turn-",
}


class ConfigurationError(ValueError):
    """The options of the server contradict each other; the message says which, and what to do."""


class _ArgumentParser(argparse.ArgumentParser):
    """Prints an error without all the options before it, of which there are too many to find it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\nTry: {self.prog} --help\n")


class _PrintVersion(argparse.Action):
    """Prints the version; it is looked up only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"restartice {importlib.metadata.version('restartice')}")
        parser.exit()


class _Parser:
    """Adds options whose defaults come from the environment."""

    def __init__(self, parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
        self._parser = parser
        self._environment = environment

    def add(
        self,
        name: str,
        text: str,
        default: Any = None,
        kind: Callable[[str], Any] | None = None,
        unit: str = "",
    ) -> None:
        """Add an option with a value."""
        shown = f" (%(default)s{unit and ' '}{unit})"
        # argparse converts a default that is a string, and reports errors in it as the option's.
        self._parser.add_argument(
            f"--{name}",
            type=kind or _not_empty,
            default=self._environment.get(_variable(name), default),
            metavar=_metavar(name, default, unit),
            help=text if default is None else text + shown,
        )

    def add_numbers(self, cls: type[Any]) -> None:
        """Add an option for each number of a class: its first sentence, default and unit."""
        said = meanings(cls)
        for setting in numbers_of(cls):
            text = said.get(setting.name, "").partition(". ")[0].rstrip(".").replace("%", "%%")
            default = setting.default
            if setting.kind is tuple:
                default = ",".join(map(str, default))
            self.add(option_of(cls, setting), text, default, _reader(setting), setting.unit)

    def add_list(self, name: str, text: str) -> None:
        """Add an option that may be repeated; its variable separates values by commas."""
        given = self._environment.get(_variable(name))
        # argparse doesn't convert a default that is a list.
        parts = [] if given is None else [part.strip() for part in given.split(",")]
        if parts and not all(parts):
            self._parser.error(f"{_variable(name)} {EMPTY}")
        self._parser.add_argument(
            f"--{name}", action="append", type=_not_empty, default=parts, help=text
        )

    def add_flag(self, name: str, text: str) -> None:
        """Add an option without a value."""
        given = self._environment.get(_variable(name), "no").strip().lower()
        if given not in YES | NO:
            self._parser.error(f"{_variable(name)} must be yes or no, not {given!r}")
        self._parser.add_argument(f"--{name}", action="store_true", default=given in YES, help=text)


def option_of(cls: type[Any], setting: Setting) -> str:
    """Return the name of the option for a number of a settings class, without dashes before it."""
    return NUMBERS[cls] + setting.name.replace("_", "-")


def _reader(setting: Setting) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return setting.read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def _variable(option: str) -> str:
    return PREFIX + option.replace("-", "_").upper()


def _positive(value: str) -> int:
    if not value.isdecimal() or not int(value):
        raise argparse.ArgumentTypeError(f"must be a positive integer, not {value!r}")
    return int(value)


def _count(value: str) -> int:
    if not value.isdecimal():
        raise argparse.ArgumentTypeError(f"must be an integer from 0 on, not {value!r}")
    return int(value)


def _not_empty(value: str) -> str:
    # A variable that was never filled in must not count as one that is missing.
    if not value.strip():
        raise argparse.ArgumentTypeError(EMPTY)
    return value


def parse_arguments(
    arguments: Sequence[str] | None, environment: Mapping[str, str] = os.environ
) -> argparse.Namespace:
    """Read the command line and the environment."""
    parser = _ArgumentParser(
        prog=PROGRAM,
        description="Relay signaling between WebRTC peers.",
        epilog=f"Each option can be given as an environment variable: --max-peers is "
        f"{PREFIX}MAX_PEERS. `{PROGRAM} token` makes a room token, and `{PROGRAM} files` writes "
        f"the files for browsers, systemd and nginx; give --help after either.",
    )
    parser.add_argument("--version", action=_PrintVersion, nargs=0, help="Print the version")
    options = _Parser(parser, environment)
    _add_network_options(options)
    for cls in NUMBERS:
        options.add_numbers(cls)
    parsed = parser.parse_args(arguments)
    try:
        parsed.secret = read_secret(parsed.secret_file, environment)
        parsed.turn_secret = _read_secret(parsed.turn_secret_file, "TURN_SECRET", environment)
        _check(parsed)
    except (ConfigurationError, OSError) as error:
        parser.error(str(error))
    return parsed


def _add_network_options(options: _Parser) -> None:
    options.add("host", "The address to listen on", LOOPBACK)
    options.add("port", "The port to listen on; 0 for any free one", 8765, int)
    options.add("workers", "How many processes serve the port; on Linux", 1, _positive)
    options.add_flag("insecure", "Let any client join any room if there is no secret")
    options.add_flag("behind-proxy", "Require a secret, because a proxy passes requests on")
    options.add("secret-file", f"The file with the key of room tokens; or set {PREFIX}SECRET")
    options.add("cert", "The file with the certificate chain for TLS")
    options.add("key", "The file with the private key for TLS")
    options.add_list("origin", "A web site that may connect; may be repeated")
    options.add_list("turn-url", "A STUN or TURN server for peers; may be repeated")
    options.add(
        "turn-secret-file",
        f"The file with coturn's static-auth-secret; or set {PREFIX}TURN_SECRET",
    )
    options.add(
        "redis",
        "Share rooms with other servers, such as redis://127.0.0.1:6379/0, or by way of Sentinels: "
        "redis+sentinel://HOST:PORT,HOST:PORT/NAME/DATABASE",
    )
    options.add(
        "redis-replicas",
        "How many replicas of Redis must at least confirm what a client is told, or 0 if none need "
        "to (1 with Sentinels, 0 without)",
        None,
        _count,
    )
    options.add("node", "The name of this server in its log and in Redis")
    options.add("log-level", "Which lines to log: debug, info, warning or error", "info")
    options.add("log-format", "How to write the log: json or text", "text")


def _check(options: argparse.Namespace) -> None:
    reached_by_others = options.behind_proxy or not is_loopback(options.host)
    if reached_by_others and not (options.insecure or options.secret):
        way = " through the proxy" if options.behind_proxy else ""
        raise ConfigurationError(
            f"{options.host} can be reached from outside{way}, so any client could join any room: "
            f"set {PREFIX}SECRET, or give --insecure to allow that"
        )
    _check_processes(options)
    if options.key and not options.cert:
        raise ConfigurationError("--key needs --cert")
    for url in options.turn_url:
        if not is_ice_url(url):
            raise ConfigurationError(
                f"--turn-url must be a URL such as turn:turn.example.org, not {url!r}"
            )
    needs_secret = [url for url in options.turn_url if url.lower().startswith("turn")]
    if needs_secret and not options.turn_secret:
        raise ConfigurationError(f"{needs_secret[0]} needs {PREFIX}TURN_SECRET")
    if options.log_format not in {"json", "text"}:
        raise ConfigurationError(f"--log-format must be json or text, not {options.log_format!r}")
    if options.log_level not in {"debug", "info", "warning", "error"}:
        levels = "debug, info, warning or error"
        raise ConfigurationError(f"--log-level must be {levels}, not {options.log_level!r}")


def _check_processes(options: argparse.Namespace) -> None:
    if options.workers > 1 and sys.platform != "linux":
        raise ConfigurationError("--workers needs Linux; run several servers with --redis")
    if options.workers > 1 and options.cert and not options.redis:
        # A connection with TLS can't be handed over to the worker that keeps its room.
        raise ConfigurationError(
            "--workers with --cert needs --redis; or let a proxy in front do the TLS"
        )
    if options.redis:
        try:
            read_sentinels(options.redis)
        except ValueError as error:
            raise ConfigurationError(f"--redis: {error}") from None


def read_secret(file: str | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the secret of room tokens, or None.

    Raises:
        ConfigurationError: The secret is empty or too short.
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
    """Return the content of a file, or of a variable; None if neither was given."""
    if file is not None:
        try:
            secret, source = Path(file).read_text(encoding="utf-8").strip(), file
        except UnicodeDecodeError:
            raise ConfigurationError(f"{file} must be text in UTF-8") from None
    else:
        variable = PREFIX + name
        if (value := environment.get(variable)) is None:
            return None
        secret, source = value, variable
    if not secret.strip():
        raise ConfigurationError(f"{source} {EMPTY}")
    return secret


def make_settings(options: argparse.Namespace) -> ServerSettings:
    """Return the settings for the options."""

    def numbers(cls: type[Any]) -> dict[str, Any]:
        given = {setting.name: option_of(cls, setting) for setting in numbers_of(cls)}
        return {name: getattr(options, o.replace("-", "_")) for name, o in given.items()}

    turn = None
    if options.turn_url:
        secret = options.turn_secret or ""
        turn = TurnSettings(tuple(options.turn_url), secret, **numbers(TurnSettings))
    return ServerSettings(
        secret=options.secret,
        origins=[None, *options.origin] if options.origin else None,
        turn=turn,
        limits=Limits(**numbers(Limits)),
        rooms=BackendLimits(**numbers(BackendLimits)),
        heartbeat=Heartbeat(**numbers(Heartbeat)),
        insecure=options.insecure,
        **numbers(ServerSettings),
        **({"node": options.node} if options.node else {}),
    )


def make_ssl(options: argparse.Namespace) -> tls.SSLContext | None:
    """Return the context for TLS, or None without a certificate."""
    if not options.cert:
        return None
    context = tls.create_default_context(tls.Purpose.CLIENT_AUTH)
    context.load_cert_chain(options.cert, options.key)
    return context


def _metavar(name: str, default: object, unit: str) -> str:
    """Return the placeholder of an option's value in --help."""
    if "," in str(default):
        return "MIN,MAX"
    return {"": name.rpartition("-")[2].upper(), "s": "SECONDS"}.get(unit, "N")


def parse_token_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line of `token`."""
    parser = _ArgumentParser(
        prog=f"{PROGRAM} token",
        description=f"Make a room token, signed with {PREFIX}SECRET.",
    )
    parser.add_argument(
        "--room", required=True, help="the room, or robot-* for each that begins so"
    )
    parser.add_argument("--peer", help="the id of the peer; without it, any id")
    parser.add_argument(
        "--right",
        action="append",
        choices=sorted(ALL_RIGHTS),
        help="what the peer may send; may be repeated (both)",
    )
    parser.add_argument(
        "--lifetime", type=float, default=LIFETIME, help="how long it is valid (%(default)s s)"
    )
    parser.add_argument("--once", action="store_true", help="let the token admit one client only")
    parser.add_argument("--secret-file", help=f"the file with the secret; or set {PREFIX}SECRET")
    options = parser.parse_args(arguments)
    try:
        options.secret = read_secret(options.secret_file)
    except (ConfigurationError, OSError) as error:
        parser.error(str(error))
    if options.secret is None:
        parser.error(f"set {PREFIX}SECRET, or give --secret-file")
    return options


def parse_files_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line of `files`."""
    parser = _ArgumentParser(
        prog=f"{PROGRAM} files",
        description="Write the client and the Negotiator for browsers, and the files that run "
        "the server as a service: a unit of systemd, its settings, and the configuration of nginx.",
    )
    parser.add_argument("--to", type=Path, required=True, help="the folder to write to")
    return parser.parse_args(arguments)
