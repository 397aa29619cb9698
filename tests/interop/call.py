"""A call between restartice and a peer: descriptions and candidates are handed over here."""

import asyncio
import re
from contextlib import suppress
from typing import Any

from interop.process import DEADLINE, End, PeerError

UFRAG = re.compile(r"^a=ice-ufrag:(\S+)", re.MULTILINE)
CANDIDATE_UFRAG = re.compile(r" ufrag (\S+)")

Description = dict[str, str]
# What a call without a data channel is given to make progress.
PAUSE = 0.05


class Direction:
    """What goes from one end to the other. A candidate waits for its description."""

    def __init__(self, source: End, sink: End) -> None:
        self.source, self.sink = source, sink
        self.refused: list[str] = []
        self.carried: list[dict[str, Any]] = []
        self.withholding = False
        self._described: set[str] = set()
        self._waiting: list[dict[str, Any]] = []
        self._seen = 0
        self._handing_over = asyncio.Lock()
        # The username fragments whose end of candidates the sink has been told, or has refused.
        self._ended: set[str | None] = set()
        self._progress = asyncio.Condition()
        self._task = asyncio.create_task(self._carry())

    async def describe(self, description: Description) -> None:
        """Hand a description over, and the candidates that have waited for it."""
        await self.sink.do("remote", description=description)
        self._described.update(ufrags(description))
        await self.flush()

    async def flush(self) -> None:
        """Hand over the candidates whose description was handed over, unless they are withheld."""
        async with self._handing_over:
            ready = [c for c in self._waiting if self._is_described(c)]
            self._waiting = [c for c in self._waiting if not self._is_described(c)]
            for candidate in ready:
                await self._hand_over(candidate)

    async def wait_ended(self, ufrags: set[str]) -> None:
        """Return when the sink has been told all candidates with these username fragments."""
        async with asyncio.timeout(DEADLINE), self._progress:
            await self._progress.wait_for(lambda: ufrags <= self._ended)

    async def close(self) -> None:
        """Hand over nothing more."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _carry(self) -> None:
        while True:
            await self.source.wait_forever(lambda: len(self.source.events) > self._seen)
            events, self._seen = self.source.events[self._seen :], len(self.source.events)
            found = [e["candidate"] for e in events if e["event"] == "icecandidate"]
            # The last event of all, without any candidate, is no news for the other side.
            self._waiting += [candidate for candidate in found if candidate is not None]
            await self.flush()

    def _is_described(self, candidate: dict[str, Any]) -> bool:
        ufrag = candidate_ufrag(candidate)
        described = bool(self._described) if ufrag is None else ufrag in self._described
        return described and not self.withholding

    async def _hand_over(self, candidate: dict[str, Any]) -> None:
        try:
            await self.sink.do("candidate", candidate=candidate)
            self.carried.append(candidate)
        except PeerError as error:
            self.refused.append(f"{candidate}: {error}")
        if candidate["candidate"] == "":
            async with self._progress:
                self._ended.add(candidate_ufrag(candidate))
                self._progress.notify_all()


class Call:
    """A call. We are one end, the peer is the other."""

    def __init__(self, we: End, they: End) -> None:
        self.we, self.they = we, they
        self._directions = {we: Direction(we, they), they: Direction(they, we)}
        self._messages = 0

    async def close(self) -> None:
        """Close both ends."""
        for direction in self._directions.values():
            await direction.close()
        for end in (self.we, self.they):
            await end.do("close")

    def other(self, end: End) -> End:
        """Return the other end."""
        return self.they if end is self.we else self.we

    def direction(self, source: End) -> Direction:
        """Return what goes out from an end."""
        return self._directions[source]

    async def send(self, source: End, description: Description) -> None:
        """Hand a description over to the other end."""
        await self._directions[source].describe(description)

    async def negotiate(self, offerer: End) -> tuple[Description, Description]:
        """Let one end offer and the other one answer; return offer and answer."""
        offer = await offerer.do("local")
        return offer, await self.answer(offerer, offer)

    async def answer(self, offerer: End, offer: Description) -> Description:
        """Hand an offer over and the answer back."""
        await self.send(offerer, offer)
        return await self.answer_back(offerer)

    async def answer_back(self, offerer: End) -> Description:
        """Hand the answer back to an offer that was handed over."""
        answerer = self.other(offerer)
        answer: Description = await answerer.do("local")
        await self.send(answerer, answer)
        return answer

    async def opened(self) -> None:
        """Return when the data channel is open at both ends."""
        for end in (self.we, self.they):
            await end.wait("channel", state="open")

    async def talk(self) -> None:
        """Send a message each way, if there is a data channel."""
        if not self.we.matching({"event": "channel", "state": "open"}):
            await asyncio.sleep(PAUSE)
            return
        self._messages += 1
        for source in (self.we, self.they):
            text = f"message {self._messages}"
            await source.do("send", text=text)
            await self.other(source).wait("message", text=text)

    def check_candidates(self) -> None:
        """Check that no candidate was refused."""
        for direction in self._directions.values():
            assert direction.refused == [], direction.refused


def ufrags(description: Description) -> set[str]:
    """Return the username fragments in a description."""
    return set(UFRAG.findall(description["sdp"]))


def ends_of(end: End) -> set[str | None]:
    """Return the username fragments of those of an end's candidates whose end was told."""
    told = [e["candidate"] for e in end.events if e["event"] == "icecandidate"]
    return {candidate_ufrag(c) for c in told if c is not None and c["candidate"] == ""}


def candidate_ufrag(candidate: dict[str, Any]) -> str | None:
    """Return the username fragment of a candidate in the browser's form, or None."""
    if ufrag := candidate.get("usernameFragment"):
        return str(ufrag)
    match = CANDIDATE_UFRAG.search(candidate.get("candidate") or "")
    return match.group(1) if match else None
