"""SQLite for asyncio: whole transactions on a thread of their own.

A transaction is a plain function over the connection, run from BEGIN to COMMIT without the event
loop in between, so that no other task gets into it and it costs one hop to the thread.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, TypeVar

from prbkit.errors import StoreError

__all__ = ["Database"]

T = TypeVar("T")


class Database:
    """One SQLite file, in WAL mode, one connection.

    :param path: the file; its folder is made.
    :param schema: statements that are run at each open (``CREATE … IF NOT EXISTS``).
    :param synchronous: FULL syncs the disk at each commit; NORMAL may lose the last commits when
        the machine loses power, never when a process dies, and never breaks the file.
    :param exclusive: no other process may open the file meanwhile.
    :param busy_timeout: seconds to wait for another process's transaction.
    """

    def __init__(
        self,
        path: Path,
        schema: str,
        *,
        synchronous: Literal["NORMAL", "FULL"] = "NORMAL",
        exclusive: bool = False,
        busy_timeout: float = 10.0,
    ) -> None:
        self.path = path
        self._schema = schema
        self._synchronous = synchronous
        self._exclusive = exclusive
        self._busy_timeout = busy_timeout
        self._connection: sqlite3.Connection | None = None
        self._thread: ThreadPoolExecutor | None = None

    async def open(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"sqlite-{self.path.name}")
        try:
            await self._in_thread(self._open)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close; what runs is finished first. May be called twice."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        # On the thread, and so after an open that was cancelled but still runs there.
        thread.submit(self._close)
        await asyncio.to_thread(thread.shutdown, wait=True)

    async def write(self, transaction: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function as one writing transaction; what it raises rolls back.

        A cancelled caller leaves the transaction to end by itself, whole.
        """
        return await self._in_thread(lambda: self._transact(transaction))

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function that only reads."""
        return await self._in_thread(lambda: query(self._live()))

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            self.path,
            timeout=self._busy_timeout,
            isolation_level=None,
            check_same_thread=False,
        )
        self._connection = connection
        if self._exclusive:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        self._transact(lambda c: [c.execute(s) for s in self._schema.split(";") if s.strip()])

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _live(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError("the database is closed", where=str(self.path))
        return self._connection

    def _transact(self, transaction: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._live()
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = transaction(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return result

    async def _in_thread(self, function: Callable[[], T]) -> T:
        if self._thread is None:
            raise StoreError("the database is closed", where=str(self.path))
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, function)
        except sqlite3.Error as error:
            raise StoreError(f"SQLite: {error}", where=str(self.path)) from error
