"""Contracts of trade: jobs, their records, the queue that carries them, and actions."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from prbkit.interfaces.base import Lifetime
from prbkit.interfaces.chain import Head
from prbkit.interfaces.inventory import Pool

__all__ = ["JobError", "JobRecord", "JobState", "OnceCall", "TradeAction", "TradeJob", "TradeQueue"]


class JobState(enum.StrEnum):
    """Where a trade job is. The last three are final."""

    QUEUED = "queued"
    BATCHED = "batched"
    SUBMITTED = "submitted"
    IN_BLOCK = "in_block"
    FINALIZED = "finalized"
    FAILED = "failed"
    EXPIRED = "expired"

    @property
    def final(self) -> bool:
        return self in (JobState.FINALIZED, JobState.FAILED, JobState.EXPIRED)


@dataclass(frozen=True, slots=True)
class TradeJob:
    """One thing to do on chain for one pool.

    `key` is the idempotency key: of two jobs with one key only the first is done, ever.
    `payload` is plain JSON (bytes as 0x hex, balances as decimal text), its shape fixed by
    `action`. `created_at` is Unix time in seconds.
    """

    key: str
    pid: int
    action: str
    payload: Mapping[str, Any]
    created_at: float


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a call failed. `pallet` and `name` are those of the metadata's error, where it is one."""

    message: str
    pallet: str | None = None
    name: str | None = None
    docs: str | None = None


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job and what has become of it.

    `error` is the first failure; `errors` has one entry (None: it succeeded) for each call that
    the job made. `block` is where it was included; of one that expired with a block, where it was
    certain that it can be included no more. A finalized job with an `error` is included, but what
    became of its calls cannot be told any more: only the chain's state says.
    """

    job: TradeJob
    state: JobState
    updated_at: float
    extrinsic_hash: bytes | None = None
    block: Head | None = None
    error: JobError | None = None
    errors: Sequence[JobError | None] = ()


class TradeQueue(Lifetime, Protocol):
    """Carries jobs to the trader and their records back. It may lose everything at any time.

    That no call is made twice is the trader's own journal's business, not the queue's; a producer
    puts a job again (same key) when the queue no longer knows it.
    """

    url: str

    async def put(self, job: TradeJob) -> bool:
        """Queue a job; False where its key is known already (nothing changes then)."""
        ...

    async def take(self, consumer: str, limit: int, wait: float) -> Sequence[TradeJob]:
        """Up to `limit` jobs, waiting up to `wait` seconds for the first.

        A job taken belongs to the consumer until a final record is reported. What a consumer
        that died held is given again: to the same name at once, to others after the lease.
        """
        ...

    async def report(self, records: Sequence[JobRecord]) -> None:
        """Store the newest state of jobs. A final one ends the job."""
        ...

    async def get(self, key: str) -> JobRecord | None: ...

    async def list(
        self, states: Sequence[JobState] | None = None, limit: int = 1000
    ) -> Sequence[JobRecord]:
        """Newest first."""
        ...

    async def counts(self) -> Mapping[JobState, int]: ...

    async def lease(self, name: str, holder: str, ttl: float) -> str | None:
        """Take or renew a lease for `ttl` seconds; None where it cannot be had now.

        One holder at a time has it. Where the queue has lost data, or may have, nobody gets it
        for a `ttl`, in which every former holder's has run out; so all who ask for a name use
        one `ttl`, and count their time from before they asked. The answer is the lease's term:
        the same text as long as nobody else has held it and nothing was lost. A `ttl` of 0 gives
        it up (None).
        """
        ...


@dataclass(frozen=True, slots=True)
class OnceCall:
    """A SCALE call that must succeed once at most, whichever jobs ask for it.

    `once` names what it does, among all actions. While a job with a call of that name is under
    way another one waits; after it has succeeded the call is not made again, and counts as done.
    """

    call: bytes
    once: str


class TradeAction(Protocol):
    """Makes the calls of a job: (metadata, pool, payload) → SCALE calls, in order.

    Pure. Raises `TradeError` for a payload that does not fit, before anything is queued.
    """

    def __call__(
        self, metadata: Any, pool: Pool, payload: Mapping[str, Any]
    ) -> Sequence[bytes | OnceCall]: ...
