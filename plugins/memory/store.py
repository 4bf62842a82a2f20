"""A blob store in the process's own memory: the model that the durable ones are measured by.

Its content lives as long as the object, through `close` and `open` too.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Self

from prbkit.errors import StoreError

__all__ = ["MemoryStore"]

_MAX_KEY = 511
_PAGE = 256


class MemoryStore:
    """A `prbkit.interfaces.BlobStore` over a dict and a sorted list of its keys."""

    def __init__(self, url: str = "memory:") -> None:
        self.url = url
        self._values: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []
        self._size = 0
        self._open = False

    async def open(self) -> None:
        self._open = True

    async def close(self) -> None:
        self._open = False

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def get(self, key: bytes) -> bytes | None:
        self._check()
        return self._values.get(key)

    async def get_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        self._check()
        return [self._values.get(key) for key in keys]

    async def commit(self, puts: Mapping[bytes, bytes], deletes: Sequence[bytes] = ()) -> None:
        self._check()
        for key in (*puts, *deletes):
            if not 1 <= len(key) <= _MAX_KEY:
                raise StoreError(
                    f"a key has 1 to {_MAX_KEY} bytes, this one {len(key)}", where=self.url
                )
        for key in deletes:
            value = self._values.pop(key, None)
            if value is not None:
                self._size -= len(key) + len(value)
                del self._keys[bisect_left(self._keys, key)]
        for key, value in puts.items():
            old = self._values.get(key)
            if old is None:
                insort(self._keys, bytes(key))
                self._size += len(key)
            else:
                self._size -= len(old)
            self._values[bytes(key)] = bytes(value)
            self._size += len(value)

    async def scan(
        self,
        start: bytes = b"",
        stop: bytes | None = None,
        *,
        reverse: bool = False,
        keys_only: bool = False,
    ) -> AsyncIterator[tuple[bytes, bytes]]:
        while True:
            self._check()
            low = bisect_left(self._keys, start)
            high = len(self._keys) if stop is None else bisect_left(self._keys, stop)
            if low >= high:
                return
            page = (
                self._keys[max(low, high - _PAGE) : high]
                if reverse
                else self._keys[low:high][:_PAGE]
            )
            rows = [(key, b"" if keys_only else self._values[key]) for key in page]
            if reverse:
                rows.reverse()
                stop = page[0]
            else:
                start = page[-1] + b"\0"
            for row in rows:
                yield row

    async def size(self) -> int:
        self._check()
        return self._size

    def _check(self) -> None:
        if not self._open:
            raise StoreError("the store is not open", where=self.url)
