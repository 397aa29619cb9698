"""Looking private names up when they are imported, so that a missing one is told at once."""

from collections.abc import Iterable
from importlib.metadata import version
from operator import attrgetter
from types import ModuleType
from typing import TYPE_CHECKING, Final, Generic, TypeVar

__all__ = ["SUPPORTED", "Private", "check", "missing_names", "require", "required_names"]

SUPPORTED: Final = "aiortc >= 1.16, < 1.17 and aioice >= 0.12.1, < 0.14"

T = TypeVar("T")

required_names: list[tuple[type | ModuleType, str]] = []


def require(owner: type | ModuleType, name: str) -> str:
    """Note that a private name is used; return it as Python mangles it."""
    private = name.startswith("__") and isinstance(owner, type)
    mangled = f"_{owner.__name__}{name}" if private else name
    required_names.append((owner, mangled))
    return mangled


def missing_names(required: Iterable[tuple[type | ModuleType, str]]) -> list[str]:
    """Return those of the names that the installed aiortc and aioice don't have.

    Methods are attributes of the class, others are assigned in its `__init__`.
    """
    return [
        f"{owner.__name__}.{name}"
        for owner, name in required
        if not hasattr(owner, name)
        and not (isinstance(owner, type) and name in _names_in_init(owner))
    ]


def _names_in_init(owner: type) -> tuple[str, ...]:
    code = getattr(owner.__init__, "__code__", None)  # type: ignore[misc]  # of a class at hand
    return () if code is None else tuple(code.co_names)


def check(required: Iterable[tuple[type | ModuleType, str]]) -> None:
    """Raise ImportError if a name is missing."""
    if missing := missing_names(required):
        found = f"aiortc {version('aiortc')} and aioice {version('aioice')}"
        raise ImportError(
            f"restartice supports {SUPPORTED}; {found} lack {', '.join(sorted(missing))}."
        )


class Private(property, Generic[T]):
    """A private attribute of a base class, under a name of ours."""

    def __init__(self, owner: type, name: str) -> None:
        private = require(owner, name)
        # Not by __get__() in Python: hundreds are read in each negotiation.
        super().__init__(attrgetter(private), lambda self, value: setattr(self, private, value))

    if TYPE_CHECKING:

        def __get__(self, instance: object, owner: type | None = None) -> T: ...  # type: ignore[override]
        def __set__(self, instance: object, value: T) -> None: ...
