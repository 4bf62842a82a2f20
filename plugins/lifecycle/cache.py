"""A cache of what workers share, bounded by bytes, number and age; equal fetches are made once."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

__all__ = ["SharedCache"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Entry:
    value: Any
    size: int
    expires: float


class SharedCache:
    """The least recently used goes first.

    :param most_bytes: of all values together; what is bigger by itself is not kept.
    :param most_entries: number of values.
    :param age: seconds after which a value is fetched anew.
    """

    def __init__(
        self,
        *,
        most_bytes: int,
        most_entries: int,
        age: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most_bytes = most_bytes
        self._most_entries = most_entries
        self._age = age
        self._clock = clock
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._fetching: dict[Hashable, asyncio.Task[Any]] = {}
        self.size = 0
        """Bytes held."""

    def __len__(self) -> int:
        return len(self._entries)

    async def get(self, key: Hashable, fetch: Callable[[], Awaitable[tuple[T, int]]]) -> T:
        """The value of a key, from `fetch` (value and its bytes) where it is not there.

        Who asks for a key that is being fetched waits for that fetch, which goes on when one of
        them is cancelled.
        """
        entry = self._entries.get(key)
        if entry is not None:
            if entry.expires > self._clock():
                self._entries.move_to_end(key)
                value: T = entry.value
                return value
            self._drop(key)
        task = self._fetching.get(key)
        if task is None:
            task = asyncio.ensure_future(self._fetch(key, fetch))
            self._fetching[key] = task
            task.add_done_callback(lambda done: self._fetched(key, done))
        fetched: T = await asyncio.shield(task)
        return fetched

    async def close(self) -> None:
        """End what is being fetched and let go of everything."""
        tasks = list(self._fetching.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._entries.clear()
        self.size = 0

    async def _fetch(self, key: Hashable, fetch: Callable[[], Awaitable[tuple[T, int]]]) -> T:
        value, size = await fetch()
        if size <= self._most_bytes and self._most_entries:
            self._entries[key] = _Entry(value, size, self._clock() + self._age)
            self.size += size
            while self.size > self._most_bytes or len(self._entries) > self._most_entries:
                self._drop(next(iter(self._entries)))
        return value

    def _fetched(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        del self._fetching[key]
        if not task.cancelled():
            task.exception()  # all who asked may be gone

    def _drop(self, key: Hashable) -> None:
        self.size -= self._entries.pop(key).size
