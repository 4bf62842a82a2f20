"""Trade jobs by purpose: at most one live job for each, put again when the queue lost it.

The queue may forget everything at any time, and so may this process. What a purpose's newest job
is called is found again by counting its attempts up from the first: a known, ended attempt is
followed by the next. Whether an ended job had its effect only the chain says, so an attempt
counts as over once our picture of the chain has passed the block it was included in.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prbkit.interfaces import JobRecord, JobState, TradeJob, TradeQueue

__all__ = ["JobBook", "Outcome", "Progress", "batch_key"]

MAX_ADOPTED = 100_000
"""Most jobs that are looked through for one's own after a start."""

REFLECT_WITHIN = 60.0
"""Seconds after which a finalized job without a block counts as seen by the chain's picture."""


class Outcome(enum.Enum):
    LIVE = "live"
    """A job is on its way."""
    DONE = "done"
    """The job that was on its way has ended well, and the chain's picture includes it."""
    FAILED = "failed"
    """It ended badly; another attempt is made after a wait."""


@dataclass(frozen=True, slots=True)
class Progress:
    outcome: Outcome
    message: str = ""


@dataclass(slots=True)
class _Purpose:
    attempt: int = 1
    live: bool = False
    failures: int = 0
    not_before: float = 0.0
    ended: str = ""
    """How the last attempt ended, for people."""


def batch_key(origin: bytes, first: int, last: int) -> str:
    """Purpose of a batch of messages; with ``:{attempt}`` it is a job's key."""
    return f"BATCH_SYNC_MQ_MESSAGE:0x{origin.hex()}:{first}-{last}"


class JobBook:
    """The jobs of a runner's workers.

    :param retry_first, retry_most: seconds to wait after failures, doubled each time.
    :param clock: Unix time in seconds.
    """

    def __init__(
        self,
        queue: TradeQueue,
        *,
        retry_first: float,
        retry_most: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._queue = queue
        self._retry_first = retry_first
        self._retry_most = retry_most
        self._clock = clock
        self._purposes: dict[str, _Purpose] = {}

    async def pursue(
        self,
        purpose: str,
        pid: int,
        payload: Callable[[], Awaitable[Mapping[str, Any]]],
        block: int,
    ) -> Progress:
        """Keep one job for a purpose on its way until it has ended.

        Called again and again while the chain shows that the purpose isn't reached.

        :param purpose: ``{action}:…``, without the attempt.
        :param payload: makes the job's payload; called only when a job is put.
        :param block: the para block up to which the chain is known.
        """
        mine = self._purposes.setdefault(purpose, _Purpose())
        while True:
            key = f"{purpose}:{mine.attempt}"
            record = await self._queue.get(key)
            if record is None:
                if (wait := mine.not_before - self._clock()) > 0:
                    return Progress(Outcome.FAILED, f"{mine.ended}; again in {wait:.0f} s")
                await self._put(key, purpose, pid, payload)
                mine.live = True
                return Progress(Outcome.LIVE, f"{_action(purpose)} is queued")
            if not _over(record, block, self._clock()):
                mine.live = True
                return Progress(Outcome.LIVE, f"{_action(purpose)} is {record.state.value}")
            ended_here, mine.live = mine.live, False
            mine.attempt += 1
            if ended_here:
                return self._ended(mine, purpose, record)

    def _ended(self, mine: _Purpose, purpose: str, record: JobRecord) -> Progress:
        # Also after success: the effect may be undone at once, and that must not become a storm.
        wait = min(self._retry_first * 2**mine.failures, self._retry_most)
        mine.failures = min(mine.failures + 1, 30)
        mine.not_before = self._clock() + wait
        if record.state is JobState.FINALIZED:
            mine.ended = f"{_action(purpose)} is done"
            return Progress(Outcome.DONE, mine.ended)
        mine.ended = f"{_action(purpose)} failed: {_why(record)}"
        return Progress(Outcome.FAILED, mine.ended)

    def forget(self, purpose: str) -> None:
        """The purpose is reached, or nobody wants it any more."""
        self._purposes.pop(purpose, None)

    async def live_batch(self, origin: bytes, wanted: int, block: int) -> tuple[int, int] | None:
        """The first and last sequence of the batch of a sender that is still on its way.

        :param wanted: the sequence that the chain wants next; batches that end before are over.
        """
        prefix = f"BATCH_SYNC_MQ_MESSAGE:0x{origin.hex()}:"
        now = self._clock()
        for record in await self._records():
            if not record.job.key.startswith(prefix) or _over(record, block, now):
                continue
            bounds = _bounds(record.job.key[len(prefix) :])
            if bounds is not None and bounds[1] >= wanted:
                return bounds
        return None

    async def _records(self) -> Sequence[JobRecord]:
        return await self._queue.list(
            [
                JobState.QUEUED,
                JobState.BATCHED,
                JobState.SUBMITTED,
                JobState.IN_BLOCK,
                JobState.FINALIZED,
            ],
            MAX_ADOPTED,
        )

    async def _put(
        self,
        key: str,
        purpose: str,
        pid: int,
        payload: Callable[[], Awaitable[Mapping[str, Any]]],
    ) -> None:
        job = TradeJob(
            key=key,
            pid=pid,
            action=_action(purpose),
            payload=await payload(),
            created_at=self._clock(),
        )
        await self._queue.put(job)


def _action(purpose: str) -> str:
    return purpose.partition(":")[0]


def _over(record: JobRecord, block: int, now: float) -> bool:
    """Whether a job has ended and the chain's picture (up to `block`) shows what it did."""
    if not record.state.final:
        return False
    if record.block is not None:
        return record.block.number <= block
    return record.state is not JobState.FINALIZED or now - record.updated_at > REFLECT_WITHIN


def _why(record: JobRecord) -> str:
    if record.error is None:
        return record.state.value
    error = record.error
    if error.pallet and error.name:
        return f"{error.pallet}.{error.name}: {error.docs or error.message}"
    return error.message


def _bounds(text: str) -> tuple[int, int] | None:
    """Read ``{first}-{last}:{attempt}``."""
    span, _, _ = text.partition(":")
    first, _, last = span.partition("-")
    return (int(first), int(last)) if first.isdecimal() and last.isdecimal() else None
