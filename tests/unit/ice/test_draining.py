"""Which previous generations go first where there are too many, and when they go."""

import asyncio
from functools import partial

import pytest

from restartice import IceSettings
from restartice.ice.draining import Draining
from restartice.ice.generation import IceGeneration
from restartice.ice.making import make_ice_connection

DEADLINE = 60.0
patient = partial(IceSettings, drain_time=10 * DEADLINE, drain_timeout=20 * DEADLINE)


def generations(count: int) -> list[IceGeneration]:
    return [IceGeneration(make_ice_connection(ice_controlling=True)) for _ in range(count)]


async def drained(draining: Draining, generation: IceGeneration) -> None:
    async with asyncio.timeout(DEADLINE):
        await draining.wait(generation)


async def test_the_one_that_is_silent_longest_goes_first() -> None:
    draining = Draining(patient(drain_limit=2))
    first, second, third, fourth = generations(4)
    draining.add(first)
    draining.add(second)
    first.connection.heard = True
    draining.add(third)
    await drained(draining, second)
    assert list(draining) == [first, third]
    first.connection.heard = True
    draining.add(fourth)
    await drained(draining, third)
    assert list(draining) == [first, fourth]


async def test_one_that_is_not_silent_goes_where_none_is() -> None:
    draining = Draining(patient(drain_limit=2))
    made = generations(3)
    for generation in made:
        draining.add(generation)
        generation.connection.heard = True
    await drained(draining, made[0])
    assert list(draining) == made[1:]


@pytest.mark.parametrize(("ports", "limit"), [(4, 1), (12, 3), (1000, 64)])
async def test_no_more_than_a_quarter_of_the_ports_is_kept(ports: int, limit: int) -> None:
    draining = Draining(patient(port_range=(40001, 40000 + ports)))
    made = generations(limit + 1)
    for generation in made:
        draining.add(generation)
    await drained(draining, made[0])
    assert list(draining) == made[1:]


async def test_a_silent_one_goes_after_its_time() -> None:
    draining = Draining(IceSettings(drain_time=0.1, drain_silence=0.05))
    (generation,) = generations(1)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    draining.add(generation)
    await drained(draining, generation)
    assert loop.time() - begun >= 0.1
    assert not generation.connection.revoked
    assert len(draining) == 0
