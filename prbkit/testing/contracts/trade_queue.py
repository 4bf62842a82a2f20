"""What a trade queue must do: subclass `TradeQueueContract` and give it a way to make queues."""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections.abc import Awaitable, Iterator
from typing import Any, Protocol, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from prbkit.interfaces import Head, JobError, JobRecord, JobState, TradeJob, TradeQueue

__all__ = ["MakeQueue", "TradeQueueContract", "job", "leased", "record"]

T = TypeVar("T")


class MakeQueue(Protocol):
    """Makes a queue, not yet opened. Queues of one `space` are the same queue."""

    def __call__(
        self, space: str, *, lease: float = 600.0, history: int = 10_000
    ) -> TradeQueue: ...


def job(key: str, pid: int = 1) -> TradeJob:
    """A job as a lifecycle manager would put it."""
    return TradeJob(
        key=key, pid=pid, action="CALL", payload={"call": "0x0000", "text": "ü"}, created_at=17.25
    )


def record(of: TradeJob, state: JobState, updated_at: float = 18.5) -> JobRecord:
    """A record with everything in it that the state allows."""
    if not state.final:
        return JobRecord(job=of, state=state, updated_at=updated_at)
    failed = state is not JobState.FINALIZED
    error = JobError("no", "Balances", "InsufficientBalance", "Too low") if failed else None
    return JobRecord(
        job=of,
        state=state,
        updated_at=updated_at,
        extrinsic_hash=b"\x01" * 32,
        block=Head(7, b"\x02" * 32),
        error=error,
        errors=(None, error),
    )


class TradeQueueContract:
    """The suite. A subclass gives the fixture `make_queue`."""

    @pytest.fixture
    def machine_settings(self) -> settings:
        """How much is tried against the model: by the loaded profile, at most 300 machines."""
        examples = min(300, max(20, settings().max_examples // 3))
        return settings(max_examples=examples, stateful_step_count=30, deadline=None)

    @pytest.fixture
    def make_queue(self) -> MakeQueue:
        raise NotImplementedError

    @pytest.fixture
    def space(self) -> str:
        return uuid.uuid4().hex

    async def test_a_job_goes_through(self, make_queue: MakeQueue, space: str) -> None:
        async with make_queue(space) as producer, make_queue(space) as trader:
            assert await producer.put(job("a"))
            assert await trader.take("t", 10, 0) == [job("a")]
            for state in (JobState.BATCHED, JobState.SUBMITTED, JobState.IN_BLOCK):
                await trader.report([record(job("a"), state)])
                assert await producer.get("a") == record(job("a"), state)
            await trader.report([record(job("a"), JobState.FINALIZED)])
            assert await producer.get("a") == record(job("a"), JobState.FINALIZED)
            assert await producer.list() == [record(job("a"), JobState.FINALIZED)]
            assert (await producer.counts())[JobState.FINALIZED] == 1
            assert not await trader.take("t", 10, 0)

    async def test_a_known_key_is_not_queued_again(self, make_queue: MakeQueue, space: str) -> None:
        async with make_queue(space) as queue:
            assert await queue.put(job("a", pid=1))
            assert not await queue.put(job("a", pid=2))
            assert await queue.take("t", 10, 0) == [job("a", pid=1)]
            await queue.report([record(job("a"), JobState.FAILED)])
            assert not await queue.put(job("a"))
            assert not await queue.take("t", 10, 0)

    async def test_first_in_first_out_in_pages(self, make_queue: MakeQueue, space: str) -> None:
        jobs = [job(f"{number}") for number in range(7)]
        async with make_queue(space) as queue:
            for each in jobs:
                await queue.put(each)
            pages = [list(await queue.take("t", 3, 0)) for _ in range(4)]
            assert pages == [jobs[:3], jobs[3:6], jobs[6:], []]
            assert [r.job for r in await queue.list(limit=2)] == [jobs[6], jobs[5]]

    async def test_a_waiting_take_is_woken(self, make_queue: MakeQueue, space: str) -> None:
        async with make_queue(space) as producer, make_queue(space) as trader:
            taking = asyncio.create_task(_value(trader.take("t", 1, 30)))
            await asyncio.sleep(0)
            await producer.put(job("a"))
            assert await asyncio.wait_for(taking, 25) == [job("a")]
            taking = asyncio.create_task(_value(trader.take("t", 1, 30)))
            await asyncio.sleep(0)
            await trader.put(job("b"))
            assert await asyncio.wait_for(taking, 25) == [job("b")]

    async def test_a_cancelled_take_loses_nothing(self, make_queue: MakeQueue, space: str) -> None:
        async with make_queue(space) as queue:
            taking = asyncio.create_task(_value(queue.take("t", 1, 30)))
            await asyncio.sleep(0)
            taking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await taking
            await queue.put(job("a"))
        async with make_queue(space) as queue:
            assert await queue.take("t", 1, 10) == [job("a")]

    async def test_a_take_that_was_cut_off_anywhere_is_made_good(
        self, make_queue: MakeQueue, space: str
    ) -> None:
        async with make_queue(space) as queue:
            taken: list[str] = []
            for number in range(12):
                await queue.put(job(f"{number}"))
                taking = asyncio.create_task(_value(queue.take("t", 5, 30)))
                for _ in range(1 + number // 2):
                    await asyncio.sleep(0)
                if number % 2:
                    time.sleep(0.02)  # noqa: ASYNC251  the answer comes while nobody listens
                taking.cancel()
                try:
                    taken += [each.key for each in await taking]
                except asyncio.CancelledError:
                    continue
            while got := await queue.take("t", 5, 0):
                taken += [each.key for each in got]
            assert sorted(taken, key=int) == [f"{number}" for number in range(12)]

    async def test_a_consumer_started_again_gets_its_jobs_at_once(
        self, make_queue: MakeQueue, space: str
    ) -> None:
        async with make_queue(space) as queue:
            for key in "abc":
                await queue.put(job(key))
            assert await queue.take("t", 2, 0) == [job("a"), job("b")]
            await queue.report([record(job("a"), JobState.FINALIZED)])
        async with make_queue(space) as queue, make_queue(space) as other:
            assert await other.take("other", 5, 0) == [job("c")]
            assert await queue.take("t", 5, 0) == [job("b")]
            assert not await queue.take("t", 5, 0)

    async def test_jobs_of_the_dead_are_given_to_others_after_the_lease(
        self, make_queue: MakeQueue, space: str
    ) -> None:
        async with make_queue(space, lease=0.2) as dead, make_queue(space, lease=0.2) as heir:
            await dead.put(job("a"))
            assert await dead.take("dead", 5, 0) == [job("a")]
            assert await heir.take("heir", 5, 30) == [job("a")]

    async def test_the_living_keep_their_jobs(self, make_queue: MakeQueue, space: str) -> None:
        async with make_queue(space, lease=4.0) as living, make_queue(space, lease=4.0) as other:
            await living.put(job("a"))
            assert await living.take("living", 5, 0) == [job("a")]
            waiting = asyncio.create_task(_value(living.take("living", 5, 6.5)))
            assert not await other.take("other", 5, 6.0)
            assert not await waiting

    async def test_a_final_record_stands(self, make_queue: MakeQueue, space: str) -> None:
        async with make_queue(space) as queue:
            await queue.put(job("a"))
            await queue.report([record(job("a"), JobState.FINALIZED)])
            await queue.report([record(job("a"), JobState.SUBMITTED)])
            await queue.report([record(job("a"), JobState.FAILED)])
            assert await queue.get("a") == record(job("a"), JobState.FINALIZED)
            assert not await queue.take("t", 5, 0)

    async def test_only_an_end_is_told_of_an_unknown_job(
        self, make_queue: MakeQueue, space: str
    ) -> None:
        async with make_queue(space) as queue:
            await queue.report([record(job("a"), JobState.SUBMITTED)])
            assert await queue.get("a") is None
            await queue.report([record(job("a"), JobState.FINALIZED)])
            assert await queue.get("a") == record(job("a"), JobState.FINALIZED)
            assert not await queue.put(job("a"))

    async def test_history_is_bounded(self, make_queue: MakeQueue, space: str) -> None:
        async with make_queue(space, history=5) as queue:
            await queue.put(job("open"))
            for number in range(20):
                await queue.put(job(f"{number}"))
                await queue.report([record(job(f"{number}"), JobState.FINALIZED)])
            ended = await queue.list([JobState.FINALIZED])
            assert [r.job.key for r in ended] == ["19", "18", "17", "16", "15"]
            assert (await queue.counts())[JobState.FINALIZED] == 5
            assert await queue.get("open") is not None
            assert await queue.get("0") is None

    async def test_many_consumers_share_without_overlap(
        self, make_queue: MakeQueue, space: str
    ) -> None:
        jobs = [job(f"{number}") for number in range(60)]
        async with make_queue(space) as a, make_queue(space) as b:
            await asyncio.gather(*(a.put(each) for each in jobs))
            taken: list[TradeJob] = []

            async def consume(queue: TradeQueue, name: str) -> None:
                while got := await queue.take(name, 4, 0):
                    taken.extend(got)

            await asyncio.gather(consume(a, "a"), consume(b, "b"))
            assert sorted(each.key for each in taken) == sorted(each.key for each in jobs)

    async def test_a_lease_has_one_holder(self, make_queue: MakeQueue, space: str) -> None:
        async with make_queue(space) as a, make_queue(space) as b:
            term = await leased(a, "trader", "a", 0.3)
            assert await a.lease("trader", "a", 60.0) == term
            assert await b.lease("trader", "b", 60.0) is None
            assert await b.lease("other", "b", 60.0), "leases of other names are free"
            # A holder is known by its name, not by its connection.
            assert await b.lease("trader", "a", 60.0) == term
            assert await a.lease("trader", "a", 0.0) is None
            second = await b.lease("trader", "b", 60.0)
            assert second not in (None, term)
            assert await a.lease("trader", "a", 60.0) is None
            assert await a.lease("trader", "a", 0.0) is None
            assert await b.lease("trader", "b", 60.0) == second

    async def test_a_lease_runs_out(self, make_queue: MakeQueue, space: str) -> None:
        async with make_queue(space) as a, make_queue(space) as b:
            first = await leased(a, "trader", "a", 0.2)
            assert await leased(b, "trader", "b", 0.2) != first
            again = await leased(a, "trader", "a", 0.2)
            assert again != first, "another has held it meanwhile"
            await asyncio.sleep(0.3)
            assert await a.lease("trader", "a", 0.2) == again, "nobody has held it meanwhile"

    def test_it_behaves_as_the_model(
        self, make_queue: MakeQueue, machine_settings: settings
    ) -> None:
        machine: Any = lambda: _Machine(make_queue, uuid.uuid4().hex)  # noqa: E731
        run_state_machine_as_test(machine, settings=machine_settings)


class _Machine(RuleBasedStateMachine):
    """Two consumers, a producer and a plain dict that knows what must be."""

    def __init__(self, make_queue: MakeQueue, space: str) -> None:
        super().__init__()
        self.make = make_queue
        self.space = space
        self.runner = asyncio.Runner()
        self.records: dict[str, JobRecord] = {}
        self.held: dict[str, str] = {}
        self.again: dict[str, set[str]] = {"x": set(), "y": set()}
        self.order: dict[str, int] = {}
        self.numbers: Iterator[int] = itertools.count()
        self.queues = {name: self.run(_opened(self.make(space))) for name in "xy"}

    def run(self, awaitable: Awaitable[T]) -> T:
        result: T = self.runner.run(_value(awaitable))
        return result

    def teardown(self) -> None:
        for queue in self.queues.values():
            self.run(queue.close())
        self.runner.close()

    consumers = st.sampled_from("xy")
    keys = st.sampled_from("abcdefgh")

    @rule(by=consumers, key=keys)
    def put(self, by: str, key: str) -> None:
        assert self.run(self.queues[by].put(job(key))) is (key not in self.records)
        if key not in self.records:
            self.records[key] = record(job(key), JobState.QUEUED)
            self.order[key] = next(self.numbers)

    @rule(by=consumers, limit=st.integers(1, 4))
    def take(self, by: str, limit: int) -> None:
        available = {key for key in self.records if self.free(by, key)}
        taken = [each.key for each in self.run(self.queues[by].take(by, limit, 0))]
        assert set(taken) <= available
        assert len(set(taken)) == len(taken) <= limit
        assert bool(taken) is bool(available)
        assert taken == sorted(taken, key=self.order.__getitem__)
        for key in taken:
            self.held[key] = by
            self.again[by].discard(key)

    @rule(by=consumers, key=keys, state=st.sampled_from(list(JobState)), at=st.integers(1, 99))
    def report(self, by: str, key: str, state: JobState, at: int) -> None:
        new = record(job(key), state, at)
        self.run(self.queues[by].report([new]))
        old = self.records.get(key)
        if (old is None and not state.final) or (old is not None and old.state.final):
            return
        if old is None:
            self.order[key] = next(self.numbers)
        self.records[key] = new

    @rule(by=consumers)
    def die_and_come_back(self, by: str) -> None:
        self.run(self.queues[by].close())
        self.queues[by] = self.run(_opened(self.make(self.space)))
        self.again[by] = {key for key, holder in self.held.items() if holder == by}

    @invariant()
    def knows_what_the_model_knows(self) -> None:
        queue = self.queues["x"]
        listed = self.run(queue.list())
        newest_first = sorted(self.records, key=self.order.__getitem__, reverse=True)
        assert [each.job.key for each in listed] == newest_first
        for each in listed:
            expected = self.records[each.job.key]
            assert each.state is expected.state
            if expected.state is not JobState.QUEUED:
                assert each == expected
        counts = self.run(queue.counts())
        for state in JobState:
            assert counts[state] == sum(r.state is state for r in self.records.values())

    def free(self, by: str, key: str) -> bool:
        if self.records[key].state.final:
            return False
        return key not in self.held or key in self.again[by]


async def leased(queue: TradeQueue, name: str, holder: str, ttl: float) -> str:
    """Ask for a lease until it is given."""
    async with asyncio.timeout(30):
        while (term := await queue.lease(name, holder, ttl)) is None:  # noqa: ASYNC110
            await asyncio.sleep(ttl / 10)
        return term


async def _opened(queue: TradeQueue) -> TradeQueue:
    await queue.open()
    return queue


async def _value(awaitable: Awaitable[Any]) -> Any:
    return await awaitable
