"""Whether jobs that are new to this journal may be signed: not if another trader has signed them.

A journal may get lost, and the queue then gives its jobs to a trader that has never seen them. What
was signed for them may be in a block or in a pool, and cannot be looked for without its bytes.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from prbkit.interfaces import Head, JobError, JobState, TradeJob, TradeQueue

from .admission import Admission
from .chain import Chain
from .journal import Freed, Journal
from .outbox import record_of
from .patience import persist
from .tenure import Tenure

__all__ = ["Vetting"]

log = logging.getLogger(__name__)


class Vetting:
    """Holds jobs until it is known whether others have signed them.

    :param era_period: blocks after which nothing that was signed can be included.
    """

    def __init__(
        self,
        chain: Chain,
        queue: TradeQueue,
        journal: Journal,
        tenure: Tenure,
        admission: Admission,
        era_period: int,
    ) -> None:
        self._chain = chain
        self._queue = queue
        self._journal = journal
        self._tenure = tenure
        self._admission = admission
        self._era_period = era_period
        self._unvetted: list[Freed] = []
        self._strange: list[tuple[TradeJob, int]] = []
        """Jobs that a trader whose journal is gone has signed, and the block after which none of
        its extrinsics can be included."""
        self._term: str | None = None

    def add(self, jobs: Sequence[Freed]) -> None:
        """Hold jobs, for the next `clear` to look at."""
        self._unvetted += jobs

    async def clear(self) -> Sequence[Freed]:
        """Give the jobs that may be signed: those that, by the queue, nobody has signed before.

        Raises `QueueError`; the jobs are held on then.
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
            await self._admission.end_unsigned(ended)
        if len(clear) + len(ended) < len(jobs):
            head = await persist(self._chain.source.finalized_head)
            known = {each.job.key for each in clear} | {record.job.key for record in ended}
            strange = [each.job for each in jobs if each.job.key not in known]
            self._strange += [(job, head.number + self._era_period) for job in strange]
            log.warning("%d jobs were signed by a trader whose journal is gone", len(strange))
        del self._unvetted[: len(jobs)]
        await self._settle_term()
        return clear

    async def end_strange(self, head: Head) -> None:
        """End the jobs of a lost journal once their extrinsics can be included no more."""
        over = [job for job, until in self._strange if until <= head.number]
        if not over:
            return
        self._strange = [each for each in self._strange if each[1] > head.number]
        error = JobError(
            message="signed by a trader whose journal is gone: the chain alone knows its outcome"
        )
        await self._admission.end_unsigned(
            [record_of(job, JobState.EXPIRED, block=head, error=error) for job in over]
        )
        await self._settle_term()

    async def _settle_term(self) -> None:
        """Note that this journal has seen what others did before the lease's present term."""
        term = self._tenure.term
        if term is not None and term != self._term and not (self._unvetted or self._strange):
            await self._journal.set_term(term)
            self._term = term
