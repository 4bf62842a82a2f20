"""`prbkit jobs`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from prbkit.errors import QueueError
from prbkit.interfaces import JobState
from prbkit.testing.contracts.trade_queue import job, record
from prbkit_plugins.sqlite_queue.queue import SqliteQueue
from prbkit_plugins.trader.cli import jobs


@pytest.fixture
def config(tmp_path: Path) -> str:
    async def fill() -> None:
        async with SqliteQueue(tmp_path / "queue.db") as queue:
            for key in ("waits", "fails"):
                await queue.put(job(key))
            await queue.report([record(job("fails"), JobState.FAILED)])

    asyncio.run(fill())
    file = tmp_path / "prbkit.toml"
    file.write_text(f'data_dir = "{tmp_path}"\nqueue = "sqlite:queue.db"\n')
    return str(file)


def test_jobs_are_listed_newest_first(config: str) -> None:
    done = CliRunner().invoke(jobs, ["list", "-c", config], catch_exceptions=False)
    first, second = done.stdout.splitlines()[:2]
    assert "fails" in first
    assert "failed" in first
    assert "waits" in second
    assert "queued" in second
    done = CliRunner().invoke(jobs, ["list", "-c", config, "--json", "--state", "failed"])
    listed = json.loads(done.stdout)
    assert [each["job"]["key"] for each in listed["jobs"]] == ["fails"]
    assert (listed["counts"]["queued"], listed["counts"]["failed"]) == (1, 1)


def test_a_job_is_shown_with_the_reasons_of_its_failure(config: str) -> None:
    done = CliRunner().invoke(jobs, ["show", "-c", config, "fails"], catch_exceptions=False)
    assert "call 1     no (Too low)" in done.stdout
    assert f"block      7 0x{'02' * 32}" in done.stdout
    done = CliRunner().invoke(jobs, ["show", "-c", config, "--json", "fails"])
    assert json.loads(done.stdout)["error"]["name"] == "InsufficientBalance"


def test_a_failed_job_is_queued_again_as_a_new_one(config: str) -> None:
    for number in (2, 3):
        done = CliRunner().invoke(jobs, ["retry", "-c", config, "fails"], catch_exceptions=False)
        assert done.stdout == f"fails#{number}\n"
    done = CliRunner().invoke(jobs, ["show", "-c", config, "--json", "fails#2"])
    shown = json.loads(done.stdout)
    assert shown["state"] == "queued"
    assert shown["job"]["payload"] == job("fails").payload
    done = CliRunner().invoke(jobs, ["retry", "-c", config, "waits"])
    assert isinstance(done.exception, QueueError)
    assert "is queued" in done.exception.message


def test_an_unknown_job_is_an_error(config: str) -> None:
    done = CliRunner().invoke(jobs, ["show", "-c", config, "nobody"])
    assert isinstance(done.exception, QueueError)
