"""The way of a job into the lane of its account, first time or again, and its end.

Jobs that ask for the same thing (`OnceCall`) must not do it twice, whatever lanes they are in: so
each name of a call is claimed by one job under way, and others that share it wait for its end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from prbkit.errors import PrbError
from prbkit.interfaces import JobError, JobRecord, JobState, Pool, TradeAction, TradeJob

from .calls import Made, make_calls, owner, serving
from .chain import Runtime
from .facts import Facts
from .journal import Freed, Journal
from .lane import Entry, Lane
from .lanes import Lanes
from .outbox import Outbox, record_of
from .patience import persist

__all__ = ["Admission"]


class Admission:
    """Lets jobs in and out of lanes.

    :param actions: gives what makes calls of payloads, by name.
    """

    def __init__(
        self,
        facts: Facts,
        journal: Journal,
        lanes: Lanes,
        outbox: Outbox,
        actions: Callable[[], Mapping[str, TradeAction]],
    ) -> None:
        self._facts = facts
        self._journal = journal
        self._lanes = lanes
        self._outbox = outbox
        self._actions = actions
        self._freed: list[Freed] = []
        self._expecting: dict[str, Lane] = {}
        """Key of a freed job → the lane that makes no batch until it is admitted."""
        self._claims: dict[str, str] = {}
        """Name of a call (`OnceCall`) → key of the job under way that has it."""
        self._names: dict[str, Sequence[str]] = {}
        """The same by job."""
        self._waiting: dict[str, list[tuple[Lane, Freed]]] = {}
        """Key of a job → those that wait for its end, since they share a call with it."""

    # --- in --------------------------------------------------------------------------------------

    def add_freed(self, freed: Sequence[Freed]) -> None:
        """Have jobs of a former life admitted by the next `admit_freed`."""
        self._freed += freed

    def again(self, lane: Lane, each: Freed) -> None:
        """Have a job admitted again; its lane waits for it."""
        lane.expect(each.order)
        self._expecting[each.job.key] = lane
        self._freed.append(each)

    async def admit_freed(self) -> None:
        """Admit the jobs that were freed since last time, in their order."""
        freed, self._freed = self._freed, []
        await self.admit(sorted(freed, key=lambda each: each.order))

    async def admit(self, jobs: Sequence[Freed]) -> None:
        """Give each job to the lane of its pool's account, or end it at once."""
        if not jobs:
            return
        runtime, pools, _ = await persist(self._facts.now)
        for each in jobs:
            await self._admit_one(each, runtime, pools)
            if (lane := self._expecting.pop(each.job.key, None)) is not None:
                lane.forget(each.order)
                self._lanes.wake(lane.account)
            await asyncio.sleep(0)  # many jobs take long to check

    async def _admit_one(self, each: Freed, runtime: Runtime, pools: Mapping[int, Pool]) -> None:
        job = each.job
        try:
            pool = serving(pools, job)
            signer = await self._facts.signer(pool)
            made = make_calls(self._actions(), runtime.metadata, pool, job)
        except PrbError as error:
            await self.fail([job], str(error))
            return
        lane = self._lanes.of(signer.account)
        held = self.claim(job, made.once)
        if held:
            for key in held:
                self._waiting.setdefault(key, []).append((lane, each))
        elif not (made := await self._without_done(job, made)).calls:
            return
        entry = Entry(
            job=job,
            calls=made.calls,
            real=owner(pool, signer.account),
            order=each.order,
            since=time.monotonic(),
            attempt=each.attempt,
            solo=made.solo,
            held=bool(held),
            spec_version=runtime.version.spec_version,
            once=made.once,
        )
        lane.add(entry)
        self._lanes.wake(signer.account)

    def claim(self, job: TradeJob, once: Sequence[str | None]) -> frozenset[str]:
        """Claim the names of a job's calls; the keys of the jobs under way that have some."""
        names = [name for name in once if name is not None]
        held = frozenset(self._claims.setdefault(name, job.key) for name in names)
        self._names[job.key] = [name for name in names if self._claims[name] == job.key]
        return held - {job.key}

    async def remake(self, job: TradeJob, runtime: Runtime, pool: Pool) -> Made:
        """Make an admitted job's calls again; none are left where the job has ended by this."""
        made = make_calls(self._actions(), runtime.metadata, pool, job)
        return await self._without_done(job, made)

    async def _without_done(self, job: TradeJob, made: Made) -> Made:
        """Leave out the calls that other jobs have made; without any left the job is done."""
        done = await self._journal.made(filter(None, made.once))
        if not done:
            return made
        left = [pair for pair in zip(made.calls, made.once, strict=True) if pair[1] not in done]
        if not left:
            former = list(done.values())[-1]
            record = record_of(
                job,
                JobState.FINALIZED,
                extrinsic_hash=former.extrinsic_hash,
                block=former.block,
            )
            await self.end_unsigned([record])
        return Made(tuple(c for c, _ in left), tuple(n for _, n in left), made.solo)

    # --- out -------------------------------------------------------------------------------------

    async def fail(self, jobs: Sequence[TradeJob], message: str) -> None:
        """End jobs for which nothing is signed."""
        error = JobError(message=message)
        await self.end_unsigned([record_of(job, JobState.FAILED, error=error) for job in jobs])

    async def end_unsigned(self, records: Sequence[JobRecord]) -> None:
        """End jobs that are in no intent: in the journal, then for all."""
        await self._journal.end(records)
        for record in records:
            self.end(record)

    def end(self, record: JobRecord) -> None:
        """End a job whose record the journal has, and look anew at those that waited for it."""
        key = record.job.key
        for name in self._names.pop(key, ()):
            del self._claims[name]
        for lane, waiting in self._waiting.pop(key, ()):
            # It may wait for others too: one look decides anew.
            if lane.release(waiting.order):
                self.again(lane, waiting)
        self._outbox.end(record)
