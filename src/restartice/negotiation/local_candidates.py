"""Announces local candidates: in the local description, and by `icecandidate` events."""

import asyncio
import functools
from collections.abc import Collection, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiortc.exceptions import OperationError
from aiortc.sdp import MediaDescription, SessionDescription

from ..ice.candidate import RTCIceCandidate, end_of_candidates
from ..ice.generation import IceGeneration
from ..ice.handover import IceTransportCore
from ..sdp import description as sdp
from ..transports.aggregate_states import AggregateStates
from ..transports.bundle import Bundle, User, ice_transport
from .operations import OperationsChain
from .state import State

__all__ = ["LocalCandidates", "leave_out_repeated"]


@dataclass(eq=False, repr=False)
class LocalCandidates:
    """Fires `icecandidate`, never before the candidate's description is set."""

    state: State
    bundle: Bundle
    states: AggregateStates
    operations: OperationsChain
    # How many descriptions are being set. Candidates wait meanwhile.
    _holds: int = field(default=0, init=False)

    async def gather(self) -> None:
        """Gather candidates for the newest generation of each transport.

        With a listener for `icecandidate` this returns without waiting for servers, and the events
        of the state follow the operation, as all other news of gathering do.

        Raises:
            OperationError: No port in the range of the settings is free. What other transports have
                begun is taken back.
        """
        transports = self.bundle.transports_by_use()
        new = [transport for transport in transports if transport.gatherer.has_new]
        if not self.state.viewed.listeners("icecandidate"):
            try:
                await _all_or_none(transport.gatherer.gather() for transport in transports)
            except OperationError:
                for transport in new:
                    transport.take_back()
                raise
            return
        self.states.hold_gathering(held=True)
        for transport in transports:
            transport.note_trickling()
        try:
            await _all_or_none(transport.gatherer.begin() for transport in transports)
        except OperationError:
            # The state has had no event yet.
            for transport in new:
                transport.gatherer.generation.take_back()
            raise
        finally:
            self.states.update_ice_gathering_state()
            self.operations.afterwards(functools.partial(self._gathering_begun, new))

    def _gathering_begun(self, transports: list[IceTransportCore]) -> None:
        for transport in transports:
            if not transport.gatherer.has_new:
                transport.gatherer.announce_state()
        self.states.hold_gathering(held=False)

    def hold(self) -> None:
        """Hold candidates back until release_soon() is called as often as this."""
        self._holds += 1

    def release_soon(self) -> None:
        """Announce candidates after the caller's next step, in which it sends the description."""
        asyncio.get_running_loop().call_soon(self._release)

    def _release(self) -> None:
        self._holds -= 1
        self.announce()

    def announce(self) -> None:
        """Announce the candidates of descriptions that have been set.

        "Candidates gathered early are released after the description is set."
        Spec: https://w3c.github.io/webrtc-pc/#dfn-surface-the-candidate
        """
        loop = asyncio.get_running_loop()
        for transport in self.bundle.transports_by_use():
            generation = transport.gatherer.generation
            if self._holds == 0 and any(self._sections(transport, generation.credentials.ufrag)):
                while generation.found:
                    loop.call_soon(self._announce, transport, generation.next_found())
                if generation.finished:
                    loop.call_soon(self._finish, transport, generation)

    def _announce(self, transport: IceTransportCore, candidate: RTCIceCandidate) -> None:
        for index, section in self._sections(transport, candidate.usernameFragment):
            if candidate.sdpMid is None:
                candidate.sdpMid, candidate.sdpMLineIndex = section.rtp.muxId, index
            sdp.add_candidate(section, candidate)
        if candidate.sdpMid is not None:
            self.state.emit("icecandidate", candidate)

    def _finish(self, transport: IceTransportCore, generation: IceGeneration) -> None:
        if not generation.finished:
            return
        end = end_of_candidates(generation.credentials.ufrag)
        for index, section in self._sections(transport, end.usernameFragment):
            if end.sdpMid is None:
                end.sdpMid, end.sdpMLineIndex = section.rtp.muxId, index
            section.ice_candidates_complete = True
        try:
            if end.sdpMid is not None:
                self.state.emit("icecandidate", end)
        finally:
            transport.gatherer.finish(generation)

    def _sections(
        self, transport: IceTransportCore, ufrag: str | None
    ) -> Iterator[tuple[int, MediaDescription]]:
        """Yield the media sections of a transport's generation, with their indices.

        There are none once the connection is closed.
        """
        if self.state.is_closed:
            return
        for description in (self.state.pending_local, self.state.current_local):
            if description is not None:
                indices = [
                    index
                    for index, section in enumerate(description.media)
                    if sdp.section_credentials(section).ufrag == ufrag
                    and self.bundle.transport_at(index) is transport
                ]
                for index in _telling(self.state, description, indices):
                    yield index, description.media[index]


def leave_out_repeated(
    state: State, description: SessionDescription, users: Mapping[int, User]
) -> None:
    """Remove candidates from sections whose transport another one of the BUNDLE group describes.

    Args:
        state: The slots of the connection.
        description: A description of ours.
        users: The transceivers and SCTP of its live sections, by index.
    """
    indices: dict[IceTransportCore, list[int]] = {}
    for index, user in users.items():
        indices.setdefault(ice_transport(user), []).append(index)
    for sharing in indices.values():
        for index in {*sharing} - {*_telling(state, description, sharing)}:
            sdp.remove_candidates(description.media[index])


def _telling(
    state: State, description: SessionDescription, indices: Collection[int]
) -> Collection[int]:
    """Return which of the sections with the same transport have its candidates.

    Of a BUNDLE group that's the first one. (RFC 9429 sections 5.2.2 and 5.3.1)

    Departure: if candidates don't trickle, all have them. Of sections with the same transport,
    plain aiortc takes the candidates of the last one.
    """
    group = sdp.bundled_mids(description) if state.viewed.listeners("icecandidate") else []
    mids = {description.media[index].rtp.muxId: index for index in indices}
    bundled = [mids[mid] for mid in group if mid in mids]
    return [index for index in indices if index not in bundled[1:]]


async def _all_or_none(jobs: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do some jobs at the same time; if one fails, cancel the others before raising its error."""
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
