"""Three processes of their own do the whole job, and go on whichever is killed when."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.farm import Farm
from tests.plugins.redis_queue.server import Server

pytestmark = pytest.mark.e2e


def test_three_processes_bring_the_workers_to_compute(tmp_path: Path) -> None:
    with Farm(tmp_path) as farm:
        found = farm.wait_until_active()
        farm.wait(
            "two changes of the authority set",
            lambda: (farm.status() or found)["relay"]["set_changes"] >= 2,
            within=60,
        )
        assert found["jobs"]["failed"] == 0
        farm.check_nothing_was_done_twice()


@pytest.mark.parametrize("victim", ["data_provider", "lifecycle", "trader", "devnet"])
@pytest.mark.parametrize("after_jobs", [pytest.param(0, marks=pytest.mark.slow), 4])
def test_a_killed_process_goes_on_and_no_call_is_included_twice(
    tmp_path: Path, victim: str, after_jobs: int
) -> None:
    with Farm(tmp_path) as farm:
        farm.wait_for_jobs(after_jobs)
        farm.processes[victim].kill()
        farm.processes[victim].start()
        farm.wait_until_active()
        farm.check_nothing_was_done_twice()


def test_a_redis_queue_may_lose_everything(tmp_path: Path, redis_server: Server) -> None:
    with Farm(tmp_path, PRBKIT_QUEUE=f"{redis_server.url}?name=everything") as farm:
        for after_jobs in (1, 7):
            farm.wait_for_jobs(after_jobs)
            redis_server.kill()
            redis_server.start()
        farm.wait_until_active()
        farm.check_nothing_was_done_twice()


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["lifecycle", "trader"])
def test_redis_and_a_process_die_together(
    tmp_path: Path, redis_server: Server, victim: str
) -> None:
    with Farm(tmp_path, PRBKIT_QUEUE=f"{redis_server.url}?name={victim}") as farm:
        farm.wait_for_jobs(3)
        farm.processes[victim].kill()
        redis_server.kill()
        redis_server.start()
        farm.processes[victim].start()
        farm.wait_until_active()
        farm.check_nothing_was_done_twice()
