"""The trade queue in Redis, against a real redis-redis_server."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from prbkit.errors import ConfigError, QueueError
from prbkit.interfaces import JobState, TradeQueue
from prbkit.testing.contracts.trade_queue import MakeQueue, TradeQueueContract, job, leased, record
from prbkit_plugins import redis_queue

pytest.importorskip("redis", reason="the extra [redis] is not installed")

from prbkit_plugins.redis_queue.queue import RedisQueue

from .server import Server


class TestRedisQueue(TradeQueueContract):
    @pytest.fixture
    def make_queue(self, redis_server: Server) -> MakeQueue:
        def make(space: str, *, lease: float = 600.0, history: int = 10_000) -> TradeQueue:
            return RedisQueue(redis_server.url, name=space, lease=lease, history=history)

        return make


def test_the_plugin_claims_its_schemes_alone() -> None:
    settings = SimpleNamespace()
    assert redis_queue.prbkit_trade_queue("sqlite:queue.db", settings) is None
    queue = redis_queue.prbkit_trade_queue("redis://u:secret@host:1/2?lease=5&name=x", settings)
    assert queue.url == "redis://host:1/2"
    for wrong in ("redis://h?lease=x", "redis://h?history=0"):
        with pytest.raises(ConfigError):
            redis_queue.prbkit_trade_queue(wrong, settings)


async def test_nobody_gets_a_lease_for_its_time_after_redis_was_started_again(
    redis_server: Server,
) -> None:
    async with (
        RedisQueue(redis_server.url, name="lease") as old,
        RedisQueue(redis_server.url, name="lease") as new,
    ):
        term = await leased(old, "trader", "old", 0.4)
        redis_server.kill()
        redis_server.start()
        for queue in (old, new):
            with suppress(QueueError):
                await queue.lease("trader", "old", 0.4)
        before = time.monotonic()
        assert await new.lease("trader", "new", 0.4) is None
        assert await old.lease("trader", "old", 0.4) is None
        assert await leased(new, "trader", "new", 0.4) != term
        assert time.monotonic() - before >= 0.3
        await new._redis.flushall()
        assert await new.lease("trader", "new", 60.0) is None


async def test_a_server_that_is_not_there_is_an_error_of_the_queue(tmp_path: Path) -> None:
    queue = RedisQueue(f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(QueueError, match="cannot be reached"):
        await queue.open()
    await queue.close()


async def test_it_goes_on_when_redis_comes_back_empty(redis_server: Server) -> None:
    async with (
        RedisQueue(redis_server.url, name="reborn") as producer,
        RedisQueue(redis_server.url, name="reborn") as trader,
    ):
        await producer.put(job("a"))
        await producer.put(job("b"))
        assert await trader.take("t", 1, 0) == [job("a")]

        redis_server.kill()
        with pytest.raises(QueueError):
            await trader.take("t", 1, 0)
        with pytest.raises(QueueError):
            await producer.put(job("c"))
        redis_server.start()

        assert await producer.get("a") is None
        # What was on its way is not made known by a report, so its producer puts it again …
        await trader.report([record(job("a"), JobState.SUBMITTED)])
        assert await producer.get("a") is None
        assert await producer.put(job("a"))
        # … and the trader, asked again, answers with what became of it.
        assert await trader.take("t", 5, 10) == [job("a")]
        await trader.report([record(job("a"), JobState.FINALIZED)])
        assert await producer.get("a") == record(job("a"), JobState.FINALIZED)
        assert not await trader.take("t", 5, 0)


async def test_redis_may_be_flushed_while_a_trader_waits(redis_server: Server) -> None:
    async with RedisQueue(redis_server.url, name="flush") as queue:
        assert not await queue.take("t", 1, 0)
        await queue._redis.flushall()
        await queue.put(job("a"))
        assert await queue.take("t", 1, 10) == [job("a")]


async def test_nothing_is_left_of_ended_jobs_in_the_stream(redis_server: Server) -> None:
    async with RedisQueue(redis_server.url, name="bounded", history=3) as queue:
        for number in range(20):
            await queue.put(job(f"{number}"))
        for each in await queue.take("t", 20, 0):
            await queue.report([record(each, JobState.FINALIZED)])
        sizes = {
            "stream": await queue._redis.xlen(queue._keys[0]),
            "pending": (await queue._redis.xpending(queue._keys[0], "traders"))["pending"],
            "records": await queue._redis.hlen(queue._keys[1]),
            "entries": await queue._redis.hlen(queue._keys[3]),
            "index": await queue._redis.zcard(queue._keys[4]),
        }
        assert sizes == {"stream": 0, "pending": 0, "records": 3, "entries": 0, "index": 3}
        assert not queue._held
