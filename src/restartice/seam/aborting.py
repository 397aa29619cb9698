"""The private names of aiortc's tasks, threads and timers, to end them at once.

aiortc's own `stop()` ends them, too, but waits, and may fail before it is done.
"""

from typing import TYPE_CHECKING

import aiortc

from .names import require

if TYPE_CHECKING:
    import asyncio

__all__ = ["abort_data", "abort_dtls", "abort_receiver", "abort_sender"]

_SENDER, _RECEIVER = aiortc.RTCRtpSender, aiortc.RTCRtpReceiver
_SENDER_TASKS = (require(_SENDER, "__rtp_task"), require(_SENDER, "__rtcp_task"))
_RECEIVER_TASKS = (require(_RECEIVER, "__rtcp_task"),)
_STOP_DECODER = require(_RECEIVER, "__stop_decoder")
require(aiortc.RTCDtlsTransport, "_task")
require(aiortc.RTCSctpTransport, "_set_state")


def abort_sender(sender: aiortc.RTCRtpSender) -> None:
    """End the tasks of a sender. Without effect on one that has none."""
    _cancel(sender, _SENDER_TASKS)


def abort_receiver(receiver: aiortc.RTCRtpReceiver) -> None:
    """End the task and the thread of a receiver. Without effect on one that has none."""
    _cancel(receiver, _RECEIVER_TASKS)
    getattr(receiver, _STOP_DECODER)()


def abort_dtls(transport: aiortc.RTCDtlsTransport) -> None:
    """End the task of a DTLS transport. Without effect if it has none."""
    _cancel(transport, ("_task",))
    transport._task = None


def abort_data(sctp: aiortc.RTCSctpTransport) -> None:
    """End the timers of an SCTP transport, and close its channels."""
    sctp._set_state(sctp.State.CLOSED)


def _cancel(owner: object, names: tuple[str, ...]) -> None:
    for name in names:
        task: asyncio.Future[None] | None = getattr(owner, name)
        if task is not None:
            task.cancel()
