"""Emitters that catch the errors of their listeners."""

import asyncio
import logging
from typing import Any, Final

from pyee.asyncio import AsyncIOEventEmitter

from .logs import ObjectLogger

__all__ = ["Emitter", "shield", "tell_error"]

logger = logging.getLogger(__name__)

LISTENER_FAILED: Final = "a listener to its events has failed"


class Emitter(AsyncIOEventEmitter):
    """An emitter whose emit() doesn't raise the errors of listeners.

    pyee emits `error` for an error of a listener; without a listener to `error` it raises it from
    emit(), which may be in the middle of a negotiation.

    In the specification an error of a listener doesn't affect the code that fires the event.
    (https://dom.spec.whatwg.org/#concept-event-listener-inner-invoke)
    """

    _telling_error = False

    def emit(self, event: str, *args: Any, **kwargs: Any) -> bool:
        """Call the listeners of an event; report their errors if nothing listens to `error`."""
        if event != "error" or len(args) != 1 or not isinstance(args[0], Exception):
            return super().emit(event, *args, **kwargs)
        # pyee would emit `error` again for a listener to `error` that fails, without end.
        if self._telling_error or not self.listeners("error"):
            report(self, args[0])
            return False
        self._telling_error = True
        try:
            return super().emit(event, *args, **kwargs)
        finally:
            self._telling_error = False


def shield(emitter: AsyncIOEventEmitter) -> None:
    """Catch the errors of listeners of an emitter of aiortc, such as a data channel."""

    def take(error: Exception) -> None:
        if len(emitter.listeners("error")) == 1:
            report(emitter, error)

    emitter.on("error", take)


def tell_error(channel: AsyncIOEventEmitter, error: Exception) -> None:
    """Emit `error` on a data channel, unless nothing listens to it."""
    if len(channel.listeners("error")) > 1:  # one of them is that of shield()
        channel.emit("error", error)


def name_of(emitter: AsyncIOEventEmitter) -> str:
    """Return the name of an object in the log; of a channel with its label, of a track its id."""
    if (log := getattr(getattr(emitter, "_core", None), "log", None)) is not None:
        return str(log.object_name)
    kind, detail = type(emitter).__name__, getattr(emitter, "label", getattr(emitter, "id", None))
    return kind if detail is None else f"{kind}({detail!r})"


def report(emitter: AsyncIOEventEmitter, error: Exception) -> None:
    """Report an error of a listener to asyncio's exception handler, which logs the traceback."""
    log = ObjectLogger(logger, name_of(emitter))
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        log.error(LISTENER_FAILED, exc_info=error)  # noqa: TRY400  not being handled here
        return
    message, _ = log.process(LISTENER_FAILED, {})
    loop.call_exception_handler({"message": message, "exception": error})
