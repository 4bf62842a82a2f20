"""A map of bytes to bytes in one file: each commit is one record, appended and synced.

A record is its length, its CRC-32 and its body: deletes and puts as length-prefixed
bytes. Opening replays the file; a torn record at its end (the process was killed while it wrote)
is cut off, so that a commit is there whole or not at all.
"""

from __future__ import annotations

import asyncio
import bisect
import fcntl
import os
import struct
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Self

from prbkit.errors import StoreError

HEAD = struct.Struct(">QI")
PART = struct.Struct(">II")
DELETED = 0xFFFFFFFF
LONGEST_KEY = 511


class LogStore:
    """Keeps everything in memory too: for small chains, and for reading as an example."""

    def __init__(self, url: str, path: Path) -> None:
        self.url = url
        self._path = path
        self._file: BinaryIO | None = None
        self._values: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []
        self._writing = asyncio.Lock()

    async def open(self) -> None:
        await asyncio.to_thread(self._replay)

    async def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            self._values, self._keys = {}, []

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def get(self, key: bytes) -> bytes | None:
        self._check_open()
        return self._values.get(key)

    async def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        self._check_open()
        return [self._values.get(key) for key in keys]

    async def commit(self, puts: Mapping[bytes, bytes], deletes: Sequence[bytes] = ()) -> None:
        self._check_open()
        if not all(0 < len(key) <= LONGEST_KEY for key in puts):
            raise StoreError(f"keys have 1 to {LONGEST_KEY} bytes", where=self.url)
        body = b"".join(_parts(puts, deletes))
        async with self._writing:
            await asyncio.to_thread(self._append, HEAD.pack(len(body), zlib.crc32(body)) + body)
            self._apply(puts, deletes)

    async def scan(
        self,
        start: bytes = b"",
        stop: bytes | None = None,
        *,
        reverse: bool = False,
        keys_only: bool = False,
    ) -> AsyncIterator[tuple[bytes, bytes]]:
        self._check_open()
        first = bisect.bisect_left(self._keys, start)
        last = len(self._keys) if stop is None else bisect.bisect_left(self._keys, stop)
        keys = self._keys[first:last]
        for key in reversed(keys) if reverse else keys:
            value = self._values.get(key)
            if value is not None:
                yield key, b"" if keys_only else value

    async def size(self) -> int:
        self._check_open()
        return self._path.stat().st_size

    # -------------------------------------------------------------------------------------------

    def _check_open(self) -> None:
        if self._file is None:
            raise StoreError("the store is not open", where=self.url)

    def _replay(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self._path, "a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(
                "another process writes this store", where=self.url, hint="stop it first"
            ) from None
        self._file.seek(0)
        good = 0
        while len(head := self._file.read(HEAD.size)) == HEAD.size:
            length, crc = HEAD.unpack(head)
            body = self._file.read(min(length, os.fstat(self._file.fileno()).st_size))
            if len(body) != length or zlib.crc32(body) != crc:
                break
            puts, deletes = _read(body)
            self._apply(puts, deletes)
            good = self._file.tell()
        self._file.truncate(good)

    def _append(self, record: bytes) -> None:
        end = self._file.seek(0, os.SEEK_END)
        try:
            self._file.write(record)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(end)
            raise StoreError(f"cannot write: {error.strerror}", where=self.url) from error

    def _apply(self, puts: Mapping[bytes, bytes], deletes: Sequence[bytes]) -> None:
        for key in deletes:
            if self._values.pop(key, None) is not None:
                del self._keys[bisect.bisect_left(self._keys, key)]
        for key, value in puts.items():
            if key not in self._values:
                bisect.insort(self._keys, key)
            self._values[key] = bytes(value)


def _parts(puts: Mapping[bytes, bytes], deletes: Sequence[bytes]) -> Iterator[bytes]:
    for key in deletes:
        yield PART.pack(len(key), DELETED) + key
    for key, value in puts.items():
        yield PART.pack(len(key), len(value)) + key + value


def _read(body: bytes) -> tuple[dict[bytes, bytes], list[bytes]]:
    puts: dict[bytes, bytes] = {}
    deletes: list[bytes] = []
    at = 0
    while at < len(body):
        key_length, value_length = PART.unpack_from(body, at)
        at += PART.size
        key = body[at : at + key_length]
        at += key_length
        if value_length == DELETED:
            deletes.append(key)
        else:
            puts[key] = body[at : at + value_length]
            at += value_length
    return puts, deletes
