"""How long a description takes, if it is four or eight times as long as another one."""

import re
import time

import pytest

from conftest import Factory
from processortime import ROUNDS
from restartice import RTCSessionDescription


async def offer_of(make_pc: Factory, sections: int, streams: int) -> RTCSessionDescription:
    """Return an offer with further sections, and with further streams in the first one."""
    near = make_pc()
    near.addTransceiver("audio")
    offer = (await near.createOffer()).sdp
    head, section = re.split("(?=m=audio)", offer)
    mids = [f"s{n}" for n in range(sections)]
    more = "".join(section.replace("a=mid:0", f"a=mid:{mid}") for mid in mids)
    section += "".join(f"a=msid:{n} track\r\n" for n in range(streams))
    head = head.replace("BUNDLE 0", f"BUNDLE 0 {' '.join(mids)}")
    return RTCSessionDescription(f"{head}{section}{more}", "offer")


async def time_of(make_pc: Factory, sections: int, streams: int) -> float:
    """Return how many seconds of processor time it takes to answer an offer, at least.

    Other processes don't count, but what the host of a virtual machine takes away does.
    """
    times = []
    for _ in range(ROUNDS):
        offer, pc = await offer_of(make_pc, sections, streams), make_pc()
        begun = time.thread_time()
        await pc.setRemoteDescription(offer)
        await pc.setLocalDescription()
        times.append(time.thread_time() - begun)
        await pc.close()
    return min(times)


@pytest.mark.parametrize(
    ("shorter", "longer", "ratio"),
    [
        # Each new section is compared with those before, but only once.
        ({"sections": 100, "streams": 0}, {"sections": 400, "streams": 0}, 13),
        ({"sections": 0, "streams": 3000}, {"sections": 0, "streams": 24000}, 20),
    ],
)
async def test_the_time_that_a_description_takes(
    make_pc: Factory, shorter: dict[str, int], longer: dict[str, int], ratio: float
) -> None:
    took = [await time_of(make_pc, **length) for length in (shorter, longer)]
    assert took[1] < ratio * took[0]
