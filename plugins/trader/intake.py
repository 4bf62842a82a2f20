"""From the queue to admission: jobs are taken, written to the journal, vetted.

Taking is the one moment when a job could get lost: the queue does not give it twice. And a queue
that has lost what it knew is filled again from here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from prbkit.errors import QueueError, StoreError
from prbkit.interfaces import JobState, TradeJob, TradeQueue

from .admission import Admission
from .config import TraderSettings
from .journal import Journal
from .lanes import Lanes
from .outbox import Outbox
from .patience import pause
from .tenure import Tenure
from .vetting import Vetting

__all__ = ["Intake"]

log = logging.getLogger(__name__)

TAKE = 200
"""Jobs that are taken at once."""
WAIT = 5.0
"""Seconds that the queue is asked to wait for jobs, and between comparisons with it."""

UNDER_WAY = (JobState.BATCHED, JobState.SUBMITTED, JobState.IN_BLOCK)


class Intake:
    """Takes jobs while the lease is held and there is room for more."""

    def __init__(
        self,
        settings: TraderSettings,
        queue: TradeQueue,
        journal: Journal,
        tenure: Tenure,
        lanes: Lanes,
        outbox: Outbox,
        admission: Admission,
        vetting: Vetting,
    ) -> None:
        self._settings = settings
        self._queue = queue
        self._journal = journal
        self._tenure = tenure
        self._lanes = lanes
        self._outbox = outbox
        self._admission = admission
        self._vetting = vetting
        self._compared = 0.0

    async def run(self) -> None:
        """Take jobs; never returns."""
        await self._admission.admit_freed()
        while True:
            await self._tenure.wait()
            room = self._settings.max_pending - self._outbox.held
            if room <= 0:
                await pause()
                continue
            try:
                await self._admission.admit(await self._vetting.clear())
                await self._refill()
                jobs = await self._queue.take(self._settings.consumer, min(room, TAKE), WAIT)
            except QueueError as error:
                log.warning("cannot take jobs: %s", error)
                await pause()
                continue
            if jobs:
                await self._receive(jobs)
            await self._admission.admit_freed()

    async def _receive(self, jobs: Sequence[TradeJob]) -> None:
        """Sort jobs of the queue: those that have ended are answered, new ones vetted."""
        # From here on they are the journal's: nothing may come between taking and this.
        while True:
            try:
                ended, new = await self._journal.accept(jobs)
                break
            except StoreError as error:
                # The queue does not give them twice.
                log.error("cannot write %d jobs to the journal: %s", len(jobs), error)
                await pause()
        for record in ended.values():
            self._outbox.tell(record)
        for each in new:
            self._outbox.hold(each.job, JobState.QUEUED)
        self._vetting.add(new)

    async def _refill(self) -> None:
        """Put what is under way here again where the queue has lost it.

        Who puts jobs must see what is on its way, or may mean the same by other jobs.
        """
        now = time.monotonic()
        if not self._outbox.empty or now < self._compared + WAIT:
            return
        counts = await self._queue.counts()
        self._compared = now
        if self._outbox.under_way <= sum(counts.get(state, 0) for state in UNDER_WAY):
            return
        for job in self._lanes.jobs():
            await self._queue.put(job)
            self._outbox.repeat(job)
