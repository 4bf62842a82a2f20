"""A trade queue in one SQLite file.

Several processes share it. One that waits looks at SQLite's `data_version` some times a second,
which reads a counter in shared memory and touches no page; jobs put by the same object wake it
at once.
"""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from prbkit.errors import ConfigError, QueueError, StoreError
from prbkit.interfaces import JobRecord, JobState, TradeJob
from prbkit.jobs import dump_record, load_record
from prbkit.sqlite import Database

__all__ = ["SqliteQueue"]

POLL = 0.1
"""Seconds between two looks of a waiting process."""

_FINAL = tuple(state.value for state in JobState if state.final)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    final INTEGER NOT NULL DEFAULT 0,
    updated_at REAL NOT NULL,
    record BLOB NOT NULL,
    consumer TEXT,
    holder TEXT,
    lease_until REAL NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS jobs_open ON jobs (seq) WHERE final = 0;
CREATE INDEX IF NOT EXISTS jobs_holder ON jobs (holder) WHERE final = 0;
CREATE INDEX IF NOT EXISTS jobs_final ON jobs (updated_at) WHERE final = 1;
CREATE INDEX IF NOT EXISTS jobs_state ON jobs (state);
CREATE TABLE IF NOT EXISTS leases (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until REAL NOT NULL,
    term TEXT NOT NULL
) WITHOUT ROWID
"""


class SqliteQueue:
    """`TradeQueue` over a file.

    :param lease: seconds after which the jobs of a consumer that shows no life are another's.
    :param history: how many ended jobs are remembered.
    """

    def __init__(self, path: Path, *, lease: float = 60.0, history: int = 10_000) -> None:
        self.url = f"sqlite:{path}"
        self._db = Database(path, _SCHEMA)
        self._lease = lease
        self._history = history
        self._holder = secrets.token_hex(8)
        self._put = asyncio.Event()
        self._given: set[str] = set()
        """Open jobs that `take` has returned."""
        self._unsure = False
        """A `take` was cut off: this holder may have claimed jobs that nobody was given."""

    @classmethod
    def from_url(cls, url: str, data_dir: Path) -> Self:
        """Make a queue from ``sqlite:PATH?lease=S&history=N``."""
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query))
        path = f"{parts.netloc}{parts.path}" if parts.netloc else parts.path
        try:
            lease, history = float(options.pop("lease", 60)), int(options.pop("history", 10_000))
        except ValueError:
            raise ConfigError("lease and history are numbers", where=url) from None
        if options or not path or lease <= 0 or history < 1:
            raise ConfigError(
                "not a queue URL", where=url, hint="sqlite:queue.db?lease=60&history=10000"
            )
        return cls(Path(data_dir) / path, lease=lease, history=history)

    async def open(self) -> None:
        with _as_queue_error():
            await self._db.open()

    async def close(self) -> None:
        await self._db.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def put(self, job: TradeJob) -> bool:
        """Queue a job; False where its key is known."""
        now = time.time()
        record = dump_record(JobRecord(job=job, state=JobState.QUEUED, updated_at=now))

        def insert(db: sqlite3.Connection) -> bool:
            done = db.execute(
                "INSERT INTO jobs (key, state, updated_at, record) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (key) DO NOTHING",
                (job.key, JobState.QUEUED.value, now, record),
            )
            return done.rowcount == 1

        with _as_queue_error():
            new = await self._db.write(insert)
        if new:
            self._put.set()
        return new

    async def take(self, consumer: str, limit: int, wait: float) -> Sequence[TradeJob]:
        """Take up to `limit` jobs; see `TradeQueue.take`."""
        deadline = asyncio.get_running_loop().time() + wait
        while True:
            self._put.clear()
            jobs, seen = await self._claim(consumer, limit)
            left = deadline - asyncio.get_running_loop().time()
            if jobs or left <= 0:
                return jobs
            await self._changed(seen, left)

    async def report(self, records: Sequence[JobRecord]) -> None:
        """Store records. One that is not final tells nothing new of an ended or unknown job."""

        def store(db: sqlite3.Connection) -> None:
            for record in records:
                self._store(db, record)
            db.execute(
                "DELETE FROM jobs WHERE final = 1 AND seq <= (SELECT seq FROM jobs WHERE final = 1 "
                "ORDER BY seq DESC LIMIT 1 OFFSET ?)",
                (self._history,),
            )

        with _as_queue_error():
            await self._db.write(store)
        self._given.difference_update(r.job.key for r in records if r.state.final)

    async def get(self, key: str) -> JobRecord | None:
        with _as_queue_error():
            row = await self._db.read(
                lambda db: db.execute("SELECT record FROM jobs WHERE key = ?", (key,)).fetchone()
            )
        return None if row is None else load_record(row[0])

    async def list(
        self, states: Sequence[JobState] | None = None, limit: int = 1000
    ) -> Sequence[JobRecord]:
        """Newest first, by when they were put."""
        wanted = [state.value for state in (JobState if states is None else states)]
        marks = ", ".join("?" * len(wanted))
        query = f"SELECT record FROM jobs WHERE state IN ({marks}) ORDER BY seq DESC LIMIT ?"  # noqa: S608
        with _as_queue_error():
            rows = await self._db.read(lambda db: db.execute(query, (*wanted, limit)).fetchall())
        return [load_record(row[0]) for row in rows]

    async def counts(self) -> Mapping[JobState, int]:
        with _as_queue_error():
            rows = await self._db.read(
                lambda db: db.execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall()
            )
        found = dict(rows)
        return {state: found.get(state.value, 0) for state in JobState}

    async def lease(self, name: str, holder: str, ttl: float) -> str | None:
        """Take or renew a lease; see `TradeQueue.lease`."""

        def write(db: sqlite3.Connection) -> str | None:
            now = time.time()
            row = db.execute(
                "SELECT holder, until, term FROM leases WHERE name = ?", (name,)
            ).fetchone()
            mine = row is not None and row[0] == holder
            if row is not None and not mine and row[1] > now:
                return None
            if ttl <= 0:
                db.execute("UPDATE leases SET until = 0 WHERE name = ? AND ?", (name, mine))
                return None
            term = str(row[2]) if mine else secrets.token_hex(8)
            db.execute(
                "INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?)",
                (name, holder, now + ttl, term),
            )
            return term

        with _as_queue_error():
            return await self._db.write(write)

    async def _claim(self, consumer: str, limit: int) -> tuple[Sequence[TradeJob], int]:
        """Claim jobs; also the version of the file that they were looked for in."""
        given = frozenset(self._given) if self._unsure else None
        self._unsure = True

        def claim(db: sqlite3.Connection) -> tuple[Sequence[TradeJob], int]:
            # Inside the transaction: a job put between two would be nobody's news.
            return self._claimed(db, consumer, limit, given), _version(db)

        with _as_queue_error():
            jobs, seen = await self._db.write(claim)
        self._unsure = given is not None and len(jobs) == limit
        self._given.update(job.key for job in jobs)
        return jobs, seen

    def _claimed(
        self, db: sqlite3.Connection, consumer: str, limit: int, given: frozenset[str] | None
    ) -> Sequence[TradeJob]:
        """Claim jobs; with `given` those first that are held here, but not among these."""
        now = time.time()
        # Only rows that have used up a third of their lease are written again.
        db.execute(
            "UPDATE jobs SET lease_until = ? WHERE final = 0 AND holder = ? AND lease_until < ?",
            (now + self._lease, self._holder, now + self._lease * 2 / 3),
        )
        if given is not None:
            held = db.execute(
                "SELECT key, record FROM jobs WHERE final = 0 AND holder = ? ORDER BY seq",
                (self._holder,),
            ).fetchall()
            lost = [record for key, record in held if key not in given][:limit]
            if lost:
                return [load_record(record).job for record in lost]
        # A consumer's name comes back with another holder when its process was started again.
        rows = db.execute(
            "SELECT seq, record FROM jobs WHERE final = 0 AND (consumer IS NULL "
            "OR (holder <> ? AND (consumer = ? OR lease_until < ?))) ORDER BY seq LIMIT ?",
            (self._holder, consumer, now, limit),
        ).fetchall()
        db.executemany(
            "UPDATE jobs SET consumer = ?, holder = ?, lease_until = ? WHERE seq = ?",
            [(consumer, self._holder, now + self._lease, seq) for seq, _ in rows],
        )
        return [load_record(record).job for _, record in rows]

    def _store(self, db: sqlite3.Connection, record: JobRecord) -> None:
        row = (record.state.value, record.state.final, record.updated_at, dump_record(record))
        if record.state.final:
            db.execute(
                "INSERT INTO jobs (key, state, final, updated_at, record) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (key) DO UPDATE SET state = excluded.state, final = 1, "
                "updated_at = excluded.updated_at, record = excluded.record WHERE final = 0",
                (record.job.key, *row),
            )
        else:
            db.execute(
                "UPDATE jobs SET state = ?, final = ?, updated_at = ?, record = ? "
                "WHERE key = ? AND final = 0",
                (*row, record.job.key),
            )

    async def _changed(self, seen: int, timeout: float) -> None:
        """Wait until the file may hold more than its version `seen`, at most `timeout` seconds."""
        loop = asyncio.get_running_loop()
        # A lease that runs out changes nothing in the file, so look again after part of one.
        end = loop.time() + min(timeout, self._lease / 4)
        while not self._put.is_set() and (left := end - loop.time()) > 0:
            try:
                # Not wait_for: in Python 3.11 it loses a cancellation that meets the event.
                async with asyncio.timeout(min(POLL, left)):
                    await self._put.wait()
            except TimeoutError:
                with _as_queue_error():
                    if await self._db.read(_version) != seen:
                        return


def _version(db: sqlite3.Connection) -> int:
    """SQLite's counter of what other connections have committed."""
    return int(db.execute("PRAGMA data_version").fetchone()[0])


class _as_queue_error:  # noqa: N801
    """Context: what the store raises is the queue's error."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, StoreError):
            raise QueueError(error.message, where=error.where, hint=error.hint) from error
