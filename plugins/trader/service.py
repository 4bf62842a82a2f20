"""The trader: jobs from the queue, calls on chain, results back.

One task takes jobs, one follows finalized blocks, one reports, and each signing account's lane
has one that signs and submits. All decisions are the lane's; all that must outlive the process is
the journal's. On start the trader looks for every extrinsic that may be somewhere, in the
finalized blocks of its era and in the pool, before anything is signed or sent.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from prbkit.errors import (
    CodecError,
    PrbError,
    QueueError,
    RpcError,
    SignerError,
    SourceError,
    StoreError,
    TradeError,
    VerificationError,
)
from prbkit.events import BalanceLow, JobChanged
from prbkit.interfaces import (
    Head,
    Inventory,
    JobError,
    JobRecord,
    JobState,
    OnceCall,
    Pool,
    ServiceContext,
    Signer,
    TradeJob,
    TradeQueue,
)
from prbkit.scale import Metadata

from .best import BestBlocks
from .chain import Chain, Cost, Runtime, extrinsic_hash
from .config import TraderSettings
from .journal import Freed, Journal
from .lane import Batch, Entry, Intent, Lane, Limits
from .outcome import Outcome, holds_batch
from .tenure import LeaseLost, Tenure

__all__ = ["Trader"]

log = logging.getLogger(__name__)

TAKE = 200
WAIT = 5.0
PAUSE = 2.0
"""Seconds to wait after the chain or the queue failed."""
BEST = 3.0
"""Seconds between looks at the blocks that are not final yet."""

UNDER_WAY = (JobState.BATCHED, JobState.SUBMITTED, JobState.IN_BLOCK)


class Trader:
    """The service. Each run begins with what the journal holds, and nothing else."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def run(self) -> None:
        """Trade until cancelled."""
        while True:
            try:
                await _Run(self._context).run()
            except* LeaseLost:
                log.warning("another trader has served the queue, or it lost data: looking anew")


class _Run:
    """One life of the trader. Several pools that one account signs for share its lane."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._settings: TraderSettings = context.section("trader")
        self._limits = Limits(
            batch_calls=self._settings.batch_calls,
            batch_age=self._settings.batch_age,
            batch_quiet=self._settings.batch_quiet,
            max_in_flight=self._settings.max_in_flight,
            resubmit_after=self._settings.resubmit_after,
        )
        self._lanes: dict[bytes, Lane] = {}
        self._woken: dict[bytes, asyncio.Event] = {}
        self._signers: dict[bytes, Signer] = {}
        self._opened: dict[tuple[str, bytes | None], Signer] = {}
        self._live: dict[str, JobState] = {}
        self._outbox: dict[str, JobRecord] = {}
        self._outbox_filled = asyncio.Event()
        self._counts: dict[JobState, int] = {}
        self._freed: list[Freed] = []
        self._expecting: dict[str, Lane] = {}
        """Key of a freed job → the lane that makes no batch until it is admitted."""
        self._claims: dict[str, str] = {}
        """Name of a call (`OnceCall`) → key of the job under way that has it."""
        self._names: dict[str, Sequence[str]] = {}
        """The same by job."""
        self._waiting: dict[str, list[tuple[Lane, Freed]]] = {}
        """Key of a job → those that wait for its end, since they share a call with it."""
        self._unvetted: list[Freed] = []
        self._strange: list[tuple[TradeJob, int]] = []
        """Jobs that a trader whose journal is gone has signed, and the block after which none of
        its extrinsics can be included."""
        self._compared = 0.0
        self._term: str | None = None
        self._in_block: dict[bytes, Head] = {}
        """Where the best chain holds open extrinsics, by hash."""
        self._low: set[bytes] = set()
        """Accounts that have little left, and that an alarm was raised for."""
        self._settled = 0
        """The newest block that held an extrinsic of ours."""
        self._chain: Chain
        self._journal: Journal
        self._queue: TradeQueue
        self._tenure: Tenure
        self._untold: set[bytes] = set()
        """Hashes of intents that the queue has not been told of: they must not go out yet."""
        self._inventory: Inventory
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        context = self._context
        self._chain = Chain(await context.source("para"))
        self._queue = await context.queue()
        self._inventory = await context.inventory()
        path = context.settings.data_path(self._settings.journal)
        async with Journal(path) as self._journal:
            self._counts = dict(await self._journal.counts())
            context.report_status("jobs", self.status)
            self._tenure = Tenure(self._queue, await self._journal.identity(), self._settings.lease)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._tenure.keep())
                await self._tenure.wait()
                await self._recover()
                self._tasks = tasks
                for account in self._lanes:
                    tasks.create_task(self._run_lane(account))
                tasks.create_task(self._follow())
                tasks.create_task(self._watch_best())
                tasks.create_task(self._report())
                tasks.create_task(self._take())

    def status(self) -> Mapping[str, int]:
        """Jobs that have ended well and without success, ever, and those held now."""
        finalized = self._counts.get(JobState.FINALIZED, 0)
        ended = sum(self._counts.values())
        return {"finalized": finalized, "failed": ended - finalized, "pending": len(self._live)}

    # --- recovery --------------------------------------------------------------------------------

    async def _recover(self) -> None:
        """Take up what a former life left: look for each open intent before anything else."""
        left = await self._journal.load(await self._persist(self._chain.genesis_hash))
        for record in left.unreported:
            self._outbox[record.job.key] = record
            self._outbox_filled.set()
        for intent in left.intents:
            self._lane(intent.account).restore(intent, time.monotonic())
            self._untold.add(intent.hash)
            for item in intent.items:
                self._live[item.job.key] = JobState.BATCHED
                self._claim(item.job, item.once)
        for free in left.freed:
            self._live[free.job.key] = JobState.QUEUED
        # In a new term another may have signed since also what this journal has seen expire.
        vetted = await self._journal.term() == self._tenure.term
        self._freed += [free for free in left.freed if free.attempt and vetted]
        self._unvetted += [free for free in left.freed if not (free.attempt and vetted)]
        if left.intents:
            log.info("looking for %d extrinsics of before", len(left.intents))
            await self._persist(self._look_for_all)

    async def _look_for_all(self) -> None:
        await self._observe((await self._chain.source.finalized_head()).number)
        pool = await self._chain.pool()
        for lane in self._lanes.values():
            for intent in lane.open:
                if intent.hash in pool:
                    lane.submitted(intent.hash, time.monotonic())

    # --- jobs in ---------------------------------------------------------------------------------

    async def _take(self) -> None:
        await self._admit_freed()
        while True:
            await self._tenure.wait()
            room = self._settings.max_pending - len(self._live)
            if room <= 0:
                await asyncio.sleep(PAUSE)
                continue
            try:
                await self._admit(await self._vetted())
                await self._refill()
                jobs = await self._queue.take(self._settings.consumer, min(room, TAKE), WAIT)
            except QueueError as error:
                log.warning("cannot take jobs: %s", error)
                await asyncio.sleep(PAUSE)
                continue
            if jobs:
                await self._receive(jobs)
            await self._admit_freed()

    async def _receive(self, jobs: Sequence[TradeJob]) -> None:
        """Sort jobs of the queue: those that have ended are answered, new ones admitted."""
        # From here on they are the journal's: nothing may come between taking and this.
        while True:
            try:
                ended, new = await self._journal.accept(jobs)
                break
            except StoreError as error:
                # The queue does not give them twice.
                log.error("cannot write %d jobs to the journal: %s", len(jobs), error)
                await asyncio.sleep(PAUSE)
        for record in ended.values():
            self._tell(record)
        for each in new:
            self._live[each.job.key] = JobState.QUEUED
        self._unvetted += new

    async def _vetted(self) -> Sequence[Freed]:
        """Give the new jobs that may be signed: those that nobody has signed before.

        This journal has never seen them; the queue may have, through a trader whose journal is
        gone. What that one has signed may be in a block or in a pool, and cannot be looked for.
        """
        jobs = tuple(self._unvetted)
        records = [await self._queue.get(each.job.key) for each in jobs]
        clear = [
            replace(each, attempt=max(1, each.attempt))
            for each, record in zip(jobs, records, strict=True)
            if record is None or record.state is JobState.QUEUED
        ]
        ended = [record for record in records if record is not None and record.state.final]
        if ended:
            await self._journal.end(ended)
            for record in ended:
                self._end(record)
        if len(clear) + len(ended) < len(jobs):
            head = await self._persist(self._chain.source.finalized_head)
            known = {each.job.key for each in clear} | {record.job.key for record in ended}
            strange = [each.job for each in jobs if each.job.key not in known]
            self._strange += [(job, head.number + self._settings.era_period) for job in strange]
            log.warning("%d jobs were signed by a trader whose journal is gone", len(strange))
        del self._unvetted[: len(jobs)]
        await self._settle_term()
        return clear

    async def _settle_term(self) -> None:
        """Note that this journal has seen what others did before the lease's present term."""
        term = self._tenure.term
        if term is not None and term != self._term and not (self._unvetted or self._strange):
            await self._journal.set_term(term)
            self._term = term

    async def _end_strange(self, head: Head) -> None:
        """End the jobs of a lost journal once their extrinsics can be included no more."""
        over = [job for job, until in self._strange if until <= head.number]
        if not over:
            return
        self._strange = [each for each in self._strange if each[1] > head.number]
        error = JobError(
            message="signed by a trader whose journal is gone: the chain alone knows its outcome"
        )
        records = [self._record(job, JobState.EXPIRED, block=head, error=error) for job in over]
        await self._journal.end(records)
        for record in records:
            self._end(record)
        await self._settle_term()

    async def _refill(self) -> None:
        """Put what is under way here again where the queue has lost it.

        Who puts jobs must see what is on its way, or may mean the same by other jobs.
        """
        now = time.monotonic()
        if self._outbox or now < self._compared + WAIT:
            return
        counts = await self._queue.counts()
        self._compared = now
        here = sum(state is not JobState.QUEUED for state in self._live.values())
        if here <= sum(counts.get(state, 0) for state in UNDER_WAY):
            return
        for job in self._held():
            await self._queue.put(job)
            state = self._live.get(job.key)
            if state is not None and state is not JobState.QUEUED:
                self._outbox.setdefault(job.key, self._record(job, state))
        self._outbox_filled.set()

    def _held(self) -> Sequence[TradeJob]:
        """The jobs that are waiting or on their way, as far as they are in a lane."""
        lanes = tuple(self._lanes.values())
        open_ = [item.job for lane in lanes for intent in lane.open for item in intent.items]
        return [*open_, *(entry.job for lane in lanes for entry in lane.pending)]

    async def _admit_freed(self) -> None:
        freed, self._freed = self._freed, []
        await self._admit(sorted(freed, key=lambda each: each.order))

    async def _admit(self, jobs: Sequence[Freed]) -> None:
        """Give each job to the lane of its pool's account, or end it at once."""
        if not jobs:
            return
        runtime, pools, _ = await self._persist(self._facts)
        for each in jobs:
            await self._admit_one(each, runtime, pools)
            if (lane := self._expecting.pop(each.job.key, None)) is not None:
                lane.forget(each.order)
                self._wake(lane.account)
            await asyncio.sleep(0)  # many jobs take long to check

    async def _admit_one(self, each: Freed, runtime: Runtime, pools: Mapping[int, Pool]) -> None:
        job = each.job
        try:
            pool = serving(pools, job)
            signer = await self._signer(pool)
            made = self._calls(runtime.metadata, pool, job)
        except PrbError as error:
            await self._fail([job], str(error))
            return
        lane = self._lane(signer.account)
        held = self._claim(job, made.once)
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
        self._wake(signer.account)

    def _again(self, lane: Lane, each: Freed) -> None:
        """Have a job admitted again; its lane waits for it."""
        lane.expect(each.order)
        self._expecting[each.job.key] = lane
        self._freed.append(each)

    def _claim(self, job: TradeJob, once: Sequence[str | None]) -> frozenset[str]:
        """Claim the names of a job's calls; the keys of the jobs under way that have some."""
        names = [name for name in once if name is not None]
        held = frozenset(self._claims.setdefault(name, job.key) for name in names)
        self._names[job.key] = [name for name in names if self._claims[name] == job.key]
        return held - {job.key}

    async def _without_done(self, job: TradeJob, made: Made) -> Made:
        """Leave out the calls that other jobs have made; without any left the job is done."""
        done = await self._journal.made(filter(None, made.once))
        if not done:
            return made
        left = [pair for pair in zip(made.calls, made.once, strict=True) if pair[1] not in done]
        if not left:
            former = list(done.values())[-1]
            record = self._record(
                job,
                JobState.FINALIZED,
                extrinsic_hash=former.extrinsic_hash,
                block=former.block,
            )
            await self._journal.end([record])
            self._end(record)
        return Made(tuple(c for c, _ in left), tuple(n for _, n in left), made.solo)

    async def _facts(self) -> tuple[Runtime, Mapping[int, Pool], Head]:
        """The best finalized block, the runtime there, and the pools by pid."""
        head = await self._chain.source.finalized_head()
        if head.number < self._settled:
            # It would give a nonce that is used up, and an era that is shorter than meant.
            raise SourceError(
                f"the node has finalized {head.number}, behind block {self._settled} of before",
                where=self._chain.source.url,
                hint="it is syncing, or endpoints follow different chains",
            )
        runtime = await self._chain.runtime(head.hash)
        return runtime, {pool.pid: pool for pool in await self._inventory.pools()}, head

    async def _signer(self, pool: Pool) -> Signer:
        """The pool's signer, opened once for each operator."""
        key = (pool.uuid, pool.operator)
        signer = self._opened.get(key)
        if signer is None:
            signer = await self._context.signer(await self._inventory.operator_uri(pool))
            self._opened[key] = signer
        # Two pools of one account sign alike; the one named last is used.
        self._signers[signer.account] = signer
        return signer

    def _calls(self, md: Metadata, pool: Pool, job: TradeJob) -> Made:
        """A job's calls, each proven to be one of the runtime's."""
        action = self._context.trade_actions().get(job.action)
        if action is None:
            raise TradeError(f"no plugin brings the trade action {job.action!r}")
        try:
            pairs = [
                (each.call, each.once) if isinstance(each, OnceCall) else (each, None)
                for each in action(md, pool, job.payload)
            ]
            if not pairs:
                raise TradeError(f"the action {job.action} makes no call of its payload")
            names = [name for _, name in pairs if name is not None]
            if len(set(names)) < len(names):
                raise TradeError("the payload asks for the same call twice")
            batches = [holds_batch(md, call) for call, _ in pairs]
            return Made(tuple(c for c, _ in pairs), tuple(n for _, n in pairs), True in batches)
        except CodecError as error:
            raise TradeError(f"not a call of this chain: {error.message}") from error
        except PrbError:
            raise
        except Exception as error:  # an action is a plugin's code: its fault ends this job alone
            raise TradeError(f"the action {job.action} failed: {error!r}") from error

    async def _fail(self, jobs: Sequence[TradeJob], message: str) -> None:
        """End jobs for which nothing is signed."""
        error = JobError(message=message)
        records = [self._record(job, JobState.FAILED, error=error) for job in jobs]
        await self._journal.end(records)
        for record in records:
            self._end(record)

    # --- signing and submitting ------------------------------------------------------------------

    async def _run_lane(self, account: bytes) -> None:
        lane, woken = self._lanes[account], self._woken[account]
        while True:
            await self._tenure.wait()
            woken.clear()
            for intent in lane.to_submit(time.monotonic()):
                await self._submit(lane, intent)
            while (batch := lane.next_batch(time.monotonic())) is not None:
                await self._sign(lane, batch)
            at = lane.wake_at()
            try:
                async with asyncio.timeout(None if at is None else max(0.0, at - time.monotonic())):
                    await woken.wait()
            except TimeoutError:
                pass

    async def _sign(self, lane: Lane, batch: Batch) -> None:
        """Sign a batch, write it to the journal, submit it."""
        signer = self._signers[lane.account]
        try:
            runtime, pools, born = await self._facts()
            batch = await self._remade(lane, batch, runtime, pools)
            if not batch.entries:
                lane.drop(batch)
                return
            call = batch_call(runtime.metadata, batch)
            nonce = lane.nonce(await self._chain.source.account_nonce(lane.account))
            period = self._settings.era_period
            cost = await self._chain.cost(
                runtime, call, signer, born=born, period=period, nonce=nonce
            )
            if (reason := self._too_much(cost, batch, runtime)) is not None:
                await self._cut(lane, batch, reason)
                return
            extrinsic = await self._chain.sign(
                runtime,
                call,
                signer,
                born=born,
                period=period,
                nonce=nonce,
                tip=self._settings.tip,
            )
        except (SignerError, CodecError) as error:
            # Nothing has left this process, so these jobs end here.
            lane.drop(batch)
            await self._fail([entry.job for entry in batch.entries], str(error))
            return
        except (SourceError, VerificationError) as error:
            log.warning("cannot sign for 0x%s now: %s", lane.account.hex(), error)
            lane.put_back(batch)
            await asyncio.sleep(PAUSE)
            return
        intent = Intent(
            account=lane.account,
            nonce=nonce,
            hash=extrinsic_hash(extrinsic),
            extrinsic=extrinsic,
            birth=born.number,
            death=born.number + self._settings.era_period,
            real=batch.real,
            items=tuple(entry.item for entry in batch.entries),
        )
        if not self._tenure.held:
            lane.put_back(batch)
            return
        await self._journal.begin(intent, await self._chain.genesis_hash())
        self._untold.add(intent.hash)
        lane.signed(intent, time.monotonic())
        log.info("signed %d calls as 0x%s, nonce %d", intent.calls, intent.hash.hex(), nonce)
        self._tell_all(intent, JobState.BATCHED)
        await self._submit(lane, intent)

    def _too_much(self, cost: Cost, batch: Batch, runtime: Runtime) -> str | None:
        """Tell why an extrinsic must not be made as it is."""
        if cost.too_big(runtime.metadata):
            return f"too big for a block: {cost.length} bytes, weight {cost.weight}"
        settings = self._settings
        caps = [settings.fee_caps.get(e.job.pid, settings.fee_cap) for e in batch.entries]
        cap = min((cap for cap in caps if cap is not None), default=None)
        if cap is not None and cost.fee + settings.tip > cap:
            return f"it would cost {cost.fee + settings.tip}, and the fee cap is {cap}"
        return None

    async def _cut(self, lane: Lane, batch: Batch, reason: str) -> None:
        """Make smaller batches; a job that is too much alone ends."""
        if len(batch.entries) > 1:
            log.info("a batch of %d jobs is cut: %s", len(batch.entries), reason)
            lane.shrink(sum(len(entry.calls) for entry in batch.entries))
            lane.put_back(batch)
        else:
            lane.drop(batch)
            await self._fail([entry.job for entry in batch.entries], reason)

    async def _remade(
        self, lane: Lane, batch: Batch, runtime: Runtime, pools: Mapping[int, Pool]
    ) -> Batch:
        """Leave out the jobs of pools that have changed; make calls again for a new runtime."""
        entries = []
        for entry in batch.entries:
            job, version = entry.job, runtime.version.spec_version
            try:
                pool = serving(pools, job)
                if pool.operator not in (None, lane.account) or batch.real != owner(
                    pool, lane.account
                ):
                    self._again(lane, Freed(job, entry.order, entry.attempt))
                    continue
                if entry.spec_version != version:
                    made = await self._without_done(job, self._calls(runtime.metadata, pool, job))
                    if not made.calls:
                        continue
                    entry = replace(entry, calls=made.calls, once=made.once, spec_version=version)
            except PrbError as error:
                await self._fail([job], str(error))
                continue
            entries.append(entry)
        return Batch(tuple(entries), batch.real)

    async def _submit(self, lane: Lane, intent: Intent) -> None:
        """Broadcast an intent's bytes. Whatever the answer, only finalized blocks decide."""
        if not await self._told(intent):
            lane.refused(intent.hash, time.monotonic())
            return
        try:
            await self._chain.source.submit(intent.extrinsic)
        except RpcError as error:
            text = f"{error.message} {error.data or ''}".strip()
            if error.rpc_code == ALREADY_IMPORTED:
                lane.submitted(intent.hash, time.monotonic())
                return
            exhausts = "exhaust" in text.lower()
            if lane.refused(intent.hash, time.monotonic(), exhausts=exhausts):
                log.warning("0x%s is refused for now: %s", intent.hash.hex(), text)
                self._tell_all(intent, JobState.BATCHED, error=JobError(message=text))
        except SourceError as error:
            log.warning("cannot submit 0x%s now: %s", intent.hash.hex(), error)
            lane.refused(intent.hash, time.monotonic())
        else:
            if lane.submitted(intent.hash, time.monotonic()):
                self._tell_all(intent, JobState.SUBMITTED)

    async def _told(self, intent: Intent) -> bool:
        """Have the queue know who has signed these jobs, before a node may see the bytes."""
        if intent.hash in self._untold:
            records = [
                self._record(item.job, JobState.BATCHED, extrinsic_hash=intent.hash)
                for item in intent.items
            ]
            try:
                await self._queue.report(records)
            except QueueError as error:
                log.warning("cannot report jobs: %s", error)
                return False
            self._untold.discard(intent.hash)
        return self._tenure.held

    # --- following the chain ---------------------------------------------------------------------

    async def _follow(self) -> None:
        heads = self._chain.source.finalized_heads()
        try:
            async for head in heads:
                await self._persist(partial(self._observe, head.number))
                await self._end_strange(head)
                await self._admit_freed()
        finally:
            if isinstance(heads, AsyncGenerator):
                await heads.aclose()

    async def _watch_best(self) -> None:
        """Tell which jobs are in a block that is not final yet, and which fell out of one."""
        best = BestBlocks(self._chain.source)
        while True:
            await asyncio.sleep(BEST)
            open_ = {intent.hash: intent for lane in self._lanes.values() for intent in lane.open}
            self._in_block = {h: at for h, at in self._in_block.items() if h in open_}
            if not open_:
                continue
            try:
                head = await self._chain.source.finalized_head()
                found = await best.find(head.number, open_)
            except (SourceError, VerificationError) as error:
                log.debug("cannot look at the best blocks: %s", error)
                continue
            for hash_, intent in open_.items():
                now, before = found.get(hash_), self._in_block.get(hash_)
                if hash_ not in self._open_hashes() or now == before:
                    continue
                if now is not None:
                    self._in_block[hash_] = now
                    self._tell_all(intent, JobState.IN_BLOCK, block=now)
                elif before is not None and before.number > head.number:
                    del self._in_block[hash_]
                    log.warning("0x%s fell out of a block that was retracted", hash_.hex())
                    self._tell_all(intent, JobState.SUBMITTED)

    def _open_hashes(self) -> frozenset[bytes]:
        return frozenset(intent.hash for lane in self._lanes.values() for intent in lane.open)

    async def _observe(self, to: int) -> None:
        """Look at the finalized blocks that may hold an open intent."""
        while (number := self._next_block()) is not None and number <= to:
            block = await self._chain.scan(number)
            if block is None:
                break
            for lane in tuple(self._lanes.values()):
                for intent, index in lane.block(number, block.extrinsics):
                    outcome = await self._chain.outcome(intent, block, index)
                    await self._finish(lane, intent, Head(number, block.hash), outcome)
                for intent in lane.expired():
                    await self._free(lane, intent)

        if self._lanes and (number is None or number > to):
            await self._heal(to)

    async def _heal(self, to: int) -> None:
        """Free at once what cannot be included since somebody else has used its nonce."""
        block = await self._chain.scan(to)
        if block is None:
            return
        for lane in tuple(self._lanes.values()):
            try:
                nonce, free = await self._chain.account(lane.account, block.hash)
            except (SourceError, CodecError) as error:
                log.debug("cannot read a nonce: %s", error)  # the era's end does it too
                continue
            self._watch_balance(lane.account, free)
            for intent in lane.outrun(to, nonce):
                await self._free(lane, intent)

    def _watch_balance(self, account: bytes, free: int) -> None:
        """Raise an alarm once, before the account runs dry."""
        if free >= self._settings.low_balance:
            self._low.discard(account)
        elif account not in self._low:
            self._low.add(account)
            log.warning("0x%s has only %d base units left to pay fees", account.hex(), free)
            self._context.emit(BalanceLow(account=account, free=free))

    def _next_block(self) -> int | None:
        numbers = (lane.next_block() for lane in self._lanes.values())
        return min((number for number in numbers if number is not None), default=None)

    async def _finish(self, lane: Lane, intent: Intent, block: Head, outcome: Outcome) -> None:
        records: list[JobRecord] = []
        made: list[str] = []
        start = 0
        for item in intent.items:
            share = outcome.errors[start : start + item.calls]
            start += item.calls
            first = next((error for error in share if error is not None), None)
            records.append(
                self._record(
                    item.job,
                    JobState.FINALIZED if first is None else JobState.FAILED,
                    extrinsic_hash=intent.hash,
                    block=block,
                    error=first or outcome.unknown,
                    errors=share,
                )
            )
            made += [n for n, error in zip(item.once, share, strict=False) if n and error is None]
        await self._journal.finish(intent, records, made)
        self._settled = max(self._settled, block.number)
        lane.close(intent)
        self._untold.discard(intent.hash)
        for record in records:
            self._end(record)
        self._wake(lane.account)

    async def _free(self, lane: Lane, intent: Intent) -> None:
        """Free the jobs of an intent whose era has passed; those tried too often end."""
        log.warning("0x%s is included nowhere, nonce %d", intent.hash.hex(), intent.nonce)
        again = [item for item in intent.items if item.attempt < self._settings.attempts]
        text = f"not included; it was for nonce {intent.nonce} before block {intent.death}"
        error = JobError(message=text)
        ended = [
            self._record(item.job, JobState.EXPIRED, extrinsic_hash=intent.hash, error=error)
            for item in intent.items
            if item.attempt >= self._settings.attempts
        ]
        await self._journal.free(intent, ended)
        self._untold.discard(intent.hash)
        for record in ended:
            self._end(record)
        for item in intent.items:
            lane.forget(item.order)
        for item in again:
            self._live[item.job.key] = JobState.QUEUED
            self._tell(self._record(item.job, JobState.QUEUED))
            self._again(lane, Freed(item.job, item.order, item.attempt + 1))
        self._wake(intent.account)

    # --- results out -----------------------------------------------------------------------------

    async def _report(self) -> None:
        """Bring records to the queue, as long as it takes."""
        while True:
            await self._outbox_filled.wait()
            self._outbox_filled.clear()
            while self._outbox:
                batch = dict(list(self._outbox.items())[:TAKE])
                try:
                    await self._queue.report(list(batch.values()))
                except QueueError as error:
                    log.warning("cannot report jobs: %s", error)
                    await asyncio.sleep(PAUSE)
                    continue
                await self._journal.reported(
                    key for key, record in batch.items() if record.state.final
                )
                for key, record in batch.items():
                    if self._outbox.get(key) is record:
                        del self._outbox[key]

    def _record(self, job: TradeJob, state: JobState, **more: Any) -> JobRecord:
        return JobRecord(job=job, state=state, updated_at=time.time(), **more)

    def _tell(self, record: JobRecord) -> None:
        self._outbox[record.job.key] = record
        self._outbox_filled.set()
        self._context.emit(JobChanged(record=record))

    def _tell_all(self, intent: Intent, state: JobState, **more: Any) -> None:
        for item in intent.items:
            self._live[item.job.key] = state
            self._tell(self._record(item.job, state, extrinsic_hash=intent.hash, **more))

    def _end(self, record: JobRecord) -> None:
        key = record.job.key
        self._live.pop(key, None)
        for name in self._names.pop(key, ()):
            del self._claims[name]
        for lane, waiting in self._waiting.pop(key, ()):
            # It may wait for others too: one look decides anew.
            if lane.release(waiting.order):
                self._again(lane, waiting)
        self._counts[record.state] = self._counts.get(record.state, 0) + 1
        self._tell(record)

    # --- lanes -----------------------------------------------------------------------------------

    def _lane(self, account: bytes) -> Lane:
        lane = self._lanes.get(account)
        if lane is None:
            lane = self._lanes[account] = Lane(account, self._limits)
            self._woken[account] = asyncio.Event()
            if self._tasks is not None:
                self._tasks.create_task(self._run_lane(account))
        return lane

    def _wake(self, account: bytes) -> None:
        self._woken[account].set()

    async def _persist(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Ask the chain until it answers."""
        while True:
            try:
                return await ask()
            except (SourceError, VerificationError) as error:
                log.warning("the chain does not answer: %s", error)
                await asyncio.sleep(PAUSE)


@dataclass(frozen=True, slots=True)
class Made:
    """The calls of a job, their names (`OnceCall`), and whether they must go alone."""

    calls: tuple[bytes, ...]
    once: tuple[str | None, ...]
    solo: bool


def serving(pools: Mapping[int, Pool], job: TradeJob) -> Pool:
    """Give a job's pool; raises `TradeError` where there is none that trades."""
    pool = pools.get(job.pid)
    if pool is None:
        raise TradeError(f"there is no pool with pid {job.pid}")
    if not pool.enabled:
        raise TradeError(f"the pool {job.pid} is not enabled")
    if pool.sync_only:
        raise TradeError(f"the pool {job.pid} is to sync only")
    return pool


def owner(pool: Pool, account: bytes) -> bytes | None:
    """Tell whom an account acts for; None where for itself."""
    return pool.owner if pool.owner != account else None


ALREADY_IMPORTED = 1013
"""JSON-RPC code of a pool that has these very bytes."""


def batch_call(md: Metadata, batch: Batch) -> bytes:
    """Put a batch's calls into one: always a force_batch, so that each has its own outcome."""
    calls = [call for entry in batch.entries for call in entry.calls]
    call = md.call("Utility", "force_batch", calls=calls)
    if batch.real is None:
        return call
    real, *_ = md.variants(md.pallet("Proxy").calls)["proxy"].fields
    # Runtimes of before 2022 take an account id here, later ones an address.
    is_address = md.type_info(real.type_id).kind == "variant"
    account = {"Id": batch.real} if is_address else batch.real
    return md.call("Proxy", "proxy", real=account, force_proxy_type=None, call=call)
