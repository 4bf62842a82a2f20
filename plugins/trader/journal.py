"""The trader's memory: what was signed for which jobs, and what became of each job.

An intent is on disk before a node sees it (SQLite, synchronous=FULL), so after any death the
trader knows every extrinsic that may be somewhere, byte for byte. A job that an intent holds
cannot be put into another, nor can a call whose name (`OnceCall`) one holds or that has been
made: the database itself refuses it. Outcomes stay by job key, so that a job that is put again is
answered and not done again. The file is locked: one trader a journal.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import orjson

from prbkit.errors import ConfigError, StoreError
from prbkit.interfaces import JobRecord, JobState, TradeJob
from prbkit.jobs import dump_job, dump_record, load_job, load_record
from prbkit.sqlite import Database

from .lane import Intent, Item

__all__ = ["Freed", "Journal", "Opened"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS intents (
    hash BLOB PRIMARY KEY,
    account BLOB NOT NULL,
    nonce INTEGER NOT NULL,
    birth INTEGER NOT NULL,
    death INTEGER NOT NULL,
    real BLOB,
    items TEXT NOT NULL,
    extrinsic BLOB NOT NULL,
    genesis BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS jobs (
    key TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    intent BLOB REFERENCES intents (hash),
    job BLOB,
    state TEXT,
    record BLOB,
    reported INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS jobs_intent ON jobs (intent) WHERE intent IS NOT NULL;
CREATE INDEX IF NOT EXISTS jobs_free ON jobs (position) WHERE intent IS NULL AND state IS NULL;
CREATE INDEX IF NOT EXISTS jobs_unreported ON jobs (key) WHERE state IS NOT NULL AND reported = 0;
CREATE INDEX IF NOT EXISTS jobs_position ON jobs (position);
CREATE TABLE IF NOT EXISTS once (
    name TEXT PRIMARY KEY,
    key TEXT NOT NULL,
    intent BLOB
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS once_intent ON once (intent) WHERE intent IS NOT NULL;
CREATE INDEX IF NOT EXISTS once_key ON once (key);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counts (state TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True)
class Freed:
    """A job that may be signed: no extrinsic with it can be included any more.

    `order` numbers jobs as they came; `attempt` is that of its next extrinsic, from 1. It is 0
    for a job that is new to this journal and that another one may have known.
    """

    job: TradeJob
    order: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Opened:
    """What a former life left: extrinsics that may be anywhere, and jobs to sign again."""

    intents: Sequence[Intent]
    freed: Sequence[Freed]
    unreported: Sequence[JobRecord]


class Journal:
    """The journal in one file. Every method is one transaction, on disk when it returns."""

    def __init__(self, path: Path) -> None:
        self._db = Database(path, _SCHEMA, synchronous="FULL", exclusive=True, busy_timeout=2.0)
        self._path = path

    async def open(self) -> None:
        try:
            await self._db.open()
        except StoreError as error:
            if "locked" not in error.message:
                raise
            raise ConfigError(
                "another trader has this journal open",
                where=str(self._path),
                hint="one trader serves one journal; give this one a data folder of its own",
            ) from error

    async def close(self) -> None:
        await self._db.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def load(self, genesis_hash: bytes) -> Opened:
        """Read what a former life left. Open intents of another chain are refused."""

        def read(db: sqlite3.Connection) -> Opened:
            rows = db.execute("SELECT * FROM intents ORDER BY account, nonce").fetchall()
            intents = [self._intent(db, row, genesis_hash) for row in rows]
            freed = db.execute(
                "SELECT job, position, attempt FROM jobs "
                "WHERE intent IS NULL AND state IS NULL ORDER BY position"
            )
            unreported = db.execute(
                "SELECT record FROM jobs WHERE state IS NOT NULL AND reported = 0"
            )
            return Opened(
                intents=intents,
                freed=[Freed(load_job(job), order, attempt + 1) for job, order, attempt in freed],
                unreported=[load_record(record) for (record,) in unreported],
            )

        return await self._db.read(read)

    async def accept(
        self, jobs: Sequence[TradeJob]
    ) -> tuple[Mapping[str, JobRecord], Sequence[Freed]]:
        """Take jobs over from the queue, which may lose them from now on.

        Gives the final records of those that have ended, by key, and the jobs that are new;
        those that are under way already are in neither.
        """

        def write(db: sqlite3.Connection) -> tuple[Mapping[str, JobRecord], Sequence[Freed]]:
            ended: dict[str, JobRecord] = {}
            new: list[Freed] = []
            (order,) = db.execute("SELECT coalesce(max(position), -1) FROM jobs").fetchone()
            for job in jobs:
                row = db.execute("SELECT record FROM jobs WHERE key = ?", (job.key,)).fetchone()
                if row is None:
                    order += 1
                    db.execute(
                        "INSERT INTO jobs (key, position, attempt, job) VALUES (?, ?, -1, ?)",
                        (job.key, order, dump_job(job)),
                    )
                    new.append(Freed(job, order, 0))
                elif row[0] is not None:
                    ended[job.key] = replace(load_record(row[0]), job=job)
            return ended, new

        return await self._db.write(write)

    async def begin(self, intent: Intent, genesis_hash: bytes) -> None:
        """Write an intent, before anyone sees it.

        :raises StoreError: one of its jobs has ended, or stands in another open intent, or one
            of its calls has been made, or stands there.
        """

        def write(db: sqlite3.Connection) -> None:
            items = [[item.job.key, item.calls, item.once] for item in intent.items]
            db.execute(
                "INSERT INTO intents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    intent.hash,
                    intent.account,
                    intent.nonce,
                    intent.birth,
                    intent.death,
                    intent.real,
                    orjson.dumps(items).decode(),
                    intent.extrinsic,
                    genesis_hash,
                ),
            )
            for item in intent.items:
                done = db.execute(
                    "UPDATE jobs SET intent = ?, attempt = ? "
                    "WHERE key = ? AND intent IS NULL AND state IS NULL",
                    (intent.hash, item.attempt, item.job.key),
                )
                if done.rowcount != 1:
                    raise StoreError(
                        f"job {item.job.key} is signed for already", where=str(self._path)
                    )
                for name in filter(None, item.once):
                    done = db.execute(
                        "INSERT INTO once VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING",
                        (name, item.job.key, intent.hash),
                    )
                    if done.rowcount != 1:
                        raise StoreError(
                            f"the call {name} is signed already", where=str(self._path)
                        )

        await self._db.write(write)

    async def finish(
        self, intent: Intent, records: Sequence[JobRecord], made: Iterable[str] = ()
    ) -> None:
        """End an intent that a finalized block holds, with the outcome of each of its jobs.

        :param made: names of its calls that have succeeded: they are not made again.
        """

        def write(db: sqlite3.Connection) -> None:
            self._end(db, records)
            db.executemany("UPDATE once SET intent = NULL WHERE name = ?", [(n,) for n in made])
            db.execute("DELETE FROM once WHERE intent = ?", (intent.hash,))
            db.execute("DELETE FROM intents WHERE hash = ?", (intent.hash,))

        await self._db.write(write)

    async def free(self, intent: Intent, ended: Sequence[JobRecord]) -> None:
        """End an intent that no block can hold; `ended` are its jobs that are not tried again."""

        def write(db: sqlite3.Connection) -> None:
            db.execute("UPDATE jobs SET intent = NULL WHERE intent = ?", (intent.hash,))
            self._end(db, ended)
            db.execute("DELETE FROM once WHERE intent = ?", (intent.hash,))
            db.execute("DELETE FROM intents WHERE hash = ?", (intent.hash,))

        await self._db.write(write)

    async def made(self, names: Iterable[str]) -> Mapping[str, JobRecord]:
        """Of calls with these names those that have succeeded, with the record of their job."""
        wanted = tuple(names)

        def read(db: sqlite3.Connection) -> Mapping[str, JobRecord]:
            found = {}
            for name in wanted:
                row = db.execute(
                    "SELECT record FROM once JOIN jobs USING (key) "
                    "WHERE name = ? AND once.intent IS NULL",
                    (name,),
                ).fetchone()
                if row is not None:
                    found[name] = load_record(row[0])
            return found

        return await self._db.read(read) if wanted else {}

    async def end(self, records: Sequence[JobRecord]) -> None:
        """Write the end of jobs for which nothing is signed."""
        await self._db.write(lambda db: self._end(db, records))

    async def reported(self, keys: Iterable[str]) -> None:
        """Note that the queue has the final records of these jobs."""
        rows = [(key,) for key in keys]
        await self._db.write(
            lambda db: db.executemany("UPDATE jobs SET reported = 1 WHERE key = ?", rows)
        )

    async def identity(self) -> str:
        """Name of this journal, chosen once."""

        def write(db: sqlite3.Connection) -> str:
            db.execute(
                "INSERT INTO facts VALUES ('identity', ?) ON CONFLICT DO NOTHING",
                (secrets.token_hex(16),),
            )
            (name,) = db.execute("SELECT value FROM facts WHERE name = 'identity'").fetchone()
            return str(name)

        return await self._db.write(write)

    async def term(self) -> str | None:
        """Term of the queue's lease (`TradeQueue.lease`) in which this journal was last used."""
        row = await self._db.read(
            lambda db: db.execute("SELECT value FROM facts WHERE name = 'term'").fetchone()
        )
        return None if row is None else str(row[0])

    async def set_term(self, term: str) -> None:
        await self._db.write(
            lambda db: db.execute("INSERT OR REPLACE INTO facts VALUES ('term', ?)", (term,))
        )

    async def counts(self) -> Mapping[JobState, int]:
        """How many jobs have ever ended, by state."""
        rows = await self._db.read(lambda db: db.execute("SELECT * FROM counts").fetchall())
        return {JobState(state): number for state, number in rows}

    def _end(self, db: sqlite3.Connection, records: Sequence[JobRecord]) -> None:
        for record in records:
            # The payload has served; the record alone is kept.
            kept = replace(record, job=replace(record.job, payload={}))
            done = db.execute(
                "UPDATE jobs SET state = ?, record = ?, job = NULL, intent = NULL, reported = 0 "
                "WHERE key = ? AND state IS NULL",
                (record.state.value, dump_record(kept), record.job.key),
            )
            if done.rowcount != 1:
                raise StoreError(f"job {record.job.key} has ended before", where=str(self._path))
            db.execute(
                "INSERT INTO counts VALUES (?, 1) "
                "ON CONFLICT (state) DO UPDATE SET number = number + 1",
                (record.state.value,),
            )

    def _intent(self, db: sqlite3.Connection, row: tuple[Any, ...], genesis_hash: bytes) -> Intent:
        hash_, account, nonce, birth, death, real, items, extrinsic, genesis = row
        if genesis != genesis_hash:
            raise ConfigError(
                "the journal holds extrinsics of another chain",
                where=str(self._path),
                hint="point the trader at the chain it served, or give it a new data folder",
            )
        made = []
        for key, calls, *once in orjson.loads(items):
            job, order, attempt = db.execute(
                "SELECT job, position, attempt FROM jobs WHERE key = ?", (key,)
            ).fetchone()
            names = tuple(once[0]) if once else ()
            made.append(Item(load_job(job), calls, order, attempt, names))
        return Intent(
            account=account,
            nonce=nonce,
            hash=hash_,
            extrinsic=extrinsic,
            birth=birth,
            death=death,
            real=real,
            items=tuple(made),
        )
