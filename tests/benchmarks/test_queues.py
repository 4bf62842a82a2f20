"""The trade queues beside plain XADD and XREADGROUP of redis-py: jobs a second, memory, history.

A job is put, taken and ended; plain Redis adds an entry, reads it and acknowledges it. Printed are
rates and ratios; nothing is asserted of time. `PRBKIT_BENCH_JOBS` sets the number of jobs.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from prbkit.interfaces import JobState, TradeQueue
from prbkit.testing.contracts.trade_queue import job, record
from prbkit_plugins.sqlite_queue.queue import SqliteQueue
from tests.plugins.redis_queue.server import Server

pytest.importorskip("redis", reason="the extra [redis] is not installed")

from redis import asyncio as aioredis

from prbkit_plugins.redis_queue.queue import RedisQueue

JOBS = int(os.environ.get("PRBKIT_BENCH_JOBS", "20000"))
PAGE = 200
PRODUCERS = 50
HISTORY = 1000


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    server.start()
    yield server
    server.kill()


def resident() -> int:
    """Bytes of memory that this process has to itself."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    return 0


async def through(queue: TradeQueue) -> tuple[float, int]:
    """Put, take and end all jobs; jobs a second and how far memory grew after a tenth of them."""
    started, early = time.perf_counter(), 0
    for page in range(0, JOBS, PAGE):
        numbers = iter(range(page, page + PAGE))

        async def produce(numbers: Iterator[int] = numbers) -> None:
            for number in numbers:
                await queue.put(job(f"{number}"))

        await asyncio.gather(*(produce() for _ in range(PRODUCERS)))
        left = PAGE
        while left:
            jobs = await queue.take("t", PAGE, 1.0)
            await queue.report([record(each, JobState.FINALIZED) for each in jobs])
            left -= len(jobs)
        if page == JOBS // 10 // PAGE * PAGE:
            early = resident()
    rate = JOBS / (time.perf_counter() - started)
    assert (await queue.counts())[JobState.FINALIZED] == min(HISTORY, JOBS)
    return rate, resident() - early


async def plain(url: str) -> float:
    """The same number of entries through a stream, by redis-py alone."""
    redis = aioredis.from_url(url)
    await redis.xgroup_create("plain", "g", id="0", mkstream=True)
    started = time.perf_counter()
    for page in range(0, JOBS, PAGE):
        numbers = iter(range(page, page + PAGE))

        async def produce(numbers: Iterator[int] = numbers) -> None:
            for number in numbers:
                await redis.xadd("plain", {"key": f"{number}"})

        await asyncio.gather(*(produce() for _ in range(PRODUCERS)))
        left = PAGE
        while left:
            answer = await redis.xreadgroup("g", "t", {"plain": ">"}, count=PAGE)
            streams = answer.values() if isinstance(answer, dict) else [s[1] for s in answer]
            entries = next(iter(streams))
            if entries and isinstance(entries[0], list):
                entries = entries[0]
            await redis.xack("plain", "g", *(entry for entry, _ in entries))
            left -= len(entries)
    rate = JOBS / (time.perf_counter() - started)
    await redis.aclose()
    return rate


async def measured(url: str, folder: Path) -> tuple[dict[str, float], str]:
    """Both queues and their peer in one run: the ratios, and a report."""
    peer = await plain(url)
    async with RedisQueue(url, name="bench", history=HISTORY) as queue:
        rate, growth = await through(queue)
    client = aioredis.from_url(url)
    held = (await client.info("memory"))["used_memory"]
    await client.aclose()
    async with SqliteQueue(folder / "bench.db", history=HISTORY) as embedded:
        embedded_rate, embedded_growth = await through(embedded)
    size = (folder / "bench.db").stat().st_size
    report = (
        f"\n{JOBS:,} jobs put, taken and ended\n"
        f"  plain XADD, XREADGROUP, XACK  {peer:9,.0f} /s\n"
        f"  redis_queue                   {rate:9,.0f} /s  {rate / peer:.2f} x plain (target 0.5), "
        f"memory {growth / 2**20:+.1f} MiB, Redis {held / 2**20:.1f} MiB\n"
        f"  sqlite_queue                  {embedded_rate:9,.0f} /s  {embedded_rate / peer:.2f} x "
        f"plain, memory {embedded_growth / 2**20:+.1f} MiB, file {size / 2**20:.1f} MiB"
    )
    return {"redis_queue": rate / peer, "sqlite_queue": embedded_rate / peer}, report


@pytest.mark.timeout(3600)
def test_queues(
    benchmark: BenchmarkFixture,
    redis_server: Server,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ratios, report = benchmark.pedantic(
        lambda: asyncio.run(measured(redis_server.url, tmp_path)), rounds=1, iterations=1
    )
    benchmark.extra_info.update(ratios)
    with capsys.disabled():
        print(report)
