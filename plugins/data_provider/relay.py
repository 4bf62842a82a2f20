"""Fetches relay segments from one endpoint, ahead of their verification.

What it hands on is not believed by anyone: `verify.verify_relay` is. Where the next segment
begins depends only on the last header of the one before, so fetching runs ahead meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager

from prbkit.blobs import header_hash, header_number
from prbkit.errors import SourceError, VerificationError
from prbkit.interfaces import ChainSource
from prbkit.light import Justification, scheduled_change

from .facts import AUTHORITY_KEYS, RelayRange, para_head_key
from .sync import Prove, Scan, first_change, next_relay
from .verify import checking

__all__ = ["RelayFetcher"]

_GRANDPA = b"FRNK"
_PROBE = 16
"""Blocks looked at together, from the newest down, for one that is justified."""
_MAX_HEADERS = 100_000
"""Most headers of one segment: as many as a finality proof holds."""

_Found = tuple[Sequence[bytes], bytes]


class RelayFetcher:
    """Segments behind a relay block, out of one endpoint.

    :param view: a source that asks one endpoint.
    :param scan: relay headers fetched at once where the node has no finality proofs.
    :param ahead: most segments that are in flight or wait to be taken.
    """

    def __init__(self, view: ChainSource, para_id: int, *, scan: int, ahead: int) -> None:
        self._view = view
        self._key = para_head_key(para_id)
        self._scan = scan
        self._ahead = ahead
        self._proves = True

    async def feed(
        self,
        number: int,
        ends_set: bool,
        target: int,
        take: Callable[[RelayRange], Awaitable[None]],
    ) -> None:
        """Give `take` the segments that follow relay block `number`, in order, up to `target`.

        :param ends_set: block `number` schedules a change of authorities.
        :raises ExceptionGroup: of `SourceError`, of `VerificationError` for answers that cannot
            be right, and of what `take` raises.
        """
        queue: asyncio.Queue[asyncio.Task[RelayRange] | None] = asyncio.Queue(self._ahead)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._produce(number, ends_set, target, queue, group))
            while (task := await queue.get()) is not None:
                await take(await task)

    async def _produce(
        self,
        number: int,
        ends_set: bool,
        target: int,
        queue: asyncio.Queue[asyncio.Task[RelayRange] | None],
        group: asyncio.TaskGroup,
    ) -> None:
        while (found := await self._next(number, ends_set, target)) is not None:
            headers, justification = found
            with self._reading(f"relay block {number + len(headers)}"):
                number = header_number(headers[-1])
                ends_set = scheduled_change(headers[-1]) is not None
            await queue.put(group.create_task(self._proofs(headers, justification, ends_set)))
        await queue.put(None)

    async def _proofs(
        self, headers: Sequence[bytes], justification: bytes, changes: bool
    ) -> RelayRange:
        at = header_hash(headers[-1])
        if not changes:
            para = await self._view.read_proof([self._key], at)
            return RelayRange(headers, justification, para, None)
        para, change = await asyncio.gather(
            self._view.read_proof([self._key], at), self._view.read_proof(AUTHORITY_KEYS, at)
        )
        return RelayRange(headers, justification, para, change)

    async def _next(self, number: int, ends_set: bool, target: int) -> _Found | None:
        step = next_relay(number, ends_set, target, proves=self._proves, scan=self._scan)
        if isinstance(step, Prove):
            found = await self._prove(step)
            if found is not None:
                return found
            step = next_relay(number, ends_set, target, proves=False, scan=self._scan)
        return await self._scanned(step, target) if isinstance(step, Scan) else None

    async def _prove(self, step: Prove) -> _Found | None:
        proof, known = await asyncio.gather(
            self._view.finality_proof(step.after), self._view.headers(step.first, step.after)
        )
        if proof is None:
            self._proves = False
            return None
        with self._reading(f"relay blocks from {step.first}"):
            last = Justification.decode(proof.justification).commit.target_number
        if last < step.first:
            return None
        headers = [*known, *proof.headers]
        missing = step.first + len(headers)
        if missing <= last < step.first + _MAX_HEADERS:
            headers += await self._view.headers(missing, last)
        if len(headers) != last - step.first + 1:
            raise VerificationError(
                f"finality proof: {len(headers)} headers where {last - step.first + 1} lead to "
                f"the justified block",
                where=f"{self._view.url}, relay block {last}",
                hint="the endpoint lies, or its database is corrupt",
            )
        return headers, proof.justification

    async def _scanned(self, step: Scan, target: int) -> _Found | None:
        headers: list[bytes] = []
        last = step.last
        while True:
            fetched = await self._view.headers(step.first + len(headers), last)
            with self._reading(f"relay blocks {step.first + len(headers)} to {last}"):
                change = first_change(fetched)
            if change is not None:
                headers += fetched[: change + 1]
                justification = await self._justification(headers[-1])
                if justification is None:
                    raise SourceError(
                        f"relay block {step.first + len(headers) - 1} changes the authority set "
                        "and the node has no justification of it",
                        where=self._view.url,
                        hint="add an endpoint that has: each node must keep these",
                    )
                return headers, justification
            for end in range(len(fetched), 0, -_PROBE):
                part = fetched[max(0, end - _PROBE) : end]
                found = await asyncio.gather(*(self._justification(each) for each in part))
                for index in range(len(part) - 1, -1, -1):
                    justification = found[index]
                    if justification is not None:
                        return [*headers, *fetched[: end - len(part) + index + 1]], justification
            headers += fetched
            if last >= target or len(headers) >= _MAX_HEADERS:
                return None
            last = min(target, last + self._scan)

    async def _justification(self, header: bytes) -> bytes | None:
        block = await self._view.block(header_hash(header))
        return block.justifications.get(_GRANDPA)

    def _reading(self, block: str) -> AbstractContextManager[None]:
        return checking("shape", self._view.url, block)
