"""Blobs in LMDB: one writing process, any number of reading ones, each commit whole and on disk.

LMDB maps its file into memory, so a read is a page fault at worst and a commit is an fsync; both
go to threads. What LMDB leaves to its user is done here: the map grows by itself (also when
another process grew it), a second writer is refused at `open` rather than left waiting, and a
file that was cut off gets its missing pages back as zeros, since reading beyond the end of a
mapped file kills the process where a zero page is an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, Self, TypeVar
from urllib.parse import parse_qs

import lmdb

from prbkit.errors import ConfigError, StoreError

__all__ = ["LmdbStore"]

_T = TypeVar("_T")

_MAX_KEY = 511
_MIN_MAP = 64 << 20
_GROWTH = 1 << 30
_PAGE_ROWS = 512
_PAGE_BYTES = 4 << 20
_READERS = 4
_NO_ROOM = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT})


class LmdbStore:
    """A `prbkit.interfaces.BlobStore` in an LMDB environment.

    :param path: the environment's directory; made by a writer if it is missing.
    :param read_only: open beside a writer, in another process.
    :param map_size: bytes to map at first; grows as needed.
    """

    def __init__(
        self,
        path: Path,
        *,
        url: str | None = None,
        read_only: bool = False,
        map_size: int = _MIN_MAP,
    ) -> None:
        self.url = url or f"lmdb:{path}"
        self.path = path
        self.read_only = read_only
        self._map_size = map_size
        self._env: Any = None
        self._file: IO[bytes] | None = None
        self._gate = _Gate()
        self._readers: ThreadPoolExecutor | None = None
        self._writer: ThreadPoolExecutor | None = None

    @classmethod
    def from_url(cls, url: str, data_dir: Path) -> Self:
        """Make a store from ``lmdb:PATH`` (its query ``mode=ro`` opens it for reading only)."""
        path, _, query = url.removeprefix("lmdb:").removeprefix("//").partition("?")
        options = parse_qs(query, keep_blank_values=True)
        mode = options.pop("mode", ["rw"])[-1]
        if not path or options or mode not in ("ro", "rw"):
            raise ConfigError(
                f"{url!r} is not a store's URL", hint="write lmdb:PATH or lmdb:PATH?mode=ro"
            )
        return cls(data_dir / Path(path).expanduser(), url=url, read_only=mode == "ro")

    # --- life ---

    async def open(self) -> None:
        """Open the environment. Raises `StoreError`, also where another process writes to it."""
        if self._env is not None:
            return
        await asyncio.to_thread(self._open)
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="lmdb-read")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="lmdb-write")

    async def close(self) -> None:
        env, self._env = self._env, None
        if env is None:
            return
        readers, writer = self._readers, self._writer
        self._readers = self._writer = None

        def shut() -> None:
            for pool in (readers, writer):
                if pool is not None:
                    pool.shutdown(wait=True)
            env.close()
            if self._file is not None:
                self._file.close()
                self._file = None

        await asyncio.shield(asyncio.to_thread(shut))

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def _open(self) -> None:
        data = self.path / "data.mdb"
        with self._translated():
            if self.read_only:
                if not data.exists():
                    raise StoreError(
                        "there is no store to read", where=str(self.path), hint="check `store`"
                    )
            else:
                self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._lock()
            try:
                existing = data.stat().st_size if data.exists() else 0
                size = max(self._map_size, _rounded(existing))
                env = lmdb.open(
                    str(self.path),
                    map_size=size,
                    readonly=self.read_only,
                    max_readers=1024,
                    readahead=False,
                    meminit=False,
                    create=not self.read_only,
                )
                try:
                    self._complete(env, data)
                except BaseException:
                    env.close()
                    raise
            except BaseException:
                if self._file is not None:
                    self._file.close()
                    self._file = None
                raise
        self._env = env

    def _lock(self) -> None:
        """Be the only writer: the lock ends with the process, however that ends."""
        file = (self.path / "writer.lock").open("a+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            owner = file.read(20).decode("ascii", "replace").strip() or "unknown"
            file.close()
            raise StoreError(
                f"another process ({owner}) writes to this store",
                where=str(self.path),
                hint="stop it, or open the store with ?mode=ro",
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()).encode())
        file.flush()
        self._file = file

    def _complete(self, env: Any, data: Path) -> None:
        """Make sure that every page that LMDB may touch lies inside the file."""
        needed = (env.info()["last_pgno"] + 1) * env.stat()["psize"]
        if data.stat().st_size < needed:
            if self.read_only:
                raise StoreError(
                    "the store's file is shorter than its content",
                    where=str(data),
                    hint="stop readers and run `prbkit fsck`; it may have been cut off",
                )
            os.truncate(data, needed)

    # --- reading ---

    async def get(self, key: bytes) -> bytes | None:
        return (await self.get_many((key,)))[0]

    async def get_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        wanted = [bytes(key) if 1 <= len(key) <= _MAX_KEY else None for key in keys]

        def read(txn: Any) -> list[bytes | None]:
            return [None if key is None else txn.get(key) for key in wanted]

        return await self._read(read)

    async def scan(
        self,
        start: bytes = b"",
        stop: bytes | None = None,
        *,
        reverse: bool = False,
        keys_only: bool = False,
    ) -> AsyncIterator[tuple[bytes, bytes]]:
        while True:
            low, high = start, stop

            def read(
                txn: Any, low: bytes = low, high: bytes | None = high
            ) -> tuple[list[tuple[bytes, bytes]], bool]:
                return _page(txn, low, high, reverse=reverse, keys_only=keys_only)

            rows, more = await self._read(read)
            for row in rows:
                yield row
            if not more:
                return
            if reverse:
                stop = rows[-1][0]
            else:
                start = rows[-1][0] + b"\0"

    async def size(self) -> int:
        return await self._read(lambda _txn: (self.path / "data.mdb").stat().st_size)

    async def _read(self, function: Callable[[Any], _T]) -> _T:
        readers, env = self._readers, self._env
        if readers is None or env is None:
            raise StoreError("the store is not open", where=self.url)

        def run() -> _T:
            with self._translated():
                for _ in range(8):
                    try:
                        with self._gate.shared(), env.begin() as txn:
                            return function(txn)
                    except lmdb.MapResizedError:
                        with self._gate.alone():
                            env.set_mapsize(0)
            raise StoreError("the store grows faster than it can be read", where=self.url)

        return await asyncio.get_running_loop().run_in_executor(readers, run)

    # --- writing ---

    async def commit(self, puts: Mapping[bytes, bytes], deletes: Sequence[bytes] = ()) -> None:
        writer, env = self._writer, self._env
        if writer is None or env is None:
            raise StoreError("the store is not open", where=self.url)
        if self.read_only:
            raise StoreError("the store is open for reading only", where=self.url)
        for key in (*puts, *deletes):
            if not 1 <= len(key) <= _MAX_KEY:
                raise StoreError(
                    f"a key has 1 to {_MAX_KEY} bytes, this one {len(key)}", where=self.url
                )
        items = sorted((bytes(key), value) for key, value in puts.items())
        gone = [bytes(key) for key in deletes]
        task = asyncio.get_running_loop().run_in_executor(
            writer, lambda: self._commit(env, items, gone)
        )
        # A cancelled caller must not leave the question open whether its commit happened.
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task])
            raise

    def _commit(self, env: Any, items: list[tuple[bytes, bytes]], gone: list[bytes]) -> None:
        with self._translated():
            while True:
                try:
                    with self._gate.shared():
                        with env.begin(write=True) as txn:
                            for key in gone:
                                txn.delete(key)
                            for key, value in items:
                                txn.put(key, value)
                        self._complete(env, self.path / "data.mdb")
                    return
                except lmdb.MapFullError:
                    more = sum(len(key) + len(value) + 64 for key, value in items)
                    with self._gate.alone():
                        env.set_mapsize(_rounded(env.info()["map_size"] + 2 * more))
                except lmdb.MapResizedError:
                    with self._gate.alone():
                        env.set_mapsize(0)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what LMDB and the system raise into `StoreError`s that say what to do."""
        try:
            yield
        except (lmdb.CorruptedError, lmdb.InvalidError, lmdb.PageNotFoundError) as error:
            raise StoreError(
                f"the store is corrupt: {error}",
                where=str(self.path),
                hint="run `prbkit fsck`, then `prbkit repair`, or remove the store and sync again",
            ) from error
        except lmdb.VersionMismatchError as error:
            raise StoreError(
                f"the store was written by another version of LMDB: {error}", where=str(self.path)
            ) from error
        except (lmdb.Error, OSError) as error:
            if self._is_no_room(error):
                raise StoreError(
                    "no room is left on the disk",
                    where=str(self.path),
                    hint="free some: nothing was lost, and the bridge goes on by itself",
                ) from error
            raise StoreError(f"the store failed: {error}", where=str(self.path)) from error

    def _is_no_room(self, error: Exception) -> bool:
        """Tell a full disk from a broken one.

        LMDB reports the write that came out short as EIO, so the disk itself is asked.
        """
        if isinstance(error, OSError):
            return error.errno in _NO_ROOM
        text = str(error)
        if any(os.strerror(number) in text for number in _NO_ROOM):
            return True
        if os.strerror(errno.EIO) not in text or not hasattr(os, "posix_fallocate"):
            return False
        probe = self.path / "room.probe"
        try:
            with probe.open("wb") as file:
                os.posix_fallocate(file.fileno(), (self.path / "data.mdb").stat().st_size, 1 << 20)
        except OSError as failed:
            return failed.errno in _NO_ROOM
        finally:
            probe.unlink(missing_ok=True)
        return False


class _Gate:
    """Many threads inside transactions, or one alone to change the map's size."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._waiting = 0

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting == 0)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        with self._changed:
            self._waiting += 1
            try:
                self._changed.wait_for(lambda: self._inside == 0)
                yield
            finally:
                self._waiting -= 1
                self._changed.notify_all()


def _page(
    txn: Any, low: bytes, high: bytes | None, *, reverse: bool, keys_only: bool
) -> tuple[list[tuple[bytes, bytes]], bool]:
    """One page of a scan, bounded by rows and bytes; and whether more may follow."""
    rows: list[tuple[bytes, bytes]] = []
    taken = 0
    with txn.cursor() as cursor:
        if reverse:
            found = cursor.set_range(high) if high is not None else cursor.last()
            if high is not None:
                found = cursor.prev() if found else cursor.last()
        else:
            found = cursor.set_range(low) if low else cursor.first()
        while found:
            key = cursor.key()
            if key < low if reverse else high is not None and key >= high:
                return rows, False
            value = b"" if keys_only else cursor.value()
            rows.append((key, value))
            taken += len(key) + len(value)
            if len(rows) == _PAGE_ROWS or taken >= _PAGE_BYTES:
                return rows, True
            found = cursor.prev() if reverse else cursor.next()
    return rows, False


def _rounded(size: int) -> int:
    """The next map size that holds `size`: doubling when small, by whole GiB when big."""
    rounded = _MIN_MAP
    while rounded < size and rounded < _GROWTH:
        rounded *= 2
    return max(rounded, -(-size // _GROWTH) * _GROWTH if size > _GROWTH else rounded)
