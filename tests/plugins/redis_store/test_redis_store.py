"""The blob store in Redis, against a real redis-server: the contract, and who may write."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from prbkit.errors import ConfigError, StoreError
from prbkit.interfaces import BlobStore
from prbkit.testing.contracts.blob_store import BlobStoreContract
from prbkit_plugins import redis_store
from tests.plugins.redis_queue.server import Server

pytest.importorskip("redis", reason="the extra [redis] is not installed")

from prbkit_plugins.redis_store.store import RedisStore


class TestRedisStore(BlobStoreContract):
    url: ClassVar[str] = ""

    @pytest.fixture(autouse=True)
    def _server(self, redis_server: Server, tmp_path: Path) -> None:
        type(self).url = redis_server.url
        (tmp_path / "url").write_text(redis_server.url)

    def make_store(self, directory: Path, *, read_only: bool = False) -> BlobStore:
        # A child that opens the store has not run the fixture.
        told = directory / "url"
        url = told.read_text() if told.exists() else type(self).url
        return RedisStore(url, name=str(directory), lease=2.0, read_only=read_only)


def test_the_plugin_claims_its_schemes_alone() -> None:
    settings: Any = SimpleNamespace()
    assert redis_store.prbkit_blob_store("lmdb:blobs", settings) is None
    store = redis_store.prbkit_blob_store("redis://u:secret@host:1/2?lease=5&name=x", settings)
    assert store is not None
    assert store.url == "redis://host:1/2"
    assert "secret" not in repr(store)
    for wrong in ("redis://h?lease=x", "redis://h?lease=0", "redis://h?mode=w"):
        with pytest.raises(ConfigError):
            redis_store.prbkit_blob_store(wrong, settings)


async def test_a_server_that_is_not_there_is_an_error_of_the_store(tmp_path: Path) -> None:
    store = RedisStore(f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(StoreError, match="cannot be reached"):
        await store.open()
    await store.close()


async def test_who_lost_the_store_to_another_writes_no_more(redis_server: Server) -> None:
    first = RedisStore(redis_server.url, name="lost", lease=60.0)
    second = RedisStore(redis_server.url, name="lost", lease=60.0)
    async with first:
        await first.commit({b"a": b"1"})
        lease = first._keys[0]
        await first._redis.delete(lease)  # as if its time had run out
        async with second:
            await second.commit({b"a": b"2"})
            with pytest.raises(StoreError, match="taken the store over"):
                await first.commit({b"a": b"3"})
        # Not even after the other has gone: what it wrote is unknown here.
        with pytest.raises(StoreError, match="taken the store over"):
            await first.commit({b"a": b"3"})
        assert await first.get(b"a") == b"2"


async def test_a_lease_that_ran_out_unnoticed_is_taken_up_again(redis_server: Server) -> None:
    async with RedisStore(redis_server.url, name="again", lease=60.0) as store:
        await store._redis.delete(store._keys[0])
        await store.commit({b"a": b"1"})
        assert await store._redis.pttl(store._keys[0]) > 0
    # Who closes gives it back at once.
    async with asyncio.timeout(30), RedisStore(redis_server.url, name="again") as store:
        assert await store.get(b"a") == b"1"
