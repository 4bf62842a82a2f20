"""The cache that workers share."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbkit_plugins.lifecycle.cache import SharedCache

from .fakes import Clock


def make(most_bytes: int = 100, most_entries: int = 10) -> tuple[SharedCache, Clock]:
    clock = Clock()
    cache = SharedCache(most_bytes=most_bytes, most_entries=most_entries, age=60, clock=clock)
    return cache, clock


async def test_equal_fetches_are_made_once() -> None:
    cache, _ = make()
    ready, fetches = asyncio.Event(), 0

    async def fetch() -> tuple[str, int]:
        nonlocal fetches
        fetches += 1
        await ready.wait()
        return "value", 5

    waiting = [asyncio.ensure_future(cache.get("key", fetch)) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    ready.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert results[1:] == ["value"] * 4
    assert await cache.get("key", fetch) == "value"
    assert fetches == 1


async def test_a_failed_fetch_fails_all_and_is_made_again() -> None:
    cache, _ = make()
    answers: list[Exception | str] = [ValueError("no"), "yes"]

    async def fetch() -> tuple[str, int]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer, 1

    results = await asyncio.gather(
        *(cache.get("key", fetch) for _ in range(2)), return_exceptions=True
    )
    assert [type(result) for result in results] == [ValueError] * 2
    assert await cache.get("key", fetch) == "yes"


async def test_an_old_value_is_fetched_anew() -> None:
    cache, clock = make()
    fetches = 0

    async def fetch() -> tuple[int, int]:
        nonlocal fetches
        fetches += 1
        return fetches, 1

    assert await cache.get("key", fetch) == 1
    clock.now += 59
    assert await cache.get("key", fetch) == 1
    clock.now += 2
    assert await cache.get("key", fetch) == 2


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 60)), max_size=60), st.integers(0, 8))
async def test_its_bounds_hold_at_all_times(gets: list[tuple[int, int]], entries: int) -> None:
    cache, _ = make(most_bytes=100, most_entries=entries)
    for key, size in gets:

        async def fetch(size: int = size) -> tuple[bytes, int]:
            return bytes(size), size

        await cache.get(key, fetch)
        assert 0 <= cache.size <= 100
        assert len(cache) <= entries


async def test_closing_ends_what_is_being_fetched() -> None:
    cache, _ = make()

    async def fetch() -> tuple[str, int]:
        await asyncio.Event().wait()
        return "", 0

    waiting = asyncio.ensure_future(cache.get("key", fetch))
    await asyncio.sleep(0)
    await cache.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
