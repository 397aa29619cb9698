"""Events whose listeners can't disturb who emits them."""

import asyncio
import logging
from typing import Any

from pyee.asyncio import AsyncIOEventEmitter

__all__ = ["Emitter", "shield", "tell_error"]

logger = logging.getLogger(__name__)


class Emitter(AsyncIOEventEmitter):
    """An emitter for which a listener that fails is like one that does nothing.

    pyee emits `error` then; and if nothing listens to that, it raises the listener's error in
    whoever has emitted the event, which might be in the middle of a negotiation.

    The listeners of the specification's events can't fail in who fires them.
    (https://dom.spec.whatwg.org/#concept-event-listener-inner-invoke)
    """

    _telling_error = False

    def emit(self, event: str, *args: Any, **kwargs: Any) -> bool:
        """Call the listeners of an event. An error of one that nothing listens to is reported."""
        if event != "error" or len(args) != 1 or not isinstance(args[0], Exception):
            return super().emit(event, *args, **kwargs)
        # To a listener that fails at an error, pyee would tell that error, too, and so on.
        if self._telling_error or not self.listeners("error"):
            report(self, args[0])
            return False
        self._telling_error = True
        try:
            return super().emit(event, *args, **kwargs)
        finally:
            self._telling_error = False


def shield(emitter: AsyncIOEventEmitter) -> None:
    """Let an emitter of aiortc's own, such as a data channel, not fail by its listeners either."""

    def take(error: Exception) -> None:
        if len(emitter.listeners("error")) == 1:
            report(emitter, error)

    emitter.on("error", take)


def tell_error(channel: AsyncIOEventEmitter, error: Exception) -> None:
    """Emit `error` on a data channel, which isn't an error of ours to report if nobody listens."""
    if len(channel.listeners("error")) > 1:  # one is that of shield()
        channel.emit("error", error)


def report(emitter: AsyncIOEventEmitter, error: Exception) -> None:
    """Report an error of a listener as asyncio does those of callbacks: it logs the traceback."""
    text = f"A listener to events of {type(emitter).__name__} has failed"
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        logger.error(text, exc_info=error)  # noqa: TRY400  not being handled here
        return
    loop.call_exception_handler({"message": text, "exception": error})
