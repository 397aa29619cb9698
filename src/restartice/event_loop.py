"""The event loop of a connection; refuses calls from other threads."""

import asyncio

__all__ = ["LoopAffinity"]


class LoopAffinity:
    """The event loop of a connection: the one in which it is used first.

    Like asyncio's own objects, a connection can't be used from other threads: the effect of a call
    would wait until something else wakes the loop up, or be lost. So such calls are refused.
    """

    def __init__(self) -> None:
        # Not the loop in which it is created, which may be another one.
        self._loop: asyncio.AbstractEventLoop | None = None

    def check(self, name: str) -> None:
        """Raise RuntimeError if the loop runs in another thread.

        Args:
            name: The called method, for the message.
        """
        try:
            running: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is self._loop is not None:
            return
        if self._loop is None or not self._loop.is_running():
            # The loop isn't running, so nothing happens at the same time.
            self._loop = running or self._loop
            return
        raise RuntimeError(
            f"{name} was called outside the thread of the connection's event loop; from there, use "
            "loop.call_soon_threadsafe(), or asyncio.run_coroutine_threadsafe() for coroutines"
        )
