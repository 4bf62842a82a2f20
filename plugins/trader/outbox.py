"""Where the jobs stand, and how others come to know: by the queue and by events.

The queue may be away for long, so what it has to be told waits here, the newest record of each job
alone. Final ones are also the journal's until the queue has them: they outlive the process.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from prbkit.errors import QueueError
from prbkit.events import Event, JobChanged
from prbkit.interfaces import JobRecord, JobState, TradeJob, TradeQueue

from .journal import Journal
from .lane import Intent
from .patience import pause

__all__ = ["Outbox", "record_of"]

log = logging.getLogger(__name__)

BATCH = 200
"""Records that the queue is told at once."""


def record_of(job: TradeJob, state: JobState, **more: Any) -> JobRecord:
    """Make a job's record, as of now."""
    return JobRecord(job=job, state=state, updated_at=time.time(), **more)


class Outbox:
    """The states of all jobs held now, and the records that the queue does not have yet.

    :param emit: brings an event to whoever listens in this process.
    :param counts: how many jobs have ended in each state, ever.
    """

    def __init__(
        self,
        queue: TradeQueue,
        journal: Journal,
        emit: Callable[[Event], None],
        counts: Mapping[JobState, int],
    ) -> None:
        self._queue = queue
        self._journal = journal
        self._emit = emit
        self._counts = dict(counts)
        self._live: dict[str, JobState] = {}
        self._records: dict[str, JobRecord] = {}
        self._filled = asyncio.Event()

    @property
    def empty(self) -> bool:
        """Whether the queue has been told everything."""
        return not self._records

    @property
    def held(self) -> int:
        """How many jobs have come and not ended."""
        return len(self._live)

    @property
    def under_way(self) -> int:
        """How many of them have been signed."""
        return sum(state is not JobState.QUEUED for state in self._live.values())

    def status(self) -> Mapping[str, int]:
        """Jobs that have ended well and without success, ever, and those held now."""
        finalized = self._counts.get(JobState.FINALIZED, 0)
        ended = sum(self._counts.values())
        return {"finalized": finalized, "failed": ended - finalized, "pending": self.held}

    def hold(self, job: TradeJob, state: JobState) -> None:
        """Note where a job stands that is not over; nobody is told."""
        self._live[job.key] = state

    def tell(self, record: JobRecord) -> None:
        """Have everyone told of a record; a newer one of its job takes its place."""
        self.put(record)
        self._emit(JobChanged(record=record))

    def tell_all(self, intent: Intent, state: JobState, **more: Any) -> None:
        """Have everyone told that an intent's jobs are in a state now."""
        for item in intent.items:
            self.hold(item.job, state)
            self.tell(record_of(item.job, state, extrinsic_hash=intent.hash, **more))

    def end(self, record: JobRecord) -> None:
        """Count a job as ended and have everyone told; the journal has its record already."""
        self._live.pop(record.job.key, None)
        self._counts[record.state] = self._counts.get(record.state, 0) + 1
        self.tell(record)

    def put(self, record: JobRecord) -> None:
        """Have the queue alone told: it is no news in this process."""
        self._records[record.job.key] = record
        self._filled.set()

    def repeat(self, job: TradeJob) -> None:
        """Have the queue told again that a job is under way, unless it is to hear of it anyway."""
        state = self._live.get(job.key)
        if state not in (None, JobState.QUEUED) and job.key not in self._records:
            self.put(record_of(job, state))

    async def report(self) -> None:
        """Bring records to the queue, as long as it takes; never returns."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._records:
                batch = dict(list(self._records.items())[:BATCH])
                try:
                    await self._queue.report(list(batch.values()))
                except QueueError as error:
                    log.warning("cannot report jobs: %s", error)
                    await pause()
                    continue
                await self._journal.reported(
                    key for key, record in batch.items() if record.state.final
                )
                for key, record in batch.items():
                    if self._records.get(key) is record:
                        del self._records[key]
