"""Switching an ICE transport from one generation to the next."""

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import aiortc
from aioice import ConnectionClosed, stun
from aiortc import rtcicetransport

from ..events import Emitter
from ..seam import CandidatePair
from ..settings import IceSettings
from .checks.hole_punching import punch_holes
from .checks.nomination import nominate_when_checked
from .checks.time import finish_checks
from .connection import IceConnection, consent_timings
from .counters import Traffic, TrafficCounter
from .credentials import IceCredentials
from .datagrams import DatagramQueue
from .draining import Draining
from .gatherer import RTCIceGatherer
from .gathering.forgotten import weakly_asked
from .generation import IceGeneration
from .generations import Phase, superfluous, transport_state
from .incoming.guard import Discards
from .liveness import PathState
from .quota import give_way
from .remote import RemoteCandidates, RemoteIce

__all__ = ["GenerationSwitch"]

# How many seconds the side that answers a restart lets the other one go first.
PRECEDENCE: Final = 0.5
PHASES: Final = {
    PathState.ALIVE: Phase.NOMINATED,
    PathState.LOST: Phase.LOST,
    PathState.EXPIRED: Phase.FAILED,
}

logger = logging.getLogger(__name__)


class GenerationSwitch(Emitter, rtcicetransport.RTCIceTransport):
    """aiortc's ICE transport on generations, of which a next one takes over when it has a pair.

    It is what RTCIceTransport is inside: what negotiation calls, and what connections report to.
    """

    # Of the pair that was in use last, our address and the other end's.
    _last_addresses: tuple[str, str] | None = None
    # What is sent on, too, while the pair in use is in doubt.
    _second: CandidatePair | None = None

    def __init__(
        self, gatherer: aiortc.RTCIceGatherer, settings: IceSettings | None = None
    ) -> None:
        if not isinstance(gatherer, RTCIceGatherer):
            raise TypeError("restartice.RTCIceTransport needs a restartice.RTCIceGatherer")
        super().__init__(gatherer)
        self.gatherer = gatherer
        self.parking = False
        self.usable = asyncio.Event()
        self.listeners_internal: list[Callable[[], None]] = []
        self.resumed: Callable[[bool], None] = lambda _lossy: None
        self._settings = settings or IceSettings()
        self._transport_state = "new"
        self._generations = [gatherer.generation]
        self._carrier = gatherer.generation
        self._draining = Draining(self._settings)
        self._background: set[asyncio.Task[None]] = set()
        self._closing: dict[asyncio.Task[None], IceGeneration] = {}
        self._stopped = False
        self._selected: CandidatePair | None = None
        self.selected_pair_changes = 0
        self.restarts = 0
        self.traffic = TrafficCounter(Traffic)
        self._pending: IceGeneration | None = None
        self.remote: RemoteIce | None = None
        self.pending_remote: RemoteIce | None = None
        self._early = RemoteCandidates()
        self._trickled = False
        self._datagrams = DatagramQueue()
        self._adopt(gatherer.generation)
        gatherer.listeners_internal.append(self._gathering_state_changed)
        # aiortc sets these as attributes of the instance, which is why methods won't do.
        self._recv = self._datagrams.get
        self._send = self._send_datagram

    # What negotiation calls.

    @property
    def credentials(self) -> IceCredentials:
        """The local username fragment and password of the newest generation."""
        return self.gatherer.generation.credentials

    @property
    def discards(self) -> Discards:
        """The count of what came in and was dropped, on all generations."""
        return self._datagrams.discards

    @property
    def sendable(self) -> bool:
        """Whether there is a pair to send on."""
        return self._selected is not None

    @property
    def path_lost(self) -> bool:
        """Whether what is sent seems not to arrive."""
        return self._carrier.phase is not Phase.NOMINATED

    @property
    def restarting(self) -> bool:
        """Whether a generation waits for the remote side's answer to a restart."""
        return self._pending is not None

    def begin_generation(self, credentials: IceCredentials) -> None:
        """Begin a restart: what is gathered from now on belongs to a next generation.

        The one in use goes on carrying the traffic. A restart that was begun and not answered is
        forgotten.
        """
        self.discard_generation()
        generation = self.gatherer.make_generation(credentials)
        self._take_part(generation.connection)
        self._adopt(generation)
        self._generations.append(generation)
        self._pending = generation

    def discard_generation(self) -> None:
        """Forget a restart that wasn't answered."""
        if (generation := self._pending) is not None:
            self._pending = None
            self._generations.remove(generation)
            self.gatherer.use(self._generations[-1])
            self._close_soon(generation)
            self.gatherer.announce_state()
            self.gatherer.on_news()

    async def receive_remote(self, remote: RemoteIce) -> None:
        """Take what a remote description says, to be acted on by commit().

        With the credentials in use it only adds candidates; with others the remote side asks for,
        or agrees to, a restart, whose candidates wait for our next generation.
        """
        if self.remote is None or remote.credentials != self.remote.credentials:
            self.pending_remote = remote
            return
        self.pending_remote = None
        await self._add_remote_candidates(self.remote, remote.candidates)

    def commit(self) -> bool:
        """Conclude what offer and answer agreed on.

        Both sides must have changed their credentials for a restart. Where only one has, the pair
        in use stays in use. (RFC 9429 section 5.10, RFC 8839 section 4.4.3)

        Returns:
            Whether both sides agreed.
        """
        remote, self.pending_remote = self.pending_remote, None
        if self.remote is not None and (remote is not None) != self.restarting:
            self.discard_generation()
            return False
        self._pending = None
        self.remote = remote or self.remote
        return True

    async def start_checks(self, *, first: bool = True) -> None:
        """Check the pairs of the newest generation, unless that was begun already.

        Args:
            first: Whether not to wait until the other side has begun, which a restart does that the
                other side has asked for.
        """
        generation, remote = self._generations[-1], self.remote
        if generation.remote is not None or remote is None:
            return
        generation.use_remote(remote)
        generation.connection.schedule.in_use = self._last_addresses
        early, self._early = self._early, RemoteCandidates()
        remote.candidates.take(early)
        await generation.add_remote_candidates(remote.candidates)
        generation.phase = Phase.CHECKING
        generation.check_task = asyncio.ensure_future(self._check(generation, first=first))
        generation.check_task.add_done_callback(lambda _: self._update_state())
        self._in_background(self._watch(generation.connection))
        self._drop_superfluous()
        self._update_state()

    def _gathering_state_changed(self) -> None:
        self.emit("gatheringstatechange")

    # What the connections of the generations call.

    def pair_nominated(self, connection: IceConnection) -> None:
        """Send on the newly nominated pair from now on, unless it is an old generation's."""
        for place, generation in enumerate(self._generations):
            if generation.connection is connection and generation.phase is not Phase.FAILED:
                generation.phase = Phase.NOMINATED
                self._carry(place)
        self._update_state()

    def path_changed(self, connection: IceConnection, state: PathState) -> None:
        """Send nothing more on a pair whose other end hasn't answered for too long."""
        for generation in self._generations:
            if generation.connection is connection:
                generation.phase = PHASES[state]
        if self._carrier.connection is connection and state is PathState.EXPIRED:
            self._select(None)
        self._update_state()

    def path_resumed(self, connection: IceConnection) -> None:
        """Let what rides on the transport go on at once."""
        if self._carrier.connection is connection:
            self.resumed(True)

    def role_switched(self, *, controlling: bool) -> None:
        """Take the role on all generations: it is the agent's, and so is the tie-breaker."""
        for generation in [*self._generations, *self._draining]:
            generation.connection.tie_breaker = self._carrier.connection.tie_breaker
            if generation.connection.ice_controlling != controlling:
                generation.connection.switch_role(controlling)

    def send_twice(self, connection: IceConnection, pair: CandidatePair | None) -> None:
        """Send on a second pair, too, while the one in use is in doubt; None ends that."""
        if self._carrier.connection is connection:
            self._second = pair

    def _take_part(self, connection: IceConnection) -> None:
        # Were the tie-breakers different, one generation could win a conflict of roles which
        # another one loses, after which both sides might have the same role for good.
        # (RFC 8445 section 6.1.1)
        connection.ice_controlling = self._carrier.connection.ice_controlling
        connection.tie_breaker = self._carrier.connection.tie_breaker

    def _adopt(self, generation: IceGeneration) -> None:
        generation.connection.timings = functools.partial(consent_timings, self._settings)
        generation.connection.observer = self
        generation.connection.deliver = self._datagrams.put
        generation.connection.gate.discards = self.discards
        generation.connection.make_room = weakly_asked(self._make_room, generation)

    async def _make_room(self, generation: IceGeneration, server: tuple[str, int]) -> bool:
        if generation not in self._generations:
            return False
        older = self._generations[: self._generations.index(generation)]
        draining = [old.connection for old in self._draining]
        # What is given back already, as by a restart that was taken back, may do.
        releases = generation.connection.releases
        if releases.recent:
            await releases.wait()
            return True
        return await give_way(draining, [old.connection for old in older], server)

    async def _check(self, generation: IceGeneration, *, first: bool) -> None:
        checks = self._connect(generation, first=first)
        schedule = generation.connection.schedule
        try:
            await finish_checks(checks, self._settings.check_timeout, lambda: schedule.unsent)
        except (ConnectionError, TimeoutError):
            if generation.phase is Phase.CHECKING:
                generation.phase = Phase.FAILED
                generation.connection.give_up()
                self._update_state()
        else:
            if generation.phase is Phase.CHECKING:
                self.pair_nominated(generation.connection)

    async def _connect(self, generation: IceGeneration, *, first: bool) -> None:
        connection, remote = generation.connection, generation.remote
        if first or remote is None or remote.parameters.iceLite:
            await connection.connect()
            return
        await self._give_precedence(generation)
        async with meanwhile(nominate_when_checked(connection)):
            await connection.connect()

    async def _give_precedence(self, generation: IceGeneration) -> None:
        # A check that arrives before our candidates are known makes a peer-reflexive one of lower
        # priority than the one in use, which libwebrtc then prefers for good: it doesn't check
        # the new pair, and as it controls, as whoever offers a restart does there, never nominates
        # it. werift answers such a check, and then sends none of its own. The other side's first
        # check tells that it knows our candidates.
        if generation is self._carrier:
            return
        async with meanwhile(punch_holes(generation.connection)):
            with suppress(TimeoutError):
                async with asyncio.timeout(PRECEDENCE):
                    await generation.connection.asked.wait()

    async def _watch(self, connection: IceConnection) -> None:
        # Nothing here closes a connection in use, but a program may, which then is a lost path.
        if isinstance(await connection.get_event(), ConnectionClosed):
            self.path_changed(connection, PathState.EXPIRED)

    async def _add_remote_candidates(
        self, remote: RemoteIce, candidates: Iterable[aiortc.RTCIceCandidate]
    ) -> None:
        taken = remote.candidates.take(candidates)
        for generation in self._generations:
            if generation.remote is remote:
                await generation.add_remote_candidates(taken)

    def _carry(self, place: int) -> None:
        lossy = self.path_lost
        older, self._generations = self._generations[:place], self._generations[place:]
        self._carrier = self._generations[0]
        self.restarts += len(older)
        self._connection = self._carrier.connection
        self._select(self._connection.selected_pair)
        for generation in older:
            self._retire(generation)
        pairs = {pair for g in self._generations for pair in g.connection.check_list}
        self.traffic.forget_others(pairs)
        self.usable.set()
        self.resumed(lossy)

    def _select(self, pair: CandidatePair | None) -> None:
        if pair is not self._selected:
            self._selected = pair
            self._second = None
            if pair is not None:
                self._last_addresses = pair.local_candidate.host, pair.remote_addr[0]
            self.selected_pair_changes += pair is not None
            self.traffic.select(pair)
            self.emit("selectedcandidatepairchange")

    def _drop_superfluous(self) -> None:
        for place in reversed(superfluous(len(self._generations))):
            self._close_soon(self._generations.pop(place))

    def _retire(self, generation: IceGeneration) -> None:
        generation.connection.end_consent()
        self._draining.add(generation)
        self._in_background(self._drain(generation))

    async def _drain(self, generation: IceGeneration) -> None:
        await self._draining.wait(generation)
        self._close_soon(generation)

    def _close_soon(self, generation: IceGeneration) -> None:
        # stop() waits for this instead of ending it, or else sockets would be left open.
        task = asyncio.ensure_future(generation.close())
        self._closing[task] = generation
        task.add_done_callback(self._closing.pop)

    def _in_background(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(job)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _end_sending(self) -> None:
        self._enter_state("closed")
        self._selected = None
        for task in self._background:
            task.cancel()

    def _update_state(self) -> None:
        if self.state != "closed":
            checks = self._carrier.check_task
            ended = not self._trickled or checks is None or checks.done()
            phases = [generation.phase for generation in self._generations]
            self._enter_state(transport_state(phases, checks_ended=ended))

    def _enter_state(self, state: str) -> None:
        if state == self._transport_state:
            return
        logger.debug("RTCIceTransport(%s) - %s -> %s", self.role, self._transport_state, state)
        self._transport_state = state
        for listener in self.listeners_internal:
            listener()
        self.emit("statechange")
        if state == "closed":
            self.gatherer.remove_all_listeners()
            self.remove_all_listeners()

    # What sends and receives replaces aiortc's, which raises ConnectionError when a path is lost,
    # whereupon DTLS and all above it would end. A lost path is what a restart recovers from.

    async def _send_datagram(self, data: bytes) -> None:
        pair = self._selected
        if pair is None:
            return
        try:  # noqa: SIM105  as each packet passes through here
            await pair.protocol.send_data(data, pair.remote_addr)
        except (stun.TransactionError, ConnectionError):
            pass  # a TURN server may refuse
        if self._second is not None:
            await self._send_again(data, self._second)

    async def _send_again(self, data: bytes, pair: CandidatePair) -> None:
        # What arrives twice is dropped by DTLS and SRTP. (RFC 6347 section 4.1.2.6, RFC 3711
        # section 3.3.2)
        with suppress(stun.TransactionError, ConnectionError):
            await pair.protocol.send_data(data, pair.remote_addr)


@asynccontextmanager
async def meanwhile(job: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run a job during a with statement, at whose end it is cancelled."""
    task = asyncio.ensure_future(job)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
