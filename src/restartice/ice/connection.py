"""The connection of one ICE generation: aioice's, but lost paths are reported, not closed."""

import asyncio
from typing import Any, Final

import aiortc
from aioice import stun

from ..seam import (
    CandidatePair,
    address_of,
    keep_latest,
    nomination_of,
)
from .checks.schedule import CheckSchedule
from .checks.time import keep_repeating
from .checks.triggered import TriggeredChecks
from .consent import PathWatch
from .counters import CheckCounter
from .credentials import IceCredentials
from .gathering.connection import GatheringConnection
from .gathering.context import ConnectionContext
from .incoming.guarded_socket import UNREADABLE, Address
from .incoming.new_ports import NewPorts
from .incoming.peer_reflexive import PeerReflexive
from .liveness import PathState
from .local_addresses import LocalAddresses
from .paths.keeper import PathKeeper
from .paths.kept import Reason
from .paths.networks import can_send
from .paths.preference import Reputation

__all__ = ["IceConnection"]

COMPONENT: Final = 1


class IceConnection(GatheringConnection):
    """aioice's connection, which delivers packets, and reports nominations and the path's state.

    Only close() ends it: neither a lost socket nor expired consent closes it.
    """

    def prepare(
        self, context: ConnectionContext | None = None, credentials: IceCredentials | None = None
    ) -> None:
        """Add the attributes that aioice's connection lacks, and set its credentials if given."""
        super().prepare(context)
        if credentials is not None:
            self.local_username, self.local_password = credentials.ufrag, credentials.password
        self.deliver = self.context.deliver
        self.heard = False
        self.given_up = False
        # Whether we have revoked the peer's consent to send here. (RFC 7675 section 5.2)
        self.revoked = False
        self.asked = asyncio.Event()
        self.answered = asyncio.Event()
        # Set when a pair has succeeded, or the role has changed.
        self.nominable = asyncio.Event()
        # Whether the pair that is like the one in use is nominated with its check, and that pair.
        self.promising = False
        self.promised: CandidatePair | None = None
        self.watch: PathWatch | None = None
        self.keeper: PathKeeper | None = None
        self.remote_tie_breaker = 0
        self.reputation = Reputation()
        # Why the last switch was made, and how long the pair before had been silent.
        self.reason: Reason | None = None
        self.silence = 0.0
        self._checks: dict[CandidatePair, CheckCounter] = {}
        self._triggered = TriggeredChecks()
        self._dead: set[CandidatePair] = set()
        self.schedule = CheckSchedule(self, self.context.pacer)
        self._peer_reflexive = PeerReflexive(self)

    @property
    def credentials(self) -> IceCredentials:
        """The local username fragment and password."""
        return IceCredentials(self.local_username, self.local_password)

    @property
    def selected_pair(self) -> CandidatePair | None:
        """The nominated pair, or None."""
        return self.nominated.get(COMPONENT)

    def use_remote(self, parameters: aiortc.RTCIceParameters) -> None:
        """Set the peer's credentials to check against."""
        # The controlling side must nominate one working pair (RFC 8445 section 8.1.1). aioice does
        # so only if the remote side is lite; otherwise it nominates all pairs that it checks, and
        # the two sides may end up sending on different ones.
        self.remote_is_lite = True
        self.remote_username = parameters.usernameFragment
        self.remote_password = parameters.password

    def share_tie_breaker(self, other: "IceConnection") -> None:
        """Use the tie-breaker of another connection of the agent."""
        self.tie_breaker = other.tie_breaker

    def inherit_from(self, other: "IceConnection") -> None:
        """Use the role and the reputation of networks of the generation in use."""
        # With different tie-breakers, one generation could win a role conflict that another one
        # loses, and both sides might keep the same role. (RFC 8445 section 6.1.1)
        self.ice_controlling = other.ice_controlling
        self.share_tie_breaker(other)
        # A restart doesn't make a network better.
        self.reputation = other.reputation

    async def connect(self) -> None:
        """Check the pairs, and repeat unanswered checks, soon at first."""
        insisting = asyncio.create_task(keep_repeating(self, self.settings.check_repetition))
        try:
            await super().connect()
        finally:
            insisting.cancel()
            self.schedule.stop()
            self._abandon_checks()

    def _abandon_checks(self) -> None:
        # aioice cancels these checks, but leaves their pairs in progress. Then a check of the peer
        # would never trigger a new one. (RFC 8445 section 7.3.1.4)
        for pair in self.check_list:
            if pair.task is not None:
                pair.task.cancel()
                pair.task = None
                self.check_state(pair, CandidatePair.State.FAILED)

    def start_checks(self) -> None:
        """Check the pairs at the RFC's pace, the most promising ones first."""
        self.schedule.start()

    def sort_pairs(self) -> None:
        """Sort the pairs into the order of their checks."""
        self.schedule.sort()

    def pairs_changed(self) -> None:
        """Note new pairs, to be sorted later."""
        self.schedule.pairs_changed()
        if self.keeper is not None:
            self.keeper.pairs_changed()

    def take(self, datagram: bytes, *, heard: bool) -> None:
        """Deliver a packet, of whichever generation.

        Args:
            datagram: The packet.
            heard: Whether the peer has answered us from its address, so that it proves that the
                path works.
        """
        if heard and not self.heard:
            self.heard = True
            if self.watch is not None:
                self.watch.packet_came()
            if self.keeper is not None:
                self.keeper.packet_came()
        self.deliver(datagram)

    def take_heard(self) -> bool:
        """Return whether traffic came in since the last call."""
        heard, self.heard = self.heard, False
        return heard

    def traffic_apart(self) -> None:
        """Note that traffic came in on a spare pair."""
        if self.keeper is not None:
            self.keeper.traffic_came()

    def data_received(self, data: bytes, component: int) -> None:  # noqa: ARG002  aioice's interface
        """Drop a malformed STUN message, which aioice takes for traffic."""
        self.gate.discards.add(UNREADABLE)

    def protocol_lost(self, protocol: object) -> None:
        """Fail all pairs of a lost socket, and release its TURN allocation."""
        if not self.ended:
            self.drop_socket(protocol)
            self._bury([pair for pair in self.check_list if pair.protocol is protocol])

    def refuse_pairs(self, protocol: Any, peer: tuple[str, int]) -> None:
        """Fail pairs whose remote address the TURN server refuses to send to."""
        self._bury(self._pairs_between(peer, protocol))

    def is_dead(self, pair: CandidatePair) -> bool:
        """Return whether a pair has failed for good."""
        return pair in self._dead

    def _bury(self, pairs: list[CandidatePair]) -> None:
        for pair in pairs:
            self._dead.add(pair)
            if pair.task is not None:
                pair.task.cancel()
            self.check_state(pair, CandidatePair.State.FAILED)
        if self.keeper is not None:
            self.keeper.pairs_died(pairs)
        if self.watch is not None and self.selected_pair in pairs:
            self.watch.pair_died()
        if self.selected_pair is None and (observer := self.observer()) is not None:
            works = (p for p in self.check_list if p.state is CandidatePair.State.SUCCEEDED)
            observer.pair_valid(self, next(works, None))

    def sending_failed(self, protocol: object) -> None:
        """Leave the pair in use at once if the system can no longer send on it."""
        pair = self.selected_pair
        if self.keeper is None or pair is None or pair.protocol is not protocol:
            return
        # The packet that failed may have had another destination.
        if not can_send(pair):
            self.keeper.path_gone()

    def address_answered(self, protocol: object, address: Address) -> None:
        """Report a pair that is valid, which the other side may not be told yet to use."""
        self.answered.set()
        now = asyncio.get_running_loop().time()
        for pair in self._pairs_between(address, protocol):
            self.checks_of(pair).answered(now)
            if self.selected_pair is None and (observer := self.observer()) is not None:
                observer.pair_valid(self, pair)

    def check_complete(self, pair: CandidatePair) -> None:
        """Report a nomination at once, not when connect() returns up to 20 ms later."""
        before = self.selected_pair
        super().check_complete(pair)
        if self.selected_pair is before:
            return
        if before is not None:
            self._note_switch("peer")
        self.gate.end_holding()
        if self.keeper is not None:
            self.keeper.selected_changed()
        if (observer := self.observer()) is not None:
            observer.pair_nominated(self)

    # Called by the path keeper.

    def found_to_work(self, pair: CandidatePair, seconds: float) -> None:
        """Note that a pair has answered, and after how many seconds."""
        self.checks_of(pair).took(seconds)
        if pair.state is not CandidatePair.State.IN_PROGRESS:
            pair.state = CandidatePair.State.SUCCEEDED

    def use_pair(self, pair: CandidatePair, reason: Reason) -> None:
        """Switch to a pair."""
        self._note_switch(reason)
        pair.nominated = True
        self.nominated[COMPONENT] = pair
        self.heard = False
        if self.keeper is not None:
            self.keeper.selected_changed()
        if (observer := self.observer()) is not None:
            observer.pair_nominated(self)

    def _note_switch(self, reason: Reason) -> None:
        self.reason = reason
        if self.watch is not None:
            self.watch.note_traffic()
            self.silence = asyncio.get_running_loop().time() - self.watch.heard_at

    def hedge(self, pair: CandidatePair | None) -> None:
        """Send packets on a second pair, too; None ends that."""
        if (observer := self.observer()) is not None:
            observer.send_twice(self, pair)

    def repeat_lost(self) -> None:
        """Repeat the packets that seem lost."""
        if (observer := self.observer()) is not None:
            observer.path_resumed(self)

    def path_stays_lost(self) -> None:
        """Report that the pair in use is lost and no spare works."""
        if (observer := self.observer()) is not None:
            observer.path_changed(self, PathState.LOST)

    def request_received(
        self, message: stun.Message, addr: tuple[str, int], protocol: object, *datagram: bytes
    ) -> None:
        """Answer a request; if it was signed, note that the peer has begun its checks."""
        if self.revoked:
            return
        # aioice 0.12 passes the datagram, too.
        super().request_received(message, addr, protocol, *datagram)  # type: ignore[arg-type]
        keep_latest(self.early_checks)
        if self.early_checks:
            self.asked.set()

    def check_incoming(self, message: stun.Message, addr: Address, protocol: Any) -> None:
        """Check the pair of a request, too, unless the generation is given up."""
        self.asked.set()
        self._note_request(addr, protocol)
        claims = self._admit_nomination(message, addr, protocol)
        if not self.given_up:
            self._peer_reflexive.request_came(addr, protocol)
            now = asyncio.get_running_loop().time()
            for pair in self._pairs_between(addr, protocol):
                self._triggered.request_came(pair, now)
            super().check_incoming(message, addr, protocol)
            if (observer := self.observer()) is not None:
                observer.peer_found()
        for pair in self._pairs_between(addr, protocol):
            self.checks_of(pair).request_came()
            if self.keeper is not None:
                nominates = "USE-CANDIDATE" in message.attributes
                self.keeper.request_came(pair, claims=claims, nominates=nominates)

    def _admit_nomination(self, message: stun.Message, addr: Address, protocol: Any) -> bool:
        """Drop a nomination that isn't accepted; return whether the peer announces a pair."""
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
        """Return the pairs of a socket and a remote address, usually one."""
        return [p for p in self.check_list if p.protocol is protocol and p.remote_addr == addr]

    def _note_request(self, addr: tuple[str, int], protocol: object) -> None:
        pair = self.selected_pair
        # Browsers keep checking other pairs, which says nothing about this one.
        if self.watch is None or pair is None or pair.protocol is not protocol:
            return
        host, port = pair.remote_addr
        if addr == (host, port):
            self.watch.request_came()
        elif addr[0] == host and addr not in {known.remote_addr for known in self.check_list}:
            # The peer's NAT may have lost its mapping and made another one.
            self.watch.other_end_moved()

    def forget_pair(self, pair: CandidatePair) -> None:
        """Remove a pair from the check list."""
        if pair.task is not None:
            pair.task.cancel()
        # A failed pair isn't checked again.
        pair.state = CandidatePair.State.FAILED
        self.check_list.remove(pair)
        self.index_pairs()
        self._dead.discard(pair)
        self._checks.pop(pair, None)
        self._triggered.forget(pair)

    def is_told(self, address: Address) -> bool:
        """Return whether the peer's signaling has announced an address."""
        told = (c for c in self.all_remote_candidates if c.type != "prflx")
        return any(address_of(candidate) == address for candidate in told)

    def is_checked(self, pair: CandidatePair) -> bool:
        """Return whether the peer has ever checked a pair."""
        return self.checks_of(pair).requests_received > 0

    def checks_of(self, pair: CandidatePair) -> CheckCounter:
        """Return the counter of a pair's checks."""
        return self._checks.setdefault(pair, CheckCounter())

    def build_request(self, pair: CandidatePair, nominate: bool) -> stun.Message:
        """Make and count a binding request."""
        self.checks_of(pair).asked(asyncio.get_running_loop().time())
        return self._with_priority(super().build_request(pair, nominate), pair)

    def build_question(self, pair: CandidatePair) -> stun.Message:
        """Make a binding request outside the pair's checks."""
        return self._with_priority(super().build_request(pair, nominate=False), pair)

    def _with_priority(self, request: stun.Message, pair: CandidatePair) -> stun.Message:
        # aioice's priority is the same for all candidates. This one's was chosen.
        if pair.local_candidate.type == "prflx":
            request.attributes["PRIORITY"] = pair.local_candidate.priority
        return request

    async def check_start(self, pair: CandidatePair) -> None:
        """Check a pair, and nominate it with that if it is the one to nominate at once."""
        if self.promising and self.promised is None and self.schedule.is_in_use(pair):
            self.promised = pair
        # aioice looks at this before it waits for anything.
        self.remote_is_lite = pair is not self.promised
        await super().check_start(pair)

    def check_state(self, pair: CandidatePair, state: CandidatePair.State) -> None:
        """Change the state of a pair."""
        super().check_state(pair, state)
        if state is CandidatePair.State.SUCCEEDED:
            self.checks_of(pair).answered(asyncio.get_running_loop().time())
            self.nominable.set()

    def switch_role(self, ice_controlling: bool) -> None:
        """Change the role, on all connections of the transport."""
        before = self.ice_controlling
        super().switch_role(ice_controlling)
        self.nominable.set()
        observer = self.observer()
        if before != ice_controlling and observer is not None:
            observer.role_switched(controlling=ice_controlling)

    def give_up(self) -> None:
        """Stop sending for good; only a restart recovers.

        Requests are still answered, so that the peer keeps its consent to send to us.
        """
        self.given_up = True
        self.nominated.clear()
        for pair in self.check_list:
            if pair.task is not None:
                pair.task.cancel()

    async def query_consent(self) -> None:
        """Watch the selected pair, until consent to send on it has expired."""
        self.watch = PathWatch(
            self, self.settings, self._path_changed, self.repeat_lost, self._consent_asked
        )
        asking = NewPorts(self, self.gate.discards, self.watch.other_end_moved)
        self.gate.ask(asking)
        if self.settings.spares:
            self.keeper = PathKeeper(self, self.watch, self.watch.lifetime)
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
            self.gate.ask(None)
            asking.stop()

    def _path_changed(self, state: PathState) -> None:
        if state is PathState.EXPIRED:
            self.give_up()
        elif state is PathState.LOST and self.keeper is not None and self.keeper.path_lost():
            return
        if (observer := self.observer()) is not None:
            observer.path_changed(self, state)

    def _consent_asked(self) -> None:
        if self.keeper is not None:
            self.keeper.consent_asked()

    def revoke_consent(self) -> None:
        """Stop answering requests, so that the peer stops sending here."""
        self.revoked = True

    def end_consent(self) -> None:
        """Stop the requests for consent: nothing more is sent on this connection."""
        if self.consent_task is not None:
            self.consent_task.cancel()
