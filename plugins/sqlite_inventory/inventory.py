"""Pools and workers in one SQLite file that several processes may have open.

Each change is one immediate transaction. An operator's signer URI is stored sealed under the
bridge's identity, with the pool's uuid as associated data, so that a row copied to another pool
does not open; the account that it signs for stands beside it in clear.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import aiosqlite
from pydantic import SecretStr

from prbkit.errors import Duplicated, IdentityError, InventoryError, NotFound
from prbkit.interfaces import Pool, PoolSpec, Ref, Worker, WorkerSpec

from .schema import migrate
from .validate import check_pool, check_ref, check_worker, owner_account

__all__ = ["Sealer", "SqliteInventory"]

BUSY_TIMEOUT = 5.0
"""Seconds that a statement waits for another process's transaction."""

POLL_INTERVAL = 0.5
"""Seconds between looks at whether another process has changed something."""

_POOL = "SELECT uuid, pid, name, enabled, sync_only, operator, owner FROM pool"
_WORKER = (
    "SELECT worker.uuid, pool.pid, worker.name, endpoint, stake, worker.enabled, worker.sync_only"
    " FROM worker JOIN pool ON pool.uuid = worker.pool"
)


class Sealer(Protocol):
    """The part of `prbkit.identity.Identity` that keeps secrets."""

    def seal(self, plaintext: bytes, associated_data: bytes) -> bytes: ...

    def unseal(self, sealed: bytes, associated_data: bytes) -> bytes: ...


class SqliteInventory:
    """The inventory in an SQLite file, made at the first `open`.

    :param path: the file; its folder must exist or be makeable.
    :param identity: seals and unseals the operators' URIs.
    :param account_of: tells the account that a signer URI signs for.
    """

    def __init__(
        self,
        path: Path,
        *,
        identity: Sealer,
        account_of: Callable[[SecretStr], Awaitable[bytes]],
    ) -> None:
        self.url = f"sqlite:{path}"
        self._path = path
        self._identity = identity
        self._account_of = account_of
        self._connection: aiosqlite.Connection | None = None
        # One connection serves readers and writers: nobody may look into an open transaction.
        self._lock = asyncio.Lock()
        self._changed = asyncio.Condition()
        self._holder: asyncio.Task[Any] | None = None

    async def open(self) -> None:
        if self._connection is not None:
            return
        await asyncio.to_thread(_make_file, self._path)
        connection = await self._connect()
        try:
            await connection.execute("PRAGMA journal_mode = WAL")
            await connection.execute("PRAGMA foreign_keys = ON")
            await connection.execute("PRAGMA secure_delete = ON")
            await migrate(connection, self.url)
        except sqlite3.Error as error:
            await connection.close()
            raise self._failed(error) from error
        except BaseException:
            await connection.close()
            raise
        self._connection = connection

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    # --- reading

    async def pools(self) -> Sequence[Pool]:
        async with self._turn():
            return [_pool(row) for row in await self._fetch(f"{_POOL} ORDER BY pid")]

    async def workers(self) -> Sequence[Worker]:
        async with self._turn():
            return [_worker(row) for row in await self._fetch(f"{_WORKER} ORDER BY worker.name")]

    async def operator_uri(self, pool: Pool) -> SecretStr:
        async with self._turn():
            rows = await self._fetch("SELECT sealed FROM pool WHERE uuid = ?", pool.uuid)
        if not rows:
            raise NotFound(f"there is no pool {pool.name}", where=self.url)
        if rows[0][0] is None:
            raise NotFound(
                f"pool {pool.pid} ({pool.name}) has no operator",
                where=self.url,
                hint=f"give it one: prbkit pool update {pool.pid} --operator-file FILE",
            )
        opened = self._identity.unseal(rows[0][0], associated_data=pool.uuid.encode())
        return SecretStr(opened.decode())

    async def reseal(self, identity: Sealer) -> int:
        """Seal every operator under another identity, in one transaction.

        What was sealed before is overwritten in the file, and the log that held it cut off.
        """
        async with self.together():
            rows = await self._fetch("SELECT uuid, sealed FROM pool WHERE sealed IS NOT NULL")
            for id_, sealed in rows:
                data = str(id_).encode()
                try:
                    identity.unseal(sealed, associated_data=data)
                except IdentityError:
                    opened = self._identity.unseal(sealed, associated_data=data)
                    anew = identity.seal(opened, associated_data=data)
                    await self._update("pool", id_, {"sealed": anew})
        self._identity = identity
        await self._execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return len(rows)

    # --- changing

    async def create_pools(self, specs: Sequence[PoolSpec]) -> Sequence[Pool]:
        for spec in specs:
            check_pool(spec, new=True)
        accounts = [await self._account(spec) for spec in specs]
        made: list[str] = []
        async with self._transaction():
            for spec, account in zip(specs, accounts, strict=True):
                made.append(str(uuid.uuid4()))
                columns: dict[str, Any] = {"enabled": True, "sync_only": False}
                columns |= self._pool_columns(made[-1], spec, account)
                await self._insert("pool", {"uuid": made[-1], **columns})
            return [await self._one_pool("uuid", id_) for id_ in made]

    async def update_pools(self, items: Sequence[tuple[Ref, PoolSpec]]) -> Sequence[Pool]:
        for _, spec in items:
            check_pool(spec, new=False)
        accounts = [await self._account(spec) for _, spec in items]
        changed: list[Pool] = []
        async with self._transaction():
            for (ref, spec), account in zip(items, accounts, strict=True):
                pool = await self._one_pool(*check_ref(ref, pool=True))
                if spec.deleted:
                    await self._execute("DELETE FROM pool WHERE uuid = ?", pool.uuid)
                    changed.append(pool)
                    continue
                await self._update("pool", pool.uuid, self._pool_columns(pool.uuid, spec, account))
                changed.append(await self._one_pool("uuid", pool.uuid))
        return changed

    async def create_workers(self, specs: Sequence[WorkerSpec]) -> Sequence[Worker]:
        for spec in specs:
            check_worker(spec, new=True)
        made: list[str] = []
        async with self._transaction():
            for spec in specs:
                made.append(str(uuid.uuid4()))
                columns: dict[str, Any] = {"stake": "0", "enabled": True, "sync_only": False}
                columns |= await self._worker_columns(spec)
                await self._insert("worker", {"uuid": made[-1], **columns})
            return [await self._one_worker("uuid", id_) for id_ in made]

    async def update_workers(self, items: Sequence[tuple[Ref, WorkerSpec]]) -> Sequence[Worker]:
        for _, spec in items:
            check_worker(spec, new=False)
        changed: list[Worker] = []
        async with self._transaction():
            for ref, spec in items:
                worker = await self._one_worker(*check_ref(ref, pool=False))
                if spec.deleted:
                    await self._execute("DELETE FROM worker WHERE uuid = ?", worker.uuid)
                    changed.append(worker)
                    continue
                await self._update("worker", worker.uuid, await self._worker_columns(spec))
                changed.append(await self._one_worker("uuid", worker.uuid))
        return changed

    async def changes(self) -> AsyncIterator[None]:
        """Yield once at the start and after each change, also those of other processes.

        `PRAGMA data_version` moves when another connection has committed; it is a read of one
        counter in shared memory, so looking twice a second costs nothing. A change of this very
        object is told at once.
        """
        watcher = await self._connect()
        try:
            version = await _data_version(watcher)
            yield
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_INTERVAL), self._changed:
                        await self._changed.wait()
                try:
                    now = await _data_version(watcher)
                except sqlite3.Error as error:
                    raise self._failed(error) from error
                if now != version:
                    version = now
                    yield
        finally:
            await watcher.close()

    # --- inside a transaction

    async def _one_pool(self, column: str, value: str | int) -> Pool:
        rows = await self._fetch(f"{_POOL} WHERE {column} = ?", value)
        if not rows:
            raise NotFound(f"there is no pool with {column} {value}", where=self.url)
        return _pool(rows[0])

    async def _one_worker(self, column: str, value: str | int) -> Worker:
        rows = await self._fetch(f"{_WORKER} WHERE worker.{column} = ?", value)
        if not rows:
            raise NotFound(f"there is no worker with {column} {value}", where=self.url)
        return _worker(rows[0])

    def _pool_columns(self, id_: str, spec: PoolSpec, account: bytes | None) -> dict[str, Any]:
        columns: dict[str, Any] = {
            name: value
            for name in ("pid", "name", "enabled", "sync_only")
            if (value := getattr(spec, name)) is not None
        }
        if spec.owner is not None:
            columns["owner"] = owner_account(spec.owner)
        if spec.operator is not None:
            secret = spec.operator.get_secret_value()
            columns["operator"] = account
            columns["sealed"] = (
                self._identity.seal(secret.encode(), associated_data=id_.encode())
                if secret
                else None
            )
        return columns

    async def _worker_columns(self, spec: WorkerSpec) -> dict[str, Any]:
        columns: dict[str, Any] = {
            name: value
            for name in ("name", "endpoint", "enabled", "sync_only")
            if (value := getattr(spec, name)) is not None
        }
        if spec.stake is not None:
            columns["stake"] = str(spec.stake)
        if spec.pid is not None:
            columns["pool"] = (await self._one_pool("pid", spec.pid)).uuid
        return columns

    async def _account(self, spec: PoolSpec) -> bytes | None:
        if spec.operator is None or not spec.operator.get_secret_value():
            return None
        return await self._account_of(spec.operator)

    async def _insert(self, table: str, columns: dict[str, Any]) -> None:
        # Tables and columns are this module's own words; only values come from outside.
        names = ", ".join(columns)
        marks = ", ".join("?" for _ in columns)
        statement = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608
        await self._execute(statement, *columns.values())

    async def _update(self, table: str, id_: str, columns: dict[str, Any]) -> None:
        if columns:
            sets = ", ".join(f"{name} = ?" for name in columns)
            statement = f"UPDATE {table} SET {sets} WHERE uuid = ?"  # noqa: S608
            await self._execute(statement, *columns.values(), id_)

    # --- the database

    @contextlib.asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        """Make one transaction of all that the task does here meanwhile, reads included."""
        async with self._lock:
            await self._execute("BEGIN IMMEDIATE")
            self._holder = asyncio.current_task()
            try:
                yield
                await self._execute("COMMIT")
            except BaseException:
                with contextlib.suppress(InventoryError):
                    await self._execute("ROLLBACK")
                raise
            finally:
                self._holder = None
        async with self._changed:
            self._changed.notify_all()

    @contextlib.asynccontextmanager
    async def _transaction(self) -> AsyncIterator[None]:
        if self._holder is not asyncio.current_task():
            async with self.together():
                yield
            return
        await self._execute("SAVEPOINT change")
        try:
            yield
        except BaseException:
            with contextlib.suppress(InventoryError):
                await self._execute("ROLLBACK TO change")
            raise
        finally:
            with contextlib.suppress(InventoryError):
                await self._execute("RELEASE change")

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """A look that sees no other task's transaction half done."""
        if self._holder is asyncio.current_task():
            yield
            return
        async with self._lock:
            yield

    async def _connect(self) -> aiosqlite.Connection:
        try:
            connection = await aiosqlite.connect(
                self._path, timeout=BUSY_TIMEOUT, isolation_level=None
            )
        except sqlite3.Error as error:
            raise self._failed(error) from error
        return connection

    async def _fetch(self, statement: str, *values: Any) -> Sequence[sqlite3.Row]:
        try:
            return list(await self._open().execute_fetchall(statement, values))
        except sqlite3.Error as error:
            raise self._failed(error) from error

    async def _execute(self, statement: str, *values: Any) -> None:
        try:
            await self._open().execute(statement, values)
        except sqlite3.IntegrityError as error:
            # "UNIQUE constraint failed: worker.name" is all that SQLite tells.
            column = str(error).rpartition(": ")[2]
            table, _, name = column.partition(".")
            if "UNIQUE" not in str(error) or not name:
                raise self._failed(error) from error
            raise Duplicated(
                f"another {table} has that {name} already",
                where=self.url,
                hint=f"see prbkit {table} list",
            ) from error
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _open(self) -> aiosqlite.Connection:
        if self._connection is None:
            raise InventoryError("the inventory is not open", where=self.url)
        return self._connection

    def _failed(self, error: sqlite3.Error) -> InventoryError:
        return InventoryError(f"SQLite failed: {error}", where=self.url)


def _make_file(path: Path) -> None:
    """Make the file for its owner alone: it holds sealed secrets."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


async def _data_version(connection: aiosqlite.Connection) -> int:
    async with connection.execute("PRAGMA data_version") as cursor:
        row = await cursor.fetchone()
    return int(row[0]) if row else 0


def _pool(row: sqlite3.Row) -> Pool:
    id_, pid, name, enabled, sync_only, operator, owner = row
    return Pool(id_, pid, name, bool(enabled), bool(sync_only), operator, owner)


def _worker(row: sqlite3.Row) -> Worker:
    id_, pid, name, endpoint, stake, enabled, sync_only = row
    return Worker(id_, pid, name, endpoint, int(stake), bool(enabled), bool(sync_only))
