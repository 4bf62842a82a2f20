"""The tables of the inventory and how an older database is brought up to them.

`PRAGMA user_version` counts the migrations that a database has seen; each runs once, in order, in
one transaction with the raising of that count.
"""

from __future__ import annotations

import aiosqlite

from prbkit.errors import InventoryError

__all__ = ["MIGRATIONS", "migrate"]

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # A stake exceeds SQLite's 64-bit integers, so it is kept as decimal text.
        """
        CREATE TABLE pool (
            uuid TEXT PRIMARY KEY,
            pid INTEGER NOT NULL UNIQUE,
            name TEXT NOT NULL UNIQUE,
            enabled INTEGER NOT NULL,
            sync_only INTEGER NOT NULL,
            operator BLOB,
            sealed BLOB,
            owner BLOB
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE worker (
            uuid TEXT PRIMARY KEY,
            pool TEXT NOT NULL REFERENCES pool (uuid) ON DELETE CASCADE,
            name TEXT NOT NULL UNIQUE,
            endpoint TEXT NOT NULL,
            stake TEXT NOT NULL,
            enabled INTEGER NOT NULL,
            sync_only INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX worker_pool ON worker (pool)",
    ),
)


async def migrate(connection: aiosqlite.Connection, where: str) -> None:
    """Bring a database up to the newest schema, all or nothing.

    :param connection: in autocommit mode.
    :raises InventoryError: if a newer prbkit has made it.
    """
    await connection.execute("BEGIN IMMEDIATE")
    try:
        async with connection.execute("PRAGMA user_version") as cursor:
            row = await cursor.fetchone()
        version = int(row[0]) if row else 0
        if version > len(MIGRATIONS):
            raise InventoryError(
                f"the inventory has schema {version}, this prbkit knows {len(MIGRATIONS)}",
                where=where,
                hint="run the prbkit that made it, or a newer one",
            )
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                await connection.execute(statement)
        await connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        await connection.execute("COMMIT")
    except BaseException:
        await connection.execute("ROLLBACK")
        raise
