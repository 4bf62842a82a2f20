"""A trade queue on Redis Streams with one consumer group.

Redis is taken for what it is, a thing that may come back empty at any time: the group is made
again where it is missing, and nothing here is needed for a call to be made only once. What a
consumer holds is its pending list; it renews its claims with each `take`, so entries that have
been idle for a lease belong to one that died.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Self, cast
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from prbkit.errors import ConfigError, QueueError
from prbkit.interfaces import JobRecord, JobState, TradeJob
from prbkit.jobs import dump_record, load_record

from . import scripts

try:
    from redis import asyncio as aioredis
    from redis.exceptions import RedisError, ResponseError
except ImportError as error:
    raise ConfigError(
        "the trade queue in Redis needs the package redis", hint="pip install prbkit[redis]"
    ) from error

__all__ = ["RedisQueue"]

GROUP = "traders"
TIMEOUT = 10.0
"""Seconds for one answer; a blocking read asks for less."""
MAX_BLOCK = 5.0
PAGE = 500
REPORTED = 100
"""Records in one script, which keeps Redis from others for a millisecond or two."""


class RedisQueue:
    """`TradeQueue` over Redis.

    :param url: as redis-py takes it.
    :param name: parts the queues in one Redis.
    :param lease: seconds after which the jobs of a consumer that shows no life are another's.
    :param history: how many ended jobs are remembered.
    """

    def __init__(
        self, url: str, *, name: str = "trade", lease: float = 60.0, history: int = 10_000
    ) -> None:
        self.url = _without_password(url)
        # redis-py's own types are unions of both of its protocols: of no help here.
        self._redis: Any = aioredis.from_url(
            url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT, decode_responses=False
        )
        self._keys = [f"prbkit:{{{name}}}:{key}" for key in scripts.KEYS]
        self._jobs, self._records, _, _, self._index, _, self._counts, *_ = self._keys
        self._put = self._redis.register_script(scripts.PUT)
        self._report = self._redis.register_script(scripts.REPORT)
        self._take_lease = self._redis.register_script(scripts.LEASE)
        self._lease = lease
        self._history = history
        self._held: dict[str, bytes] = {}
        """Jobs that this object was given, with their entries in the stream."""
        self._resumed: dict[str, bytes | None] = {}
        """How far a consumer's former pending list is read again; None when it is through."""
        self._renewed = 0.0

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Make a queue from a Redis URL that may hold `lease`, `history` and `name`."""
        parts, where = urlsplit(url), _without_password(url)
        options = dict(parse_qsl(parts.query))
        try:
            lease, history = float(options.pop("lease", 60)), int(options.pop("history", 10_000))
        except ValueError:
            raise ConfigError("lease and history are numbers", where=where) from None
        if lease <= 0 or history < 1:
            raise ConfigError("lease and history are above zero", where=where)
        name = options.pop("name", "trade")
        plain = urlunsplit(parts._replace(query=urlencode(options)))
        return cls(plain, name=name, lease=lease, history=history)

    async def open(self) -> None:
        await self._ask(self._redis.ping)

    async def close(self) -> None:
        await self._redis.aclose()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def put(self, job: TradeJob) -> bool:
        """Queue a job; False where its key is known."""
        record = JobRecord(job=job, state=JobState.QUEUED, updated_at=job.created_at)
        args: list[Any] = [job.key, dump_record(record), JobState.QUEUED.value]
        return bool(await self._ask(self._put, keys=self._keys, args=args))

    async def take(self, consumer: str, limit: int, wait: float) -> Sequence[TradeJob]:
        """Take up to `limit` jobs; see `TradeQueue.take`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        while True:
            left = deadline - loop.time()
            # Leases run out without a message, so a long wait is cut.
            block = max(0.0, min(left, MAX_BLOCK, self._lease / 4))
            try:
                jobs = await self._load(await self._entries(consumer, limit, block))
            except _NoGroup:
                await self._make_group()
                continue
            except BaseException:
                # Redis may have handed out entries whose answer was lost: read them again.
                self._resumed[consumer] = b"0"
                raise
            resuming = self._resumed.get(consumer) is not None
            if jobs or (deadline <= loop.time() and not resuming):
                return jobs

    async def report(self, records: Sequence[JobRecord]) -> None:
        """Store records. One that is not final tells nothing new of an ended or unknown job."""
        for at in range(0, len(records), REPORTED):
            args: list[Any] = [self._history, GROUP]
            for record in records[at : at + REPORTED]:
                final = "1" if record.state.final else "0"
                args += [record.job.key, dump_record(record), record.state.value, final]
            await self._ask(self._report, keys=self._keys, args=args)
        for record in records:
            if record.state.final:
                self._held.pop(record.job.key, None)

    async def get(self, key: str) -> JobRecord | None:
        data = await self._ask(self._redis.hget, self._records, key)
        return None if data is None else load_record(data)

    async def list(
        self, states: Sequence[JobState] | None = None, limit: int = 1000
    ) -> Sequence[JobRecord]:
        """Newest first, by when they were put."""
        found: list[JobRecord] = []
        start = 0
        while len(found) < limit:
            keys = await self._ask(self._redis.zrevrange, self._index, start, start + PAGE - 1)
            if not keys:
                break
            start += len(keys)
            data = await self._ask(self._redis.hmget, self._records, keys)
            records = [load_record(item) for item in data if item is not None]
            found += [record for record in records if states is None or record.state in states]
        return found[:limit]

    async def counts(self) -> Mapping[JobState, int]:
        found = await self._ask(self._redis.hgetall, self._counts)
        return {state: int(found.get(state.value.encode(), 0)) for state in JobState}

    async def lease(self, name: str, holder: str, ttl: float) -> str | None:
        """Take or renew a lease; see `TradeQueue.lease`."""
        args: list[Any] = [name, holder, max(0, math.ceil(ttl * 1000)), secrets.token_hex(8)]
        term = await self._ask(self._take_lease, keys=self._keys, args=args)
        return None if term is None else term.decode()

    async def _entries(self, consumer: str, limit: int, block: float) -> Sequence[Any]:
        """Entries (id, fields) for a consumer: its own of a former life, the dead's, new ones."""
        await self._renew(consumer)
        after = self._resumed.get(consumer, b"0")
        if after is not None:
            entries = await self._read(consumer, after, limit)
            self._resumed[consumer] = entries[-1][0] if entries else None
            if entries:
                return entries
        claimed = await self._ask(
            self._redis.xautoclaim,
            self._jobs,
            GROUP,
            consumer,
            int(self._lease * 1000),
            "0-0",
            count=limit,
        )
        return claimed[1] or await self._read(consumer, b">", limit, block)

    async def _read(
        self, consumer: str, after: bytes, limit: int, block: float = 0.0
    ) -> Sequence[Any]:
        """XREADGROUP; `block` in seconds, 0 not to wait."""
        milliseconds = int(block * 1000) or None
        answer = await self._ask(
            self._redis.xreadgroup,
            GROUP,
            consumer,
            {self._jobs: after},
            count=limit,
            block=milliseconds,
        )
        if not answer:
            return ()
        streams = answer.values() if isinstance(answer, dict) else [s[1] for s in answer]
        entries = next(iter(streams))
        # RESP3 nests the entries once more.
        if entries and isinstance(entries[0], list):
            entries = entries[0]
        return cast("Sequence[Any]", entries)

    async def _load(self, entries: Sequence[Any]) -> Sequence[TradeJob]:
        """Jobs of entries; one without a record (ended, or half lost) is dropped."""
        named = [(entry, fields[b"key"].decode()) for entry, fields in entries if fields]
        fresh = [(entry, key) for entry, key in named if self._held.get(key) != entry]
        if not fresh:
            return ()
        data = await self._ask(self._redis.hmget, self._records, [key for _, key in fresh])
        jobs: dict[bytes, TradeJob] = {}
        for (entry, _), item in zip(fresh, data, strict=True):
            if item is None or (record := load_record(item)).state.final:
                await self._ask(self._redis.xack, self._jobs, GROUP, entry)
                await self._ask(self._redis.xdel, self._jobs, entry)
            else:
                jobs[entry] = record.job
        self._held.update((job.key, entry) for entry, job in jobs.items())
        return list(jobs.values())

    async def _renew(self, consumer: str) -> None:
        """Claim again what is held here, three times in a lease."""
        now = asyncio.get_running_loop().time()
        if now - self._renewed < self._lease / 3:
            return
        self._renewed = now
        entries = list(self._held.values())
        for at in range(0, len(entries), PAGE):
            page = entries[at : at + PAGE]
            await self._ask(self._redis.xclaim, self._jobs, GROUP, consumer, 0, page, justid=True)

    async def _make_group(self) -> None:
        """Make the consumer group where Redis has none (the first start, or it lost its data)."""
        self._held.clear()
        self._resumed.clear()
        try:
            await self._ask(self._redis.xgroup_create, self._jobs, GROUP, id="0", mkstream=True)
        except QueueError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def _ask(self, command: Callable[..., Awaitable[Any]], *args: Any, **options: Any) -> Any:
        task = asyncio.current_task()
        cancelled = task.cancelling() if task else 0
        try:
            return await command(*args, **options)
        except ResponseError as error:
            if str(error).startswith("NOGROUP"):
                raise _NoGroup from None
            raise QueueError(f"Redis: {error}", where=self.url) from error
        except (RedisError, OSError) as error:
            raise QueueError(
                f"Redis cannot be reached: {error}", where=self.url, hint="is the server running?"
            ) from error
        finally:
            # redis-py swallows a cancellation that meets one of its own timeouts.
            if task and task.cancelling() > cancelled:
                raise asyncio.CancelledError


class _NoGroup(Exception):
    """Redis has no such stream or group."""


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))
