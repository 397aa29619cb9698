"""Checks private names at import, so that a missing one raises an error at once."""

import sys
from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import version
from inspect import unwrap
from operator import attrgetter
from types import CodeType, FunctionType, ModuleType, new_class
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

__all__ = [
    "SUPPORTED",
    "OfViewed",
    "Private",
    "as_defined",
    "check",
    "missing_names",
    "on_top_of",
    "require",
    "required_names",
]

SUPPORTED: Final = "aiortc >= 1.16, < 1.17 and aioice >= 0.12.1, < 0.14"
LIBRARIES: Final = ("aiortc", "aioice")
# How many classes are remembered that programs have derived from theirs.
CLASSES: Final = 32

T = TypeVar("T")

required_names: list[tuple[type | ModuleType, str]] = []


def require(owner: type | ModuleType, name: str) -> str:
    """Note that a private name is used; return it as Python mangles it.

    Args:
        owner: The module, or the class, in place of which a program may have put a subclass.
        name: The name, as it is written there.

    Raises:
        ImportError: A program has put something else in place of the class.
    """
    if isinstance(owner, type):
        owner = as_defined(owner)
        name = f"_{owner.__name__}{name}" if name.startswith("__") else name
    elif not isinstance(owner, ModuleType):
        # Programs do, whatever the types say.
        raise ImportError(  # noqa: TRY004  as for all that restartice can't be imported with
            f"restartice derives classes from those of aiortc and aioice; {owner!r}, which this "
            "program has put in place of one of them, isn't a class."
        )
    required_names.append((owner, name))
    return name


def as_defined(owner: type) -> type:
    """Return a class as aiortc or aioice defines it, below what programs derive from it."""
    return next(filter(is_theirs, owner.__mro__), owner)


@lru_cache(maxsize=CLASSES)
def on_top_of(ours: type, theirs: type) -> Any:
    """Return a class of ours that derives from a given class, too, which a program may have made.

    Args:
        ours: What is derived from the class of aiortc or aioice.
        theirs: That class, or what a program has derived from it.
    """
    if issubclass(ours, theirs):
        return ours
    return new_class(ours.__name__, (ours, theirs))


def is_theirs(owner: type) -> bool:
    """Return whether aiortc or aioice defines a class."""
    return owner.__module__.split(".")[0] in LIBRARIES


def missing_names(required: Iterable[tuple[type | ModuleType, str]]) -> list[str]:
    """Return those of the names that the installed aiortc and aioice don't have.

    Methods are attributes of the class, others are assigned in its `__init__` or declared.
    """
    return [
        f"{owner.__name__}.{name}"
        for owner, name in required
        if not hasattr(owner, name) and not (isinstance(owner, type) and _assigns(owner, name))
    ]


def _assigns(owner: type, name: str) -> bool:
    """Return whether instances of a class have an attribute; also if nothing tells the contrary."""
    # Others have attributes of the same names, such as pyee's emitter.
    for base in filter(is_theirs, owner.__mro__):
        if name in vars(base).get("__annotations__", {}):
            return True
        if "__init__" in vars(base):
            code = _init_code(base)
            if code is None or name in code.co_names:
                return True
    return False


def _init_code(owner: type) -> CodeType | None:
    """Return what the `__init__` of a class does, without what programs have wrapped it in."""
    module = sys.modules[owner.__module__]
    init = unwrap(vars(owner)["__init__"])
    if isinstance(init, FunctionType) and init.__globals__ is vars(module):
        return init.__code__
    # The wrapper says nothing of what is in it, but the module's own code does.
    get_code = getattr(module.__loader__, "get_code", None)
    code = None if get_code is None else get_code(module.__name__)
    for name in (*owner.__qualname__.split("."), "__init__"):
        inner = () if code is None else code.co_consts
        found = (c for c in inner if isinstance(c, CodeType) and c.co_name == name)
        code = next(found, None)
    return code


def check(required: Iterable[tuple[type | ModuleType, str]]) -> None:
    """Raise ImportError if a name is missing."""
    if missing := missing_names(required):
        found = f"aiortc {version('aiortc')} and aioice {version('aioice')}"
        raise ImportError(
            f"restartice supports {SUPPORTED}; {found} lack {', '.join(sorted(missing))}."
        )


class OfViewed(property, Generic[T]):
    """A private attribute of the object that a view is on, under a name of ours."""

    def __init__(self, owner: type, name: str) -> None:
        private = require(owner, name)
        super().__init__(
            attrgetter(f"viewed.{private}"),
            lambda self, value: setattr(self.viewed, private, value),
        )

    if TYPE_CHECKING:

        def __get__(self, instance: object, owner: type | None = None) -> T: ...  # type: ignore[override]
        def __set__(self, instance: object, value: T) -> None: ...


class Private(property, Generic[T]):
    """A private attribute of a base class, under a name of ours."""

    def __init__(self, owner: type, name: str) -> None:
        private = require(owner, name)
        # Not by __get__() in Python: hundreds are read in each negotiation.
        super().__init__(attrgetter(private), lambda self, value: setattr(self, private, value))

    if TYPE_CHECKING:

        def __get__(self, instance: object, owner: type | None = None) -> T: ...  # type: ignore[override]
        def __set__(self, instance: object, value: T) -> None: ...
