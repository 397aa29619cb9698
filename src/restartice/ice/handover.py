"""Moves an ICE transport from one generation to the next."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, Final

import aiortc
from aioice import ConnectionClosed, stun

from ..seam import CandidatePair, IceTransportView
from .candidate import is_end
from .checks.precedence import PRECEDENCE, connect_first, connect_second
from .checks.time import finish_checks
from .connection import IceConnection
from .counters import Traffic, TrafficCounter
from .credentials import IceCredentials
from .draining import Draining
from .gatherer import GathererCore
from .generation import IceGeneration
from .generations import Phase, find_generation, superfluous, transport_state
from .incoming.guard import Discards
from .liveness import PathState
from .paths.networks import ends_of
from .paths.switched import PathSwitched
from .quota import give_way
from .remote import RemoteCandidates, RemoteIce

__all__ = ["IceTransportCore"]

PHASES: Final = {
    PathState.ALIVE: Phase.NOMINATED,
    PathState.LOST: Phase.LOST,
    PathState.EXPIRED: Phase.FAILED,
}

# How long a restart waits for the answer of a pair like the one in use when another one has
# answered, in seconds.
SHORTEST_PATIENCE, LONGEST_PATIENCE = 0.05, 0.5

PATH_NEWS: Final = {
    PathState.ALIVE: "path is back",
    PathState.LOST: "path lost: the peer doesn't answer",
    PathState.EXPIRED: "consent to send has expired",
}


class IceTransportCore(IceTransportView):
    """The state behind an RTCIceTransport: its generations, one of which carries the traffic.

    Attributes:
        log: The log of the transport.
        gatherer: The core of its gatherer.
        state: The state of the transport.
        generations: The active generation, which carries the traffic, and newer ones.
        carrier: The active generation, the first of these.
        selected_pair: The pair in use, or None.
        valid_pair: Before a pair is nominated, the first valid pair, which is sent on, or None.
        remote: The peer's parameters and candidates for the generation in use.
        pending_remote: The same for the generation being negotiated, or None.
        early: The remote candidates that came before any description.
        usable: Set when there is the first pair to send on.
    """

    # The local and the remote address of the last pair in use.
    _last_addresses: tuple[str, str] | None = None
    # Whether candidates trickle: remote ones with username fragments have come, or ours follow.
    _trickled = False
    # The second pair that packets are sent on while the pair in use is in doubt.
    _second: CandidatePair | None = None

    def __init__(
        self,
        transport: aiortc.RTCIceTransport,
        gatherer: GathererCore,
        on_state: Callable[[], None],
        on_resumed: Callable[..., None],
    ) -> None:
        super().__init__(transport)
        self.log = gatherer.context.log
        self.gatherer = gatherer
        self._settings = settings = gatherer.context.settings
        self._on_state = on_state
        self._on_resumed = on_resumed
        self._parking = False
        self.usable = asyncio.Event()
        self.switch_listeners: list[Callable[[PathSwitched], None]] = []
        self.state = "new"
        self.generations = [gatherer.generation]
        self.carrier = gatherer.generation
        self._draining = Draining(settings)
        self._background: set[asyncio.Task[None]] = set()
        self._closing: dict[asyncio.Task[None], IceGeneration] = {}
        self._stopped = False
        self.selected_pair: CandidatePair | None = None
        self.valid_pair: CandidatePair | None = None
        self.selected_pair_changes = 0
        self.restarts = 0
        self.traffic = TrafficCounter(Traffic)
        self._pending: IceGeneration | None = None
        self.remote: RemoteIce | None = None
        self.pending_remote: RemoteIce | None = None
        self.early = RemoteCandidates(self.log)
        gatherer.observed_by(self)
        gatherer.state_listeners.append(lambda: transport.emit("gatheringstatechange"))

    # Called by negotiation.

    @property
    def credentials(self) -> IceCredentials:
        """The local username fragment and password of the newest generation."""
        return self.gatherer.generation.credentials

    @property
    def discards(self) -> Discards:
        """The count of dropped datagrams, of all generations."""
        return self.gatherer.datagrams.discards

    @property
    def spare_addresses(self) -> frozenset[str]:
        """The local addresses of spares that have answered lately."""
        keeper = self.carrier.connection.keeper
        return frozenset() if keeper is None else keeper.spare_addresses

    @property
    def prefers(self) -> bool:
        """Whether `IceSettings.prefer` ranks networks."""
        return self._settings.prefer is not None

    @property
    def sendable(self) -> bool:
        """Whether there is a pair to send on."""
        return self.sending_pair is not None

    @property
    def sending_pair(self) -> CandidatePair | None:
        """The pair in use, or before one is nominated the first valid pair, or None."""
        return self.selected_pair or self.valid_pair

    @property
    def path_lost(self) -> bool:
        """Whether the path in use is lost, or there is none."""
        return self.carrier.phase is not Phase.NOMINATED and self.valid_pair is None

    @property
    def round_trip_time(self) -> float | None:
        """The round trip time of the last check on the pair in use, in seconds, or None."""
        pair = self.sending_pair
        return None if pair is None else self.carrier.connection.checks_of(pair).round_trip_time

    @property
    def restarting(self) -> bool:
        """Whether a restart waits for the peer's answer."""
        return self._pending is not None

    def begin_generation(self, credentials: IceCredentials) -> None:
        """Begin a restart: make a next generation, and gather for it from now on.

        The current generation carries the traffic until the next one takes over. An unanswered
        restart is discarded.
        """
        self.discard_generation()
        generation = self.gatherer.make_generation(credentials)
        generation.connection.inherit_from(self.carrier.connection)
        self.generations.append(generation)
        self._pending = generation
        self.log.debug("generation %s begun", credentials.ufrag)

    def discard_generation(self) -> None:
        """Discard a restart that wasn't answered."""
        if (generation := self._pending) is not None:
            self._pending = None
            self.log.debug("generation %s given up before it had an answer", generation.name)
            self.generations.remove(generation)
            self.gatherer.use(self.generations[-1])
            self._close_soon(generation)
            self.gatherer.announce_state()
            self.gatherer.tell_news()

    def take_back(self) -> None:
        """Undo what a description that was rolled back has begun: a restart, or the gathering.

        The candidates of a first description are announced again with the next one.
        """
        self.discard_generation()
        if self.remote is None and not self.gatherer.has_new:
            self.carrier.take_back()
            self.gatherer.announce_state()

    def note_trickling(self) -> None:
        """Note that our candidates follow their description, so `connected` isn't skipped."""
        self._trickled = True

    async def receive_remote(self, remote: RemoteIce) -> None:
        """Apply the parameters and candidates of a remote description.

        With the credentials in use, only candidates are added. Other credentials request a restart,
        or answer ours; they and their candidates wait for commit().
        """
        if self.remote is None or remote.credentials != self.remote.credentials:
            self.pending_remote = remote
            return
        self.pending_remote = None
        await self._add_remote_candidates(self.remote, remote.candidates)

    def commit(self) -> bool:
        """Apply the outcome of an offer and its answer.

        A restart takes new credentials of both sides. If only one side has changed them, the pair
        in use stays in use. (RFC 9429 section 5.10, RFC 8839 section 4.4.3)

        Returns:
            Whether both sides agreed on whether to restart.
        """
        remote, self.pending_remote = self.pending_remote, None
        if self.remote is not None and (remote is not None) != self.restarting:
            self.discard_generation()
            return False
        self._pending = None
        self.remote = remote or self.remote
        return True

    async def start_checks(self, *, first: bool = True) -> None:
        """Check the pairs of the newest generation. A second call has no effect.

        Args:
            first: Whether to start at once. The answerer of a restart passes False, to let the
                checks of the offerer come first.
        """
        await self.prepare_checks()
        self.begin_checks(first=first)

    async def prepare_checks(self) -> None:
        """Let the newest generation know the peer's candidates. A second call has no effect."""
        generation, remote = self.generations[-1], self.remote
        if generation.remote is not None or remote is None:
            return
        generation.use_remote(remote)
        generation.connection.schedule.prefer(self._last_addresses)
        early, self.early = self.early, RemoteCandidates(self.log)
        remote.candidates.take(early)
        await generation.add_remote_candidates(remote.candidates)

    def begin_checks(self, *, first: bool) -> None:
        """Begin what has been prepared; as start_checks()."""
        generation = self.generations[-1]
        if generation.remote is None or generation.check_task is not None or self._stopped:
            return
        checking = generation.begin_checks(self._check(generation, first=first))
        checking.add_done_callback(lambda _: self._update_state())
        self._in_background(self._watch(generation.connection))
        self._drop_superfluous()
        self._update_state()

    async def add_remote_candidate(self, candidate: aiortc.RTCIceCandidate | None) -> None:
        """Add a remote candidate, or the end of candidates.

        Raises:
            LookupError: No generation has the candidate's username fragment.
        """
        told = [] if candidate is None or is_end(candidate) else [candidate]
        remotes = [remote for remote in (self.remote, self.pending_remote) if remote is not None]
        if not remotes:
            self.early.take(told)
            return
        ufrag = getattr(candidate, "usernameFragment", None)
        if ufrag is not None:
            self._trickled = True
        known = [remote.credentials.ufrag for remote in remotes]
        place = find_generation(ufrag, known)
        if place is None:
            raise LookupError(f"expected a username fragment of {known}, got {ufrag!r}")
        await self._add_remote_candidates(remotes[place], told)

    def park_stops(self, *, parking: bool) -> None:
        """Make stop() do nothing, or work again."""
        self._parking = parking

    def close(self) -> None:
        """Enter `closed` at once; stop() ends the rest."""
        self._enter_state("closed")

    async def stop(self) -> None:
        """Close all sockets, unless stops are parked."""
        if self._parking or self._stopped:
            return
        self._end_sending()
        generations = [*self.generations, *self._draining]
        closings = (generation.close() for generation in generations)
        try:
            await asyncio.gather(*closings, *self._closing)
        finally:
            self.abort()

    def abort(self) -> None:
        """Close all sockets, without waiting."""
        self._stopped = True
        self._end_sending()
        for generation in [*self.generations, *self._draining, *self._closing.values()]:
            generation.abort()
        self.gatherer.datagrams.close()

    # Called by the connections of the generations.

    def peer_found(self) -> None:
        """Update the state: a check may have come from a first, peer-reflexive candidate."""
        self._update_state()

    def pair_valid(self, connection: IceConnection, pair: CandidatePair | None) -> None:
        """Send on the first pair that works, until it fails. (RFC 8445 section 12.1)."""
        carrier, before = self.carrier, self.sending_pair
        begins = carrier.connection is connection and carrier.phase is Phase.CHECKING
        if begins and (before is None or connection.is_dead(before)):
            self.valid_pair = pair
            self.traffic.select(pair)
            if pair is not None:
                self.usable.set()

    def pair_nominated(self, connection: IceConnection) -> None:
        """Switch to the nominated pair, unless its generation is an old one."""
        for place, generation in enumerate(self.generations):
            if generation.connection is connection and generation.phase is not Phase.FAILED:
                generation.enter(Phase.NOMINATED)
                self._carry(place)
        self._update_state()

    def path_changed(self, connection: IceConnection, state: PathState) -> None:
        """Update the state; stop sending when consent has expired."""
        for generation in self.generations:
            if generation.connection is connection:
                generation.enter(PHASES[state])
        if self.carrier.connection is connection:
            self.log.info(PATH_NEWS[state])
            if state is PathState.EXPIRED:
                self._select(None)
        self._update_state()

    def path_resumed(self, connection: IceConnection) -> None:
        """Let DTLS and SCTP repeat lost packets at once."""
        if self.carrier.connection is connection:
            self.repeat_lost()

    def repeat_lost(self) -> None:
        """Let DTLS, SCTP and media repeat what the peer hasn't got, or couldn't decrypt."""
        self._on_resumed(self.viewed, lossy=True)

    def role_switched(self, *, controlling: bool) -> None:
        """Set the role and the tie-breaker, which belong to the agent, on all generations."""
        for generation in [*self.generations, *self._draining]:
            generation.connection.share_tie_breaker(self.carrier.connection)
            if generation.connection.ice_controlling != controlling:
                generation.connection.switch_role(controlling)

    def send_twice(self, connection: IceConnection, pair: CandidatePair | None) -> None:
        """Send packets on a second pair, too, while the one in use is in doubt; None ends that."""
        if self.carrier.connection is connection:
            self._second = pair

    async def make_room(self, connection: IceConnection, server: tuple[str, int]) -> bool:
        """Release an older generation's allocation at a TURN server for a newer generation."""
        connections = [generation.connection for generation in self.generations]
        if connection not in connections:
            return False
        older = connections[: connections.index(connection)]
        draining = [old.connection for old in self._draining]
        # A release in progress, such as after a rollback, may be enough.
        if connection.releases.recent:
            await connection.releases.wait()
            return True
        return await give_way(draining, older, server)

    async def _check(self, generation: IceGeneration, *, first: bool) -> None:
        checks = self._connect(generation, first=first)
        schedule = generation.connection.schedule
        try:
            await finish_checks(checks, self._settings.check_timeout, lambda: schedule.unsent)
        except (ConnectionError, TimeoutError):
            if generation.phase is Phase.CHECKING:
                generation.enter(Phase.FAILED)
                self._forget_valid(generation)
                generation.connection.give_up()
                self._update_state()
        else:
            if generation.phase is Phase.CHECKING:
                self.pair_nominated(generation.connection)

    async def _connect(self, generation: IceGeneration, *, first: bool) -> None:
        connection, remote = generation.connection, generation.remote
        restarting = generation is not self.carrier
        assert remote is not None  # from prepare_checks()
        lite = remote.parameters.iceLite
        patience = self._patience if restarting and not (lite or self.path_lost) else None
        if first or lite or (restarting and remote.takes_early_checks):
            await connect_first(connection, patience)
        else:
            ended = self._peer_has_left if restarting else None
            await connect_second(connection, peer_has_left=ended, patience=patience)

    def _peer_has_left(self) -> bool:
        """Return whether nothing has come in on the path in use lately."""
        watch = self.carrier.connection.watch
        now = asyncio.get_running_loop().time()
        return self.path_lost or watch is None or now - watch.heard_at > PRECEDENCE / 2

    @property
    def _patience(self) -> float:
        """The number of seconds that an answer on the pair in use may take."""
        round_trip = self.round_trip_time
        if round_trip is None:
            return LONGEST_PATIENCE
        return max(SHORTEST_PATIENCE, min(2 * round_trip, LONGEST_PATIENCE))

    async def _watch(self, connection: IceConnection) -> None:
        # Only the program closes a connection in use. That counts as a lost path.
        if isinstance(await connection.get_event(), ConnectionClosed):
            self.path_changed(connection, PathState.EXPIRED)

    async def _add_remote_candidates(
        self, remote: RemoteIce, candidates: Iterable[aiortc.RTCIceCandidate]
    ) -> None:
        taken = remote.candidates.take(candidates)
        for generation in self.generations:
            if generation.remote is remote:
                await generation.add_remote_candidates(taken)
        self._update_state()

    def _carry(self, place: int) -> None:
        lossy = self.path_lost
        older, self.generations = self.generations[:place], self.generations[place:]
        self.carrier = self.generations[0]
        self.restarts += len(older)
        if older:
            seconds = time.monotonic() - self.carrier.begun_at
            self.log.info("restart took over after %.3f s: %s", seconds, self.carrier.name)
        self.connection = self.carrier.connection
        before = self.selected_pair
        self._select(self.carrier.connection.selected_pair)
        if not older:
            self._tell_switch(before)
        for generation in older:
            self._retire(generation)
        pairs = {pair for g in self.generations for pair in g.connection.check_list}
        self.traffic.forget_others(pairs)
        self.usable.set()
        self._on_resumed(self.viewed, lossy=lossy)

    def _select(self, pair: CandidatePair | None) -> None:
        self.valid_pair = None
        if pair is not self.selected_pair:
            self.selected_pair = pair
            self._second = None
            if pair is not None:
                self._last_addresses = pair.local_candidate.host, pair.remote_addr[0]
                local = pair.local_candidate
                self.log.debug(
                    "pair in use: %s:%d -> %s:%d", local.host, local.port, *pair.remote_addr
                )
            self.selected_pair_changes += pair is not None
            self.traffic.select(pair)
            self.viewed.emit("selectedcandidatepairchange")

    def _forget_valid(self, generation: IceGeneration) -> None:
        if generation is self.carrier and self.valid_pair is not None:
            self.valid_pair = None
            self.traffic.select(self.selected_pair)

    def _tell_switch(self, before: CandidatePair | None) -> None:
        pair, connection = self.selected_pair, self.carrier.connection
        if before is None or pair is None or pair is before:
            return
        reason = connection.reason or "peer"
        event = PathSwitched(reason, ends_of(before), ends_of(pair), connection.silence)
        for listener in list(self.switch_listeners):
            listener(event)

    def _drop_superfluous(self) -> None:
        for place in reversed(superfluous(len(self.generations))):
            self._close_soon(self.generations.pop(place))

    def _retire(self, generation: IceGeneration) -> None:
        self.log.debug("generation %s retired", generation.name)
        generation.connection.end_consent()
        self._draining.add(generation)
        self._in_background(self._drain(generation))

    async def _drain(self, generation: IceGeneration) -> None:
        await self._draining.wait(generation)
        self._close_soon(generation)

    def _close_soon(self, generation: IceGeneration) -> None:
        # stop() waits for this task instead of cancelling it, so that no socket stays open.
        task = asyncio.ensure_future(generation.close())
        self._closing[task] = generation
        task.add_done_callback(self._closing.pop)

    def _in_background(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(job)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _end_sending(self) -> None:
        self._enter_state("closed")
        self.selected_pair = self.valid_pair = None
        for task in self._background:
            task.cancel()

    def _update_state(self) -> None:
        if self.state != "closed":
            checks = self.carrier.check_task
            ended = not self._trickled or checks is None or checks.done()
            phases = [generation.phase for generation in self.generations]
            if {*phases} <= {Phase.NEW, Phase.CHECKING} and not any(
                generation.has_remote_candidates for generation in self.generations
            ):
                phases = [Phase.NEW]
            self._enter_state(transport_state(phases, checks_ended=ended))

    def _enter_state(self, state: str) -> None:
        if state == self.state:
            return
        self.log.debug("%s -> %s", self.state, state)
        self.state = state
        self._on_state()
        self.viewed.emit("statechange")
        if state == "closed":
            self.gatherer.viewed.remove_all_listeners()
            self.viewed.remove_all_listeners()

    async def send_datagram(self, data: bytes) -> None:
        """Send a packet on the pair in use; without a pair, drop it.

        aiortc raises ConnectionError when a path is lost, which would end DTLS and everything above
        it. Here a restart recovers from a lost path.
        """
        pair = self.selected_pair or self.valid_pair
        if pair is None:
            return
        try:  # noqa: SIM105  faster, and each packet passes through here
            await pair.protocol.send_data(data, pair.remote_addr)
        except (stun.TransactionError, ConnectionError):
            pass  # a TURN server may refuse
        if self._second is not None:
            await self._send_again(data, self._second)

    async def _send_again(self, data: bytes, pair: CandidatePair) -> None:
        # DTLS and SRTP drop duplicates. (RFC 6347 section 4.1.2.6, RFC 3711 section 3.3.2)
        with suppress(stun.TransactionError, ConnectionError):
            await pair.protocol.send_data(data, pair.remote_addr)
