"""From wherever a real pRuntime can be, it is brought up to date without one refusal.

The worker is the strict simulator's core, fed in process; the chains are a devnet's, with real
justifications, proofs and state roots; what is sent comes from the runner's own feeder. What was
fed before may have been cut into batches elsewhere (by another provider, or another bridge), the
worker may crash between any two requests, and comes back as it was at a checkpoint, or new.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from prbkit.blobs import CommittedIndex, Counters, Genesis, RelaySegment
from prbkit.testing.devnet.network import RELAY_GENESIS
from prbkit.testing.pruntime import Core, PRuntimeConfig
from prbkit_plugins.lifecycle.feed import Feeder
from prbkit_plugins.lifecycle.pruntime import prpc_request
from prbkit_plugins.lifecycle.settings import LifecycleSettings
from tests.testing.pruntime.world import (
    CONFIG,
    SEED,
    World,
    counters,
    dispatch,
    sync_combined,
    sync_para,
    sync_relay,
)

from .world import FakeTransport

MOST_STEPS = 200
CASES = 2000 if settings.get_current_profile_name() == "nightly" else 60


@dataclass
class Provided:
    """What a data provider has of a world, in the shape that `FakeTransport` serves."""

    index: CommittedIndex
    genesis: Genesis
    para: list[bytes]
    changes: list[bytes]
    segments: dict[int, RelaySegment] = field(default_factory=dict)


def provided(world: World) -> Provided:
    request = world.init()
    index = CommittedIndex(RELAY_GENESIS + 1)
    last_relay = world.justified[-1]
    para = world.para(0, world.head(last_relay))
    changes = [b"\0\0", *(world.changes(number) for number in range(1, len(para)))]
    made = Provided(
        index,
        Genesis(
            CONFIG.para_id,
            RELAY_GENESIS,
            request.encoded_genesis_info,
            request.encoded_genesis_state,
        ),
        para,
        changes,
    )
    for number, header in enumerate(para):
        size = len(changes[number]) if number else 0
        index.add_para(number, header_size=len(header), changes_size=size)
    first = RELAY_GENESIS + 1
    for last in world.justified:
        headers = world.relay(first, last)
        justification = headers[-1][1]
        assert justification is not None
        segment = RelaySegment.make(
            [header for header, _ in headers],
            set_id=sum(changing < last for changing in world.changing),
            justification=justification,
            para_number=world.head(last),
            proof=world.head_proof(last),
        )
        made.segments[last] = segment
        index.add_segment(
            first,
            last,
            set_id=segment.set_id,
            para_number=segment.para_number,
            size=segment.body_size,
            tail_size=segment.tail_size,
        )
        first = last + 1
    return made


class Supply:
    """A feeder on a loop of its own."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.loop = asyncio.Runner()
        transport: Any = FakeTransport(provided(world))  # type: ignore[arg-type]
        self.feeder = Feeder(transport, LifecycleSettings())
        self.loop.run(self._begin())

    async def _begin(self) -> None:
        self._task = asyncio.create_task(self.feeder.run())
        while not self.feeder.begun:
            await asyncio.wait_for(self.feeder.grown(self.feeder.version), 30)

    def next(self, core: Core, budget: int) -> Any:
        return self.loop.run(self.feeder.next_feed(Counters(*counters(core)), budget))

    def close(self) -> None:
        self._task.cancel()
        self.loop.run(asyncio.wait({self._task}))
        self.loop.close()


@pytest.fixture(scope="module")
def supply() -> Iterator[Supply]:
    made = Supply(World())
    yield made
    made.close()


def started(world: World, first_para_header: int) -> Core:
    core = Core(PRuntimeConfig(seed=SEED, first_para_header=first_para_header))
    core.init_runtime(world.init())
    return core


def live_before(core: Core, world: World, data: st.DataObject) -> None:
    """Go where other bridges, providers, crashes and restores may have brought it."""
    for _ in range(data.draw(st.integers(0, 12), label="moves before")):
        if not core.get_info().initialized:
            core.init_runtime(world.init())
        relay, para, block, waiting = counters(core)
        # A batch ends at a justified block and runs over none that changes the set.
        limit = min((n for n in world.changing if n >= relay), default=world.justified[-1])
        ends = [number for number in world.justified if relay <= number <= limit]
        moves = ["checkpoint", "crash"]
        moves += ["relay", "combined"] * bool(ends)
        moves += ["para"] * (waiting and relay - 1 in world.justified)
        moves += ["dispatch"] * (block < para)
        move = data.draw(st.sampled_from(moves))
        event(move)
        match move:
            case "relay":
                sync_relay(core, world.relay(relay, data.draw(st.sampled_from(ends))))
            case "combined":
                last = data.draw(st.sampled_from(ends))
                headers = world.para(para, world.head(last)) if para <= world.head(last) else []
                sync_combined(core, world.relay(relay, last), headers, world.head_proof(last))
            case "para" if para <= world.head(relay - 1):
                sync_para(
                    core, world.para(para, world.head(relay - 1)), world.head_proof(relay - 1)
                )
            case "dispatch":
                last = data.draw(st.integers(block, para - 1))
                dispatch(core, [(n, world.changes(n)) for n in range(block, last + 1)])
            case "checkpoint":
                core.take_checkpoint()
            case "crash":
                core.crash()


@settings(max_examples=CASES)
@given(data=st.data())
def test_a_worker_catches_up_from_any_state_without_a_refusal(
    supply: Supply, data: st.DataObject
) -> None:
    world = supply.world
    core = started(world, data.draw(st.sampled_from([0, 1]), label="first para header"))
    live_before(core, world, data)
    budget = data.draw(st.sampled_from([2**12, 2**14, 2**16, 2**23]), label="budget")
    crashes = data.draw(st.lists(st.integers(0, 40), max_size=3), label="crashes after")
    methods = core.methods()
    for step in range(MOST_STEPS):
        if not core.get_info().initialized:
            core.init_runtime(world.init())
        feed = supply.next(core, budget)
        if feed is None:
            break
        method, request = prpc_request(feed)
        before = counters(core)
        methods[method](request)  # a refusal fails the test
        assert counters(core) != before, f"{method} brought nothing"
        if step in crashes:
            core.crash()
        elif step % 7 == 3:
            core.take_checkpoint()
    tip = world.justified[-1]
    head = world.head(tip)
    assert counters(core)[:3] == (tip + 1, head + 1, head + 1)
