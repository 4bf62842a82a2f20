"""Fetches a parachain range from one endpoint, ahead of its verification."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from prbkit.interfaces import ChainSource, Head

from .sync import para_batches
from .verify import verify_para_headers

__all__ = ["feed_para"]

Take = Callable[[int, Sequence[bytes], Sequence[bytes]], Awaitable[None]]
"""(first number, headers, storage changes)."""


async def feed_para(
    view: ChainSource, tip: Head, head: Head, *, batch: int, ahead: int, take: Take
) -> None:
    """Give `take` all blocks behind `tip` up to a proven head, in order, batch by batch.

    All headers are fetched first and must lead to the head by their hashes, so that what is
    given, and committed, batch by batch is known to lie under it.

    :raises ExceptionGroup: of `SourceError`, `VerificationError`, and what `take` raises.
    """
    headers = await view.headers(tip.number + 1, head.number)
    verify_para_headers(tip, headers, head, view.url)
    queue: asyncio.Queue[tuple[int, int, asyncio.Task[Sequence[bytes]]] | None]
    queue = asyncio.Queue(ahead)

    async def produce(group: asyncio.TaskGroup) -> None:
        for first, last in para_batches(tip.number, head.number, batch):
            task = group.create_task(fetch(first, last))
            await queue.put((first, last, task))
        await queue.put(None)

    async def fetch(first: int, last: int) -> Sequence[bytes]:
        return await view.storage_changes(first, last)

    async with asyncio.TaskGroup() as group:
        group.create_task(produce(group))
        while (item := await queue.get()) is not None:
            first, last, task = item
            part = headers[first - tip.number - 1 : last - tip.number]
            await take(first, part, await task)
