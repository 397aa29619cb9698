"""The interface of the connection for its transceivers."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Protocol

from ..event_loop import LoopAffinity

__all__ = ["Done", "Operations", "Owner"]


class Operations(Protocol):
    """The operations chain of the connection."""

    @property
    def empty(self) -> bool:
        """Whether no operation runs or waits."""

    async def run(self, operation: Callable[[], Awaitable[None]]) -> None:
        """Run the operation when all earlier ones have settled."""


class Owner(Protocol):
    """The connection."""

    @property
    def operations(self) -> Operations:
        """The operations chain."""

    @property
    def is_closed(self) -> bool:
        """Whether the connection is closed."""

    home: LoopAffinity

    def update_negotiation_needed_flag(self) -> None:
        """Check in a later task whether negotiation is needed."""

    def in_background(self, job: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine whose error is only logged; it ends when the connection closes."""


class Done:
    """An awaitable that is already done."""

    def __await__(self) -> Generator[Any, None, None]:
        return
        yield
