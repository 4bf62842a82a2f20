"""A trade queue and a clock in memory, for tests of what stands on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from prbkit.interfaces import Head, JobError, JobRecord, JobState, TradeJob


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class FakeQueue:
    """Keeps records by key; the test plays the trader with `end`, and the loss with `lose`."""

    url = "fake:"

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.records: dict[str, JobRecord] = {}
        self.puts: list[str] = []

    async def put(self, job: TradeJob) -> bool:
        if job.key in self.records:
            return False
        self.puts.append(job.key)
        self.records[job.key] = JobRecord(job, JobState.QUEUED, self.clock())
        return True

    async def get(self, key: str) -> JobRecord | None:
        return self.records.get(key)

    async def list(
        self, states: Sequence[JobState] | None = None, limit: int = 1000
    ) -> Sequence[JobRecord]:
        found = [r for r in self.records.values() if states is None or r.state in states]
        return found[::-1][:limit]

    async def counts(self) -> Mapping[JobState, int]:
        return {}

    def live(self) -> list[TradeJob]:
        return [r.job for r in self.records.values() if not r.state.final]

    def end(self, key: str, state: JobState, block: int | None = None) -> None:
        error = JobError("no", "Pallet", "Error", "It is so.") if state is JobState.FAILED else None
        self.records[key] = replace(
            self.records[key],
            state=state,
            updated_at=self.clock(),
            block=None if block is None else Head(block, bytes(32)),
            error=error,
        )

    def lose(self) -> None:
        self.records.clear()
