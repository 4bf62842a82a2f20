"""A blob store on a server that speaks Redis's protocol, which several machines may share.

Values are the fields of one hash, and a sorted set of equal scores keeps their keys in order. A
commit is one script, so it happens whole or not at all. One process writes: it holds a lease that
it renews, and each commit checks it. The server must keep what it is given: Redis and Valkey with
``appendonly yes`` (and ``appendfsync always`` for commits that survive a power cut), Kvrocks as it
is. A value has at most 512 MiB there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from prbkit.errors import ConfigError, StoreError

from . import scripts

try:
    from redis import asyncio as aioredis
    from redis.exceptions import RedisError, ResponseError
except ImportError as error:
    raise ConfigError(
        "a blob store in Redis needs the package redis", hint="pip install prbkit[redis]"
    ) from error

__all__ = ["RedisStore"]

log = logging.getLogger(__name__)

TIMEOUT = 30.0
"""Seconds for one answer."""
_MAX_KEY = 511
_PAGE_KEYS, _PAGE_VALUES = 1000, 64
_GET_BATCH = 1024


class RedisStore:
    """A `prbkit.interfaces.BlobStore`.

    :param url: as redis-py takes it; the scheme ``redis+cluster`` (or ``rediss+cluster``) for any
        node of a cluster, of which one slot is used.
    :param name: parts the stores in one server.
    :param lease: seconds after which a writer that shows no life has lost the store.
    """

    def __init__(
        self, url: str, *, name: str = "blobs", lease: float = 15.0, read_only: bool = False
    ) -> None:
        self.url = _without_password(url)
        self.read_only = read_only
        self._target = url
        self._lease = lease
        self._keys = [f"prbkit:{{{name}}}:{key}" for key in ("lease", "writer", "values", "order")]
        self._values, self._order = self._keys[2:]
        self._token = ""
        # redis-py's own types are unions of both of its protocols: of no help here.
        self._redis: Any = None
        self._renewing: asyncio.Task[None] | None = None

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Make a store from a Redis URL that may hold `name`, `lease` and `mode`."""
        parts, where = urlsplit(url), _without_password(url)
        options = dict(parse_qsl(parts.query))
        mode, name = options.pop("mode", "rw"), options.pop("name", "blobs")
        try:
            lease = float(options.pop("lease", 15.0))
        except ValueError:
            raise ConfigError("lease is a number of seconds", where=where) from None
        if lease <= 0 or mode not in ("ro", "rw"):
            raise ConfigError("a lease is above zero, and the mode ro or rw", where=where)
        plain = urlunsplit(parts._replace(query=urlencode(options)))
        return cls(plain, name=name, lease=lease, read_only=mode == "ro")

    # --- life ---

    async def open(self) -> None:
        """Connect and, to write, take the lease.

        A writer that died is waited for until its lease runs out; one that lives is an error.
        """
        if self._redis is not None:
            return
        self._redis = self._connect()
        try:
            await self._ask(self._redis.ping())
            if not self.read_only:
                self._token = secrets.token_hex(16)
                await self._take()
                await self._warn_of_loss()
                self._renewing = asyncio.create_task(self._renew(), name=f"lease of {self.url}")
        except BaseException:
            await self.close()
            raise

    def _connect(self) -> Any:
        kind: Any = aioredis.Redis
        url = self._target
        if "+cluster://" in url:
            kind, url = aioredis.RedisCluster, url.replace("+cluster://", "://", 1)
        return kind.from_url(url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)

    async def close(self) -> None:
        redis, self._redis = self._redis, None
        if redis is None:
            return
        renewing, self._renewing = self._renewing, None
        if renewing is not None:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
        try:
            if not self.read_only:
                with contextlib.suppress(StoreError):
                    await self._ask(redis.eval(scripts.RELEASE, 4, *self._keys, self._token))
        finally:
            await redis.aclose()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def _take(self) -> None:
        before = float("inf")
        pause = self._lease / 20
        while True:
            left = await self._script(scripts.TAKE, self._token, self._lease_ms)
            if not left:
                return
            if left > before:
                raise StoreError(
                    "another process writes to this store",
                    where=self.url,
                    hint="stop it, or open the store with ?mode=ro",
                )
            before = left
            await asyncio.sleep(pause)

    async def _renew(self) -> None:
        """Renew the lease until cancelled; a server that is away is tried again."""
        while True:
            await asyncio.sleep(self._lease / 4)
            try:
                if not await self._script(scripts.COMMIT, self._token, self._lease_ms, 0):
                    log.error("%s: another process has taken the store over", self.url)
                    return
            except StoreError as error:
                log.warning("the lease is not renewed: %s", error)

    async def _warn_of_loss(self) -> None:
        try:
            told = await self._ask(self._redis.info("persistence"))
        except StoreError:
            return  # not every server tells
        if isinstance(told, dict) and told.get("aof_enabled") == 0:
            log.warning(
                "%s keeps no log of what is written (appendonly no): what is committed there may "
                "be lost when it ends",
                self.url,
            )

    @property
    def _lease_ms(self) -> int:
        return int(self._lease * 1000)

    # --- reading ---

    async def get(self, key: bytes) -> bytes | None:
        return (await self.get_many((key,)))[0]

    async def get_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        if not keys:
            self._open()
            return []
        found: list[bytes | None] = await self._ask(self._open().hmget(self._values, list(keys)))
        return found

    async def scan(
        self,
        start: bytes = b"",
        stop: bytes | None = None,
        *,
        reverse: bool = False,
        keys_only: bool = False,
    ) -> AsyncIterator[tuple[bytes, bytes]]:
        low = b"[" + start if start else b"-"
        high = b"+" if stop is None else b"(" + stop
        size = _PAGE_KEYS if keys_only else _PAGE_VALUES
        while True:
            redis = self._open()
            if reverse:
                asked = redis.zrevrangebylex(self._order, high, low, start=0, num=size)
            else:
                asked = redis.zrangebylex(self._order, low, high, start=0, num=size)
            keys: list[bytes] = await self._ask(asked)
            values: Sequence[bytes | None] = [b""] * len(keys)
            if keys and not keys_only:
                values = await self.get_many(keys)
            for key, value in zip(keys, values, strict=True):
                if value is not None:  # deleted in between
                    yield key, value
            if len(keys) < size:
                return
            if reverse:
                high = b"(" + keys[-1]
            else:
                low = b"(" + keys[-1]

    async def size(self) -> int:
        """Bytes of memory that the store takes in the server, as that estimates it."""
        redis = self._open()
        try:
            sizes = [await self._ask(redis.memory_usage(key)) for key in self._keys[2:]]
        except StoreError as error:
            if not isinstance(error.__cause__, ResponseError):
                raise
            # Kvrocks keeps its data on disk and has no such command.
            told = await self._ask(redis.info("keyspace"))
            return int(told.get("used_db_size", 0)) if isinstance(told, dict) else 0
        return sum(size or 0 for size in sizes)

    # --- writing ---

    async def commit(self, puts: Mapping[bytes, bytes], deletes: Sequence[bytes] = ()) -> None:
        self._open()
        if self.read_only:
            raise StoreError("the store is open for reading only", where=self.url)
        for key in (*puts, *deletes):
            if not 1 <= len(key) <= _MAX_KEY:
                raise StoreError(
                    f"a key has 1 to {_MAX_KEY} bytes, this one {len(key)}", where=self.url
                )
        if not puts and not deletes:
            return
        pairs = [part for pair in puts.items() for part in pair]
        arguments = [self._token, self._lease_ms, len(deletes), *deletes, *pairs]
        work = asyncio.ensure_future(self._script(scripts.COMMIT, *arguments))
        # A cancelled caller must not leave the question open whether its commit happened.
        try:
            done = await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait([work])
            raise
        if not done:
            raise StoreError(
                "another process has taken the store over",
                where=self.url,
                hint="only one data provider writes to a store; start this one again",
            )

    # --- how ---

    def _open(self) -> Any:
        if self._redis is None:
            raise StoreError("the store is not open", where=self.url)
        return self._redis

    async def _script(self, script: str, *arguments: Any) -> int:
        return int(await self._ask(self._open().eval(script, 4, *self._keys, *arguments)))

    async def _ask(self, command: Awaitable[Any]) -> Any:
        try:
            return await command
        except (RedisError, OSError, TimeoutError) as error:
            if isinstance(error, ResponseError) and str(error).startswith(("OOM", "MISCONF")):
                raise StoreError(
                    f"the server takes no more: {error}",
                    where=self.url,
                    hint="give it more memory or disk: nothing was lost, and the bridge goes on",
                ) from error
            raise StoreError(
                f"the store cannot be reached: {error or type(error).__name__}"
                if not isinstance(error, ResponseError)
                else f"the store failed: {error}",
                where=self.url,
            ) from error


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=host, query="", fragment=""))
