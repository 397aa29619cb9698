"""A call, and what the scenarios let it do and expect of it."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import pytest

from interop.cable import Cable
from interop.call import Call, Description, ends_of, ufrags
from interop.process import DEADLINE, End, PeerError
from interop.stacks import IGNORES, Stack

KINDS: Final = ("video", "audio")
FRAMES: Final = 10
# Frames come every 70 ms. The gaps are told; what fails is a picture that stands still.
LONGEST_GAP: Final = 3000.0
ROLLBACK: Final = {"type": "rollback"}

Say = Callable[[str, object], None]


class Scenario:
    """A call, the peer in it, and what the table says of them."""

    def __init__(self, call: Call, stack: Stack, cable: Cable, say: Say) -> None:
        self.call, self.stack, self.cable = call, stack, cable
        self.we, self.they = call.we, call.they
        self._say = say

    def limit(self, text: str) -> None:
        """Note in the table what the peer doesn't do."""
        self._say("limit", text)

    def measured(self, milliseconds: float) -> None:
        """Note in the table the longest time without a frame."""
        self._say("gap", milliseconds)

    async def connect(
        self, offerer: End, *, media: bool = False
    ) -> tuple[Description, Description]:
        """Connect by a data channel, and by video and audio each way."""
        await offerer.do("channel")
        for kind in KINDS if media else ():
            await self.we.do("track", kind=kind)
            await self.they.do("track", kind=kind)
        descriptions = await self.call.negotiate(offerer)
        await self.call.opened()
        await self.call.talk()
        # Messages go both ways as soon as there is a pair that works, before it is nominated.
        await self.we.wait("connectionstatechange", state="connected")
        return descriptions

    async def restart(self, asker: End) -> None:
        """Restart ICE, and check that both sides change their credentials and what we send on."""
        before = await self.we.do("state")
        await asker.do("restart")
        offer = await asker.do("local")
        await self.call.send(asker, offer)
        if asker is self.we:
            # Where our checks overtake our candidates, libwebrtc takes them for peer-reflexive ones
            # of lower priority, and prefers the old pair for good.
            await self.told(ufrags(offer))
        answer = await self.call.answer_back(asker)
        after = await self.we.do("state")
        assert after["ufrag"] != before["ufrag"]
        assert after["ufrag"] in ufrags(offer) | ufrags(answer)
        await self.sends_on(after["ufrag"])
        await self.call.talk()

    async def told(self, own: set[str]) -> None:
        """Return when the peer knows all of our candidates with these username fragments."""
        direction = self.call.direction(self.we)
        await self.we.wait_until(lambda: ends_of(self.we) >= own, "the end of our candidates")
        await direction.wait_ended(own)

    async def ask_in_vain(self) -> None:
        """Restart ICE with a peer that doesn't take part in that."""
        await self.we.do("restart")
        if self.stack.answers_restart == IGNORES:
            await self.call.negotiate(self.we)
            return
        offer = await self.we.do("local")
        with pytest.raises(PeerError):
            await self.call.send(self.we, offer)
        await self.we.do("local", description=ROLLBACK)

    async def sends_on(self, ufrag: str) -> None:
        """Return when we send on the generation with this username fragment."""
        deadline = asyncio.get_running_loop().time() + DEADLINE
        while (state := await self.we.do("state"))["sendingUfrag"] != ufrag:
            assert asyncio.get_running_loop().time() < deadline, (
                f"still on the old pair: {state}; candidates handed over: "
                f"{[self.call.direction(end).carried[-3:] for end in (self.we, self.they)]}"
            )
            await self.call.talk()

    async def more_frames(self, end: End, kinds: Sequence[str] = KINDS) -> float:
        """Return, when more of each kind have come in, the longest gap before, in ms."""
        for kind in kinds:
            await end.wait("track", kind=kind)
        start = await end.do("media")
        gaps: list[float] = [0.0, *(start[kind]["gap"] for kind in kinds)]
        async with asyncio.timeout(DEADLINE):
            while True:
                now = await end.do("media")
                gaps += [now[kind]["gap"] for kind in kinds]
                if all(now[kind]["count"] >= start[kind]["count"] + FRAMES for kind in kinds):
                    return max(gaps)
                await self.call.talk()

    async def seen(self, end: End) -> None:
        """Return when an end has received video and audio."""
        for kind in KINDS:
            await end.wait("track", kind=kind)
        async with asyncio.timeout(DEADLINE):
            while any(m["count"] < FRAMES for m in (await end.do("media")).values()):
                await self.call.talk()

    async def same_pair(self, before: dict[str, str]) -> None:
        """Check that the pair in use stays in use."""
        await self.call.talk()
        after = await self.we.do("state")
        assert after["sendingUfrag"] == before["sendingUfrag"]
        assert after["connectionState"] == "connected"

    async def check_media(self) -> None:
        """Check that frames go on, and note the longest gap."""
        if self.stack.media:
            gaps = [await self.more_frames(end) for end in (self.we, self.they)]
            self.measured(max(gaps))
            assert max(gaps) < LONGEST_GAP

    async def connect_with_what_there_is(self) -> None:
        """Connect, and wait for media, if the peer has any."""
        media = bool(self.stack.media)
        await self.connect(self.we, media=media)
        for end in (self.we, self.they) if media else ():
            await self.seen(end)
