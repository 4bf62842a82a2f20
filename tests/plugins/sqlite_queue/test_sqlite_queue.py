"""The trade queue in a file."""

from __future__ import annotations

import asyncio
import multiprocessing
from pathlib import Path
from types import SimpleNamespace

import pytest

from prbkit.errors import ConfigError, QueueError
from prbkit.interfaces import TradeQueue
from prbkit.testing.contracts.trade_queue import MakeQueue, TradeQueueContract, job
from prbkit_plugins import sqlite_queue
from prbkit_plugins.sqlite_queue.queue import SqliteQueue


class TestSqliteQueue(TradeQueueContract):
    @pytest.fixture
    def make_queue(self, tmp_path: Path) -> MakeQueue:
        def make(space: str, *, lease: float = 600.0, history: int = 10_000) -> TradeQueue:
            return SqliteQueue(tmp_path / f"{space}.db", lease=lease, history=history)

        return make


def test_the_plugin_claims_its_scheme_alone(tmp_path: Path) -> None:
    settings = SimpleNamespace(data_dir=tmp_path)
    assert sqlite_queue.prbkit_trade_queue("redis://x", settings) is None
    queue = sqlite_queue.prbkit_trade_queue("sqlite:sub/queue.db?lease=5", settings)
    assert queue.url == f"sqlite:{tmp_path}/sub/queue.db"
    for wrong in ("sqlite:", "sqlite:q.db?lease=x", "sqlite:q.db?lese=1", "sqlite:q?lease=0"):
        with pytest.raises(ConfigError):
            sqlite_queue.prbkit_trade_queue(wrong, settings)


async def test_a_file_that_is_no_database_is_an_error_of_the_queue(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    path.write_bytes(b"not a database, but long enough to look at" * 20)
    with pytest.raises(QueueError):
        await SqliteQueue(path).open()


async def test_a_job_put_as_take_begins_to_wait_is_taken(tmp_path: Path) -> None:
    """A lease is long, so only the change of the file can wake it."""
    path = tmp_path / "queue.db"

    class Waiting(SqliteQueue):
        async def _changed(self, seen: int, timeout: float) -> None:
            await producer.put(job("late"))
            await super()._changed(seen, timeout)

    async with SqliteQueue(path) as producer, Waiting(path, lease=3600) as queue:
        async with asyncio.timeout(60):
            assert await queue.take("t", 1, 600) == [job("late")]


def _produce(path: Path, first: int) -> None:
    async def run() -> None:
        async with SqliteQueue(path) as queue:
            for number in range(first, first + 50):
                await queue.put(job(f"{number}"))

    asyncio.run(run())


async def test_processes_share_one_file(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    async with SqliteQueue(path) as queue:
        spawn = multiprocessing.get_context("spawn")
        producers = [spawn.Process(target=_produce, args=(path, 25 * n)) for n in range(2)]
        for producer in producers:
            producer.start()
        taken: list[str] = []
        while len(taken) < 75:
            got = await queue.take("t", 10, 60)
            assert got, "nothing came in a minute"
            taken += [each.key for each in got]
        for producer in producers:
            await asyncio.to_thread(producer.join)
        assert sorted(taken, key=int) == [f"{n}" for n in range(75)]
        assert not await queue.take("t", 10, 0)
