"""The trader over Redis, killed and emptied, while the trader dies too."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from prbkit.errors import QueueError
from prbkit.interfaces import TradeJob, TradeQueue
from prbkit.scale import Metadata
from tests.plugins.redis_queue.server import Server

from .fakechain import FakeChain
from .test_service import context, remark, trading

pytest.importorskip("redis", reason="the extra [redis] is not installed")

from prbkit_plugins.redis_queue.queue import RedisQueue


async def put_what_is_unknown(queue: TradeQueue, jobs: list[TradeJob]) -> int:
    """Do as a lifecycle manager: put what the queue does not know; the number not ended."""
    left = 0
    for job in jobs:
        try:
            record = await queue.get(job.key)
            if record is None:
                await queue.put(job)
            left += record is None or not record.state.final
        except QueueError:
            return len(jobs)
    return left


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", range(4))
async def test_each_call_once_while_redis_and_the_trader_die(
    md: Metadata,
    tmp_path: Path,
    redis_server: Server,
    seed: int,
) -> None:
    chain = FakeChain(md, seed=seed, fault=0.1)
    chance = chain.random
    jobs = [remark(md, f"{seed}/{n}") for n in range(15)]
    async with RedisQueue(redis_server.url, name=f"trader{seed}") as producer:
        left = len(jobs)
        for life in range(60):
            if life > 20:
                chain.fault = 0.0
            async with (
                RedisQueue(redis_server.url, name=f"trader{seed}") as queue,
                trading(context(chain, queue, tmp_path, batch_calls=3, lease=0.05)) as running,
            ):
                for _ in range(chance.randrange(2, 20)):
                    left = await put_what_is_unknown(producer, jobs)
                    if life < 20 and chance.random() < 0.05:
                        redis_server.kill()
                        await chain.step()
                        await asyncio.to_thread(redis_server.start)
                    await asyncio.sleep(0.002)
                    if running.done():
                        running.result()
                    await chain.step()
            if life > 10 and not left:
                break
        assert not left
    assert sorted(r for _, r in chain.ledger) == sorted(job.key.encode() for job in jobs)
