"""One ICE generation's connection: aioice's, which reports instead of ending things."""

import asyncio
import itertools
import weakref
from collections.abc import Callable
from typing import Any, Final, Protocol

import aioice
import aioice.ice
from aioice import stun

from ..seam import (
    CandidatePair,
    address_of,
    keep_latest,
    new_ice_connection,
    nomination_of,
    on_top_of,
    repeat_requests,
)
from ..settings import IceSettings
from .checks.schedule import CheckSchedule
from .checks.triggered import TriggeredChecks
from .consent import PathWatch
from .counters import CheckCounter
from .credentials import IceCredentials
from .gathering.connection import GatheringConnection
from .incoming.guarded_socket import UNREADABLE, Address
from .incoming.new_ports import NewPorts
from .incoming.peer_reflexive import PeerReflexive
from .liveness import PathState, Timings
from .local_addresses import LocalAddresses
from .paths.keeper import PathKeeper
from .paths.kept import Reason
from .paths.networks import can_send

__all__ = ["IceConnection", "Observer", "consent_timings", "make_ice_connection"]

COMPONENT: Final = 1
# How many of the pairs that haven't answered are insisted on at a time, those first that lead
# across most likely.
INSISTED: Final = 25


class Observer(Protocol):
    """Who wants to know what happens to an IceConnection."""

    def pair_nominated(self, connection: "IceConnection") -> None:
        """A pair was nominated; there may have been another one before."""

    def path_changed(self, connection: "IceConnection", state: PathState) -> None:
        """The path of the nominated pair is lost, or back, or consent to send has expired."""

    def path_resumed(self, connection: "IceConnection") -> None:
        """Something has come in on it after that was missed."""

    def role_switched(self, *, controlling: bool) -> None:
        """A conflict of roles was repaired by taking the other one."""

    def send_twice(self, connection: "IceConnection", pair: CandidatePair | None) -> None:
        """Send on a second pair, too, or on none any more."""


class IceConnection(GatheringConnection):
    """aioice's connection, which hands over data, and reports its nomination and its path.

    It ends only by close(): neither a lost socket nor lost consent closes it.
    """

    deliver: Callable[[bytes], None]

    def prepare(self) -> None:
        """Add what a connection of aioice lacks."""
        super().prepare()
        self._observer: weakref.ref[Observer] | None = None
        self.heard = False
        self.given_up = False
        # Whether the other end is to send nothing here any more. (RFC 7675 section 5.2)
        self.revoked = False
        self.asked = asyncio.Event()
        self.timings: Callable[[], Timings] = Timings
        self.watch: PathWatch | None = None
        self.keeper: PathKeeper | None = None
        self.remote_tie_breaker = 0
        # Why the pair in use is, unless the other end has nominated it.
        self.reason: Reason | None = None
        self._checks: dict[CandidatePair, CheckCounter] = {}
        self._triggered = TriggeredChecks()
        self._dead: set[CandidatePair] = set()
        self.schedule = CheckSchedule(self)
        self._peer_reflexive = PeerReflexive(self)

    @property
    def credentials(self) -> IceCredentials:
        """The local username fragment and password."""
        return IceCredentials(self.local_username, self.local_password)

    @credentials.setter
    def credentials(self, credentials: IceCredentials) -> None:
        self.local_username, self.local_password = credentials.ufrag, credentials.password

    @property
    def observer(self) -> Observer | None:
        """Who is told what happens, if it is still in use, which this doesn't keep it in."""
        return None if self._observer is None else self._observer()

    @observer.setter
    def observer(self, observer: Observer) -> None:
        self._observer = weakref.ref(observer)

    @property
    def selected_pair(self) -> CandidatePair | None:
        """The nominated pair, or None."""
        return self.nominated.get(COMPONENT)

    async def connect(self) -> None:
        """Check the pairs, and repeat what isn't answered at a steady pace.

        aioice waits twice as long each time, so that a path which heals in the middle of its checks
        might be found to work many seconds later.
        """
        insisting = asyncio.create_task(self._insist())
        try:
            await super().connect()
        finally:
            insisting.cancel()
            self.schedule.stop()
            self._abandon_checks()

    def _abandon_checks(self) -> None:
        # aioice has cancelled them, and leaves their pairs in progress for good, which no check of
        # the other end would have checked any more. (RFC 8445 section 7.3.1.4)
        for pair in self.check_list:
            if pair.task is not None:
                pair.task.cancel()
                pair.task = None
                self.check_state(pair, CandidatePair.State.FAILED)

    def start_checks(self) -> None:
        """Check the pairs at the pace of the RFC, those first that lead across most likely."""
        self.schedule.start()

    def sort_pairs(self) -> None:
        """Put the pairs into the order in which they are checked."""
        self.schedule.sort()

    def pairs_changed(self) -> None:
        """Have the pairs sorted, once for all that are made now."""
        self.schedule.pairs_changed()
        if self.keeper is not None:
            self.keeper.pairs_changed()

    async def _insist(self) -> None:
        while True:
            interval = self.settings.check_repetition
            await asyncio.sleep(interval)
            unanswered = (p for p in self.check_list if p.state is CandidatePair.State.IN_PROGRESS)
            for pair in itertools.islice(unanswered, INSISTED):
                repeat_requests(pair, tries=2)

    def take(self, datagram: bytes, *, heard: bool) -> None:
        """Hand traffic over, whichever generation it came in on.

        Args:
            datagram: What the other end sent.
            heard: Whether it came from an address that has answered us, and so is a sign of life.
        """
        if heard and not self.heard:
            self.heard = True
            if self.watch is not None:
                self.watch.packet_came()
            if self.keeper is not None:
                self.keeper.packet_came()
        self.deliver(datagram)

    def traffic_apart(self) -> None:
        """Take note that traffic has come in on a pair beside the one in use."""
        if self.keeper is not None:
            self.keeper.traffic_came()

    def data_received(self, data: bytes, component: int) -> None:  # noqa: ARG002  aioice's interface
        """Drop what aioice takes for traffic: a STUN message that it could not read."""
        self.gate.discards.add(UNREADABLE)

    def protocol_lost(self, protocol: object) -> None:
        """Take the pairs of a socket for lost that is gone, and a TURN allocation with it."""
        if not self.ended:
            self.drop_socket(protocol)
            self._bury([pair for pair in self.check_list if pair.protocol is protocol])

    def refuse_pairs(self, protocol: Any, peer: tuple[str, int]) -> None:
        """Let pairs fail, because a TURN server refuses to send to their remote address."""
        self._bury(self._pairs_between(peer, protocol))

    def is_dead(self, pair: CandidatePair) -> bool:
        """Say if nothing will ever get through on a pair again."""
        return pair in self._dead

    def _bury(self, pairs: list[CandidatePair]) -> None:
        for pair in pairs:
            self._dead.add(pair)
            if pair.task is not None:
                pair.task.cancel()
            self.check_state(pair, CandidatePair.State.FAILED)
        if self.watch is not None and self.selected_pair in pairs:
            self.watch.pair_died()

    def sending_failed(self, protocol: object) -> None:
        """Leave the pair in use at once if the system can't send on it any more."""
        pair = self.selected_pair
        if self.keeper is None or pair is None or pair.protocol is not protocol:
            return
        # It may have been sent to somewhere else by the same socket.
        if not can_send(pair):
            self.keeper.path_gone()

    def check_complete(self, pair: CandidatePair) -> None:
        """Report a nomination at once, not when connect() returns up to 20 ms later."""
        before = self.selected_pair
        super().check_complete(pair)
        if self.selected_pair is before:
            return
        self.gate.end_holding()
        if self.keeper is not None:
            self.keeper.selected_changed()
        if self.observer is not None:
            self.observer.pair_nominated(self)

    # What keeps other paths ready asks for.

    def found_to_work(self, pair: CandidatePair, seconds: float) -> None:
        """Take note that a pair has answered, and how long that took."""
        self.checks_of(pair).took(seconds)
        if pair.state is not CandidatePair.State.IN_PROGRESS:
            pair.state = CandidatePair.State.SUCCEEDED

    def use_pair(self, pair: CandidatePair, reason: Reason) -> None:
        """Send on a pair from now on."""
        self.reason = reason
        pair.nominated = True
        self.nominated[COMPONENT] = pair
        self.heard = False
        if self.keeper is not None:
            self.keeper.selected_changed()
        if self.observer is not None:
            self.observer.pair_nominated(self)

    def hedge(self, pair: CandidatePair | None) -> None:
        """Send on a second pair, too, or on none any more."""
        if self.observer is not None:
            self.observer.send_twice(self, pair)

    def repeat_lost(self) -> None:
        """Send again what seems to have been lost."""
        self._path_resumed()

    def path_stays_lost(self) -> None:
        """Report that the pair in use is lost, and that no other one works."""
        if self.observer is not None:
            self.observer.path_changed(self, PathState.LOST)

    def request_received(
        self, message: stun.Message, addr: tuple[str, int], protocol: object, *datagram: bytes
    ) -> None:
        """Answer it, and take note that the other side has begun, if it was signed."""
        if self.revoked:
            return
        # aioice 0.12 hands the datagram over, too.
        super().request_received(message, addr, protocol, *datagram)  # type: ignore[arg-type]
        keep_latest(self.early_checks)
        if self.early_checks:
            self.asked.set()

    def check_incoming(self, message: stun.Message, addr: Address, protocol: Any) -> None:
        """Answer nothing with a check of our own once the generation is given up."""
        self.asked.set()
        self._note_request(addr, protocol)
        claims = self._admit_nomination(message, addr, protocol)
        if not self.given_up:
            self._peer_reflexive.request_came(addr, protocol)
            now = asyncio.get_running_loop().time()
            for pair in self._pairs_between(addr, protocol):
                self._triggered.request_came(pair, now)
            super().check_incoming(message, addr, protocol)
        for pair in self._pairs_between(addr, protocol):
            self.checks_of(pair).requests_received += 1
            if self.keeper is not None:
                nominates = "USE-CANDIDATE" in message.attributes
                self.keeper.request_came(pair, claims=claims, nominates=nominates)

    def _admit_nomination(self, message: stun.Message, addr: Address, protocol: Any) -> bool:
        """Drop a nomination that must not be followed; return if the other end claims a pair."""
        tie_breaker = message.attributes.get("ICE-CONTROLLING", 0)
        self.remote_tie_breaker = max(self.remote_tie_breaker, tie_breaker)
        if self.keeper is None:
            return False
        pair = self.selected_pair
        here = pair is not None and pair.protocol is protocol and pair.remote_addr == addr
        nominates = "USE-CANDIDATE" in message.attributes
        number = nomination_of(self.gate.reading)
        admitted = self.keeper.admits(number, nominates=nominates, elsewhere=not here)
        if nominates and not admitted:
            del message.attributes["USE-CANDIDATE"]
        return admitted and number is not None and self.ice_controlling and not nominates

    def _pairs_between(self, addr: tuple[str, int], protocol: object) -> list[CandidatePair]:
        """Return the pairs, hardly ever more than one, of a socket and a remote address."""
        return [p for p in self.check_list if p.protocol is protocol and p.remote_addr == addr]

    def _note_request(self, addr: tuple[str, int], protocol: object) -> None:
        pair = self.selected_pair
        # Browsers go on checking other pairs, which says nothing of this one's path.
        if self.watch is None or pair is None or pair.protocol is not protocol:
            return
        host, port = pair.remote_addr
        if addr == (host, port):
            self.watch.request_came()
        elif addr[0] == host and addr not in {known.remote_addr for known in self.check_list}:
            # The other end's NAT has forgotten its mapping, perhaps, and made another one.
            self.watch.other_end_moved()

    def forget_pair(self, pair: CandidatePair) -> None:
        """Drop a pair that is checked in vain, or not any more."""
        if pair.task is not None:
            pair.task.cancel()
        # Which is none that is still to be checked.
        pair.state = CandidatePair.State.FAILED
        self.check_list.remove(pair)
        self.index_pairs()
        self._dead.discard(pair)
        self._checks.pop(pair, None)
        self._triggered.forget(pair)

    def is_told(self, address: Address) -> bool:
        """Say if a remote candidate with an address isn't only learned from a check."""
        told = (c for c in self.all_remote_candidates if c.type != "prflx")
        return any(address_of(candidate) == address for candidate in told)

    def checks_of(self, pair: CandidatePair) -> CheckCounter:
        """Return the counter of a pair's checks."""
        return self._checks.setdefault(pair, CheckCounter())

    def build_request(self, pair: CandidatePair, nominate: bool) -> stun.Message:
        """Make a binding request, which is sent."""
        self.checks_of(pair).asked(asyncio.get_running_loop().time())
        return super().build_request(pair, nominate)

    def build_question(self, pair: CandidatePair) -> stun.Message:
        """Make a binding request that isn't one of the pair's checks."""
        return super().build_request(pair, nominate=False)

    def check_state(self, pair: CandidatePair, state: CandidatePair.State) -> None:
        """Change the state of a pair."""
        super().check_state(pair, state)
        if state is CandidatePair.State.SUCCEEDED:
            self.checks_of(pair).answered(asyncio.get_running_loop().time())

    def switch_role(self, ice_controlling: bool) -> None:
        """Take the other role, on all connections of the transport."""
        before = self.ice_controlling
        super().switch_role(ice_controlling)
        if before != ice_controlling and self.observer is not None:
            self.observer.role_switched(controlling=ice_controlling)

    def give_up(self) -> None:
        """Select no pair any more; only a restart recovers. Requests are still answered.

        Otherwise the remote side would lose its consent to send, though we can still receive.
        """
        self.given_up = True
        self.nominated.clear()
        for pair in self.check_list:
            if pair.task is not None:
                pair.task.cancel()

    async def query_consent(self) -> None:
        """Watch the selected pair, until consent to send on it has expired."""
        self.watch = PathWatch(self, self.timings, self._path_changed, self._path_resumed)
        asking = NewPorts(self, self.gate.discards, self.watch.other_end_moved)
        self.gate.new_ports = asking
        if self.settings.spares:
            self.keeper = PathKeeper(self, self.watch, lambda: self.timings().consent_lifetime)
            self.keeper.start()
        addresses = None
        if self.keeper is not None and self.settings.follow_networks:
            addresses = LocalAddresses(self, self.keeper)
        try:
            await self.watch.run()
        finally:
            if self.keeper is not None:
                self.keeper.stop()
                self.keeper = None
            if addresses is not None:
                addresses.stop()
            self.gate.new_ports = None
            asking.stop()

    def _path_changed(self, state: PathState) -> None:
        if state is PathState.EXPIRED:
            self.give_up()
        elif state is PathState.LOST and self.keeper is not None and self.keeper.path_lost():
            return
        if self.observer is not None:
            self.observer.path_changed(self, state)

    def _path_resumed(self) -> None:
        if self.observer is not None:
            self.observer.path_resumed(self)

    def end_consent(self) -> None:
        """Stop asking: nothing is sent on this connection any more."""
        if self.consent_task is not None:
            self.consent_task.cancel()


def consent_timings(settings: IceSettings) -> Timings:
    """Return the timings in force now; a program may change aioice's constants at any time."""
    interval, lifetime = settings.consent_interval, settings.consent_lifetime
    if interval is None:
        interval = aioice.ice.CONSENT_INTERVAL
    if lifetime is None:
        lifetime = interval * aioice.ice.CONSENT_FAILURES
    return Timings(
        consent_interval=interval,
        consent_lifetime=lifetime,
        silence=settings.silence_timeout,
        probe_timeout=settings.probe_timeout,
        probes=settings.probes,
        stall=settings.stall_tolerance,
    )


def make_ice_connection(**arguments: Any) -> IceConnection:
    """Return a new connection, made as aiortc makes it, in ways that programs may have patched.

    It has the credentials of the arguments, unless a program imposes others.
    """
    made = new_ice_connection(arguments)
    credentials = IceCredentials(made.local_username, made.local_password)
    # Only the object tells what class a program makes it of, and what it has done to it by now.
    made.__class__ = on_top_of(IceConnection, type(made))  # type: ignore[arg-type]  # a class is hashable
    assert isinstance(made, IceConnection)
    made.prepare()
    made.credentials = credentials
    return made
