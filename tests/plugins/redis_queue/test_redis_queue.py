"""The trade queue in Redis, against a real redis-server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from prbkit.errors import ConfigError, QueueError
from prbkit.interfaces import JobState, TradeQueue
from prbkit.testing.contracts.trade_queue import MakeQueue, TradeQueueContract, job, record
from prbkit_plugins import redis_queue

pytest.importorskip("redis", reason="the extra [redis] is not installed")

from prbkit_plugins.redis_queue.queue import RedisQueue


class Server:
    """A redis-server of one's own on a Unix socket, with nothing on disk."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = ["redis-server", "--port", "0", "--unixsocket", str(self.socket)]
        command += ["--save", "", "--appendonly", "no", "--dir", str(self._folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        for _ in range(500):
            with socket.socket(socket.AF_UNIX) as client:
                if client.connect_ex(str(self.socket)) == 0:
                    return
            time.sleep(0.01)
        raise RuntimeError("redis-server did not start")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None
        self.socket.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if shutil.which("redis-server") is None:
        reason = "redis-server is not installed"
        if os.environ.get("PRBKIT_REQUIRE_DATA") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    server = Server(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


class TestRedisQueue(TradeQueueContract):
    @pytest.fixture
    def make_queue(self, server: Server) -> MakeQueue:
        def make(space: str, *, lease: float = 600.0, history: int = 10_000) -> TradeQueue:
            return RedisQueue(server.url, name=space, lease=lease, history=history)

        return make


def test_the_plugin_claims_its_schemes_alone() -> None:
    settings = SimpleNamespace()
    assert redis_queue.prbkit_trade_queue("sqlite:queue.db", settings) is None
    queue = redis_queue.prbkit_trade_queue("redis://u:secret@host:1/2?lease=5&name=x", settings)
    assert queue.url == "redis://host:1/2"
    for wrong in ("redis://h?lease=x", "redis://h?history=0"):
        with pytest.raises(ConfigError):
            redis_queue.prbkit_trade_queue(wrong, settings)


async def test_a_server_that_is_not_there_is_an_error_of_the_queue(tmp_path: Path) -> None:
    queue = RedisQueue(f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(QueueError, match="cannot be reached"):
        await queue.open()
    await queue.close()


async def test_it_goes_on_when_redis_comes_back_empty(server: Server) -> None:
    async with (
        RedisQueue(server.url, name="reborn") as producer,
        RedisQueue(server.url, name="reborn") as trader,
    ):
        await producer.put(job("a"))
        await producer.put(job("b"))
        assert await trader.take("t", 1, 0) == [job("a")]

        server.kill()
        with pytest.raises(QueueError):
            await trader.take("t", 1, 0)
        with pytest.raises(QueueError):
            await producer.put(job("c"))
        server.start()

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


async def test_redis_may_be_flushed_while_a_trader_waits(server: Server) -> None:
    async with RedisQueue(server.url, name="flush") as queue:
        assert not await queue.take("t", 1, 0)
        await queue._redis.flushall()
        await queue.put(job("a"))
        assert await queue.take("t", 1, 10) == [job("a")]


async def test_nothing_is_left_of_ended_jobs_in_the_stream(server: Server) -> None:
    async with RedisQueue(server.url, name="bounded", history=3) as queue:
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
