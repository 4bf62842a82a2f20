"""Answers blobs by key: prbkit's own (docs/architecture.md) and PRB v2's.

The same key asked for at once by many is made once. What is made out of several documents has a
limit in bytes, so that one request costs bounded memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from prbkit.blobs import encode_headers
from prbkit.errors import CodecError

from .archive import Archive
from .kept import Kept
from .prb2 import Prb2Blobs

__all__ = ["BlobServer"]

_WAIT = 10.0
"""Longest time that ``…/wait`` is not answered, in seconds."""
_MAX_KEY = 200
_IMMUTABLE = ("prbkit/relay/", "prbkit/para/", "prbkit/changes/")
"""What is committed stays as it is, so a blob of it may be given again."""


class BlobServer:
    """Serves an archive.

    :param limit: bytes of the biggest blob made out of several documents.
    :param keep: bytes of the blobs of committed blocks that are held for the next who asks.
    """

    def __init__(self, archive: Archive, *, limit: int, keep: int = 0, wait: float = _WAIT) -> None:
        self._archive = archive
        self._limit = limit
        self._wait = wait
        self._prb2 = Prb2Blobs(archive, limit)
        self._kept = Kept(keep)
        self._making: dict[str, asyncio.Task[bytes | None]] = {}

    async def get(self, key: str) -> bytes | None:
        """The blob of a key, None where there is none (yet). Raises `StoreError`."""
        if len(key) > _MAX_KEY:
            return None
        if key.endswith("/wait"):
            return await self._waited(key.removesuffix("/wait"))
        kept = self._kept.get(key)
        if kept is not None:
            return kept
        making = self._making.get(key)
        if making is None:
            making = asyncio.create_task(self._make(key), name=f"blob {key}")
            self._making[key] = making
            making.add_done_callback(lambda task: self._made(key, task))
        # One asker that goes away must not take the blob from the others.
        return await asyncio.shield(making)

    def _made(self, key: str, task: asyncio.Task[bytes | None]) -> None:
        del self._making[key]
        if task.cancelled() or task.exception() is not None:
            return
        blob = task.result()
        if blob is not None and key.startswith(_IMMUTABLE):
            self._kept.put(key, blob)

    async def _make(self, key: str) -> bytes | None:
        parts = key.split("/")
        if parts[0] != "prbkit":
            return await self._prb2.get(key)
        if not self._archive.begun:
            return None
        if parts[1:] == ["genesis"]:
            return self._archive.genesis.encode()
        try:
            kind, *numbers = parts[1], *(_number(part) for part in parts[2:])
        except (ValueError, IndexError):
            return None
        match kind, numbers:
            case "index", [relay, para]:
                return self._archive.index.slice(relay, para)
            case "relay", [last]:
                return await self._archive.segment_bytes(last)
            case "para", [first, last]:
                return await self._list(first, last, self._archive.headers)
            case "changes", [first, last]:
                return await self._list(first, last, self._archive.changes)
        return None

    async def _list(
        self, first: int, last: int, read: Callable[[int, int], Awaitable[list[bytes]]]
    ) -> bytes | None:
        index = self._archive.index
        if read == self._archive.changes:
            first_there, size = 1, index.changes_size
        else:
            first_there, size = 0, index.para_size
        if not first_there <= first <= last < index.para_next:
            return None
        if size(first, last) > self._limit:
            raise CodecError(
                f"para blocks {first} to {last} have {size(first, last)} bytes",
                hint=f"ask for ranges of at most {self._limit} bytes",
            )
        return encode_headers(await read(first, last))

    async def _waited(self, key: str) -> bytes | None:
        """An index slice, once there is something in it."""
        try:
            place, relay, para = key.removeprefix("prbkit/").split("/")
            wanted = _number(relay), _number(para)
        except ValueError:
            return None
        if place != "index" or not key.startswith("prbkit/"):
            return None
        loop = asyncio.get_running_loop()
        end = loop.time() + self._wait
        while not self._is_there(*wanted):
            try:
                async with asyncio.timeout_at(end):
                    await self._archive.changed()
            except TimeoutError:
                break
        if not self._archive.begun:
            return None
        return self._archive.index.slice(*wanted)

    def _is_there(self, relay: int, para: int) -> bool:
        index = self._archive.index
        return self._archive.begun and (relay < index.relay_next or para < index.para_next)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise ValueError("not a block number")
    return int(text)
