"""The trader: jobs from the queue, calls on chain, results back.

One task takes jobs, one follows finalized blocks, one reports, and each signing account's lane
has one that signs and submits. All decisions are the lane's; all that must outlive the process is
the journal's. On start the trader looks for every extrinsic that may be somewhere, in the
finalized blocks of its era and in the pool, before anything is signed or sent.

This module puts the parts together and starts them: `intake` takes jobs, `vetting` and `admission`
let them into `lanes`, `signing` serves these, `observation` follows the chain, and `outbox` tells.
"""

from __future__ import annotations

import asyncio
import logging
import time

from prbkit.interfaces import JobState, ServiceContext, TradeQueue

from .admission import Admission
from .chain import Chain
from .config import TraderSettings
from .facts import Facts
from .intake import Intake
from .journal import Journal
from .lane import Limits
from .lanes import Lanes
from .observation import Observation
from .outbox import Outbox
from .patience import persist
from .signing import Signing
from .tenure import LeaseLost, Tenure
from .vetting import Vetting

__all__ = ["Trader"]

log = logging.getLogger(__name__)


class Trader:
    """The service. Each run begins with what the journal holds, and nothing else."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def run(self) -> None:
        """Trade until cancelled."""
        while True:
            try:
                await self._live()
            except* LeaseLost:
                log.warning("another trader has served the queue, or it lost data: looking anew")

    async def _live(self) -> None:
        context = self._context
        settings: TraderSettings = context.section("trader")
        chain = Chain(await context.source("para"))
        queue = await context.queue()
        inventory = await context.inventory()
        async with Journal(context.settings.data_path(settings.journal)) as journal:
            outbox = Outbox(queue, journal, context.emit, await journal.counts())
            context.report_status("jobs", outbox.status)
            tenure = Tenure(queue, await journal.identity(), settings.lease)
            facts = Facts(chain, inventory, context.signer)
            await _Life(context, settings, chain, queue, journal, outbox, tenure, facts).run()


class _Life:
    """One life of the trader, from what the journal holds until the lease is lost."""

    def __init__(
        self,
        context: ServiceContext,
        settings: TraderSettings,
        chain: Chain,
        queue: TradeQueue,
        journal: Journal,
        outbox: Outbox,
        tenure: Tenure,
        facts: Facts,
    ) -> None:
        self._chain = chain
        self._journal = journal
        self._outbox = outbox
        self._tenure = tenure
        self._lanes = Lanes(
            Limits(
                batch_calls=settings.batch_calls,
                batch_age=settings.batch_age,
                batch_quiet=settings.batch_quiet,
                max_in_flight=settings.max_in_flight,
                resubmit_after=settings.resubmit_after,
            )
        )
        self._admission = Admission(facts, journal, self._lanes, outbox, context.trade_actions)
        self._vetting = Vetting(chain, queue, journal, tenure, self._admission, settings.era_period)
        self._intake = Intake(
            settings,
            queue,
            journal,
            tenure,
            self._lanes,
            outbox,
            self._admission,
            self._vetting,
        )
        self._signing = Signing(
            settings, chain, facts, queue, journal, tenure, outbox, self._admission
        )
        self._observation = Observation(
            settings,
            chain,
            facts,
            journal,
            self._lanes,
            outbox,
            self._admission,
            self._vetting,
            self._signing,
            context.emit,
        )

    async def run(self) -> None:
        """Trade while the lease is held; raises `LeaseLost` in a group."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tenure.keep())
            await self._tenure.wait()
            await self._recover()
            self._lanes.start_each(
                lambda lane, woken: tasks.create_task(self._signing.run(lane, woken))
            )
            tasks.create_task(self._observation.follow())
            tasks.create_task(self._observation.watch_best())
            tasks.create_task(self._outbox.report())
            tasks.create_task(self._intake.run())

    async def _recover(self) -> None:
        """Take up what a former life left: look for each open intent before anything else."""
        left = await self._journal.load(await persist(self._chain.genesis_hash))
        for record in left.unreported:
            self._outbox.put(record)
        for intent in left.intents:
            self._lanes.of(intent.account).restore(intent, time.monotonic())
            self._signing.restore(intent)
            for item in intent.items:
                self._outbox.hold(item.job, JobState.BATCHED)
                self._admission.claim(item.job, item.once)
        for free in left.freed:
            self._outbox.hold(free.job, JobState.QUEUED)
        # In a new term another may have signed since also what this journal has seen expire.
        vetted = await self._journal.term() == self._tenure.term
        self._admission.add_freed([free for free in left.freed if free.attempt and vetted])
        self._vetting.add([free for free in left.freed if not (free.attempt and vetted)])
        if left.intents:
            log.info("looking for %d extrinsics of before", len(left.intents))
            await persist(self._look_for_all)

    async def _look_for_all(self) -> None:
        await self._observation.observe((await self._chain.source.finalized_head()).number)
        pool = await self._chain.pool()
        for lane in self._lanes:
            for intent in lane.open:
                if intent.hash in pool:
                    lane.submitted(intent.hash, time.monotonic())
