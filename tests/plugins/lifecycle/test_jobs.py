"""Jobs by purpose, over losses of the queue and of the process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbkit.interfaces import JobState
from prbkit_plugins.lifecycle.jobs import JobBook, Outcome

from .fakes import Clock, FakeQueue

PURPOSE = "ADD_WORKER:0xaa"


async def payload() -> Mapping[str, Any]:
    return {"public_key": "0xaa"}


def make() -> tuple[Clock, FakeQueue, JobBook]:
    clock = Clock()
    queue = FakeQueue(clock)
    return clock, queue, JobBook(queue, retry_first=12, retry_most=600, clock=clock)  # type: ignore[arg-type]


async def pursue(book: JobBook, block: int = 10) -> Outcome:
    return (await book.pursue(PURPOSE, 7, payload, block)).outcome


async def test_a_job_is_put_once_and_waited_for() -> None:
    _, queue, book = make()
    for _ in range(3):
        assert await pursue(book) is Outcome.LIVE
    assert queue.puts == [f"{PURPOSE}:1"]
    [job] = queue.live()
    assert (job.pid, job.action, job.payload) == (7, "ADD_WORKER", {"public_key": "0xaa"})


async def test_a_lost_job_is_put_again_under_its_key() -> None:
    _, queue, book = make()
    await pursue(book)
    queue.lose()
    assert await pursue(book) is Outcome.LIVE
    assert queue.puts == [f"{PURPOSE}:1"] * 2


async def test_a_finalized_job_is_over_when_the_chains_picture_shows_it() -> None:
    _, queue, book = make()
    await pursue(book)
    queue.end(f"{PURPOSE}:1", JobState.FINALIZED, block=12)
    assert await pursue(book, block=11) is Outcome.LIVE
    assert await pursue(book, block=12) is Outcome.DONE
    assert len(queue.puts) == 1


async def test_a_failed_job_is_tried_again_after_growing_waits() -> None:
    clock, queue, book = make()
    await pursue(book)
    waits = []
    for attempt in range(1, 4):
        queue.end(f"{PURPOSE}:{attempt}", JobState.FAILED)
        assert await pursue(book) is Outcome.FAILED
        started = clock.now
        while not queue.live():
            clock.now += 1
            await pursue(book)
        waits.append(clock.now - started)
    assert waits == [12, 24, 48]


async def test_what_failed_is_told_with_the_chains_words() -> None:
    _, queue, book = make()
    await pursue(book)
    queue.end(f"{PURPOSE}:1", JobState.FAILED)
    progress = await book.pursue(PURPOSE, 7, payload, 10)
    assert progress.message == "ADD_WORKER failed: Pallet.Error: It is so."


async def test_a_new_process_goes_on_with_the_live_job() -> None:
    clock, queue, book = make()
    await pursue(book)
    queue.end(f"{PURPOSE}:1", JobState.FAILED)
    await pursue(book)
    clock.now += 100
    await pursue(book)
    again = JobBook(queue, retry_first=12, retry_most=600, clock=clock)  # type: ignore[arg-type]
    assert await pursue(again) is Outcome.LIVE
    assert queue.puts == [f"{PURPOSE}:1", f"{PURPOSE}:2"]


async def test_an_old_success_does_not_stand_for_a_new_purpose() -> None:
    clock, queue, book = make()
    await pursue(book)
    queue.end(f"{PURPOSE}:1", JobState.FINALIZED, block=5)
    again = JobBook(queue, retry_first=12, retry_most=600, clock=clock)  # type: ignore[arg-type]
    assert await pursue(again, block=50) is Outcome.LIVE
    assert queue.puts[-1] == f"{PURPOSE}:2"


steps = st.lists(
    st.sampled_from(["pursue", "lose", "restart", "finalize", "fail", "wait", "advance"]),
    max_size=60,
)


@given(steps)
@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
async def test_there_are_never_two_live_jobs_of_one_purpose(sequence: list[str]) -> None:
    clock, queue, book = make()
    block = 1
    for step in sequence:
        match step:
            case "pursue":
                await pursue(book, block)
            case "lose":
                queue.lose()
            case "restart":
                book = JobBook(queue, retry_first=12, retry_most=600, clock=clock)  # type: ignore[arg-type]
            case "finalize" | "fail":
                for job in queue.live():
                    state = JobState.FINALIZED if step == "finalize" else JobState.FAILED
                    queue.end(job.key, state, block=block + 2)
            case "wait":
                clock.now += 100
            case "advance":
                block += 1
        assert len(queue.live()) <= 1
