"""Fetches relay segments from one endpoint, ahead of their verification.

What it hands on is not believed by anyone: `verify.verify_relay` is. Where the next segment
begins depends only on the last header of the one before, so fetching runs ahead meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from prbkit.blobs import header_hash
from prbkit.errors import SourceError, VerificationError
from prbkit.interfaces import ChainSource, Head
from prbkit.light import Justification, check_chain, scheduled_change

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
        tip: Head,
        ends_set: bool,
        target: int,
        take: Callable[[RelayRange], Awaitable[None]],
    ) -> None:
        """Give `take` the segments that follow a relay block, in order, up to `target`.

        :param ends_set: block `tip` schedules a change of authorities.
        :raises ExceptionGroup: of `SourceError`, of `VerificationError` for answers that cannot
            be right, and of what `take` raises.
        """
        queue: asyncio.Queue[asyncio.Task[RelayRange] | None] = asyncio.Queue(self._ahead)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._produce(tip, ends_set, target, queue, group))
            while (task := await queue.get()) is not None:
                await take(await task)

    async def _produce(
        self,
        tip: Head,
        ends_set: bool,
        target: int,
        queue: asyncio.Queue[asyncio.Task[RelayRange] | None],
        group: asyncio.TaskGroup,
    ) -> None:
        while (found := await self._next(tip, ends_set, target)) is not None:
            headers, justification = found
            tip = self._chained(tip, headers)
            ends_set = scheduled_change(headers[-1]) is not None
            proofs = self._proofs(headers, tip.hash, justification, ends_set)
            await queue.put(group.create_task(proofs))
        await queue.put(None)

    def _chained(self, tip: Head, headers: Sequence[bytes]) -> Head:
        """Check that headers follow a block by their hashes; the last one.

        Verification does so too. Here it keeps us from asking about blocks that a false header
        made up: that the node does not know them would not say that it lies.
        """
        last = tip.number + len(headers)
        with checking("parent chain", self._view.url, f"relay blocks {tip.number + 1} to {last}"):
            return Head(last, check_chain(headers, tip.hash, tip.number + 1))

    async def _proofs(
        self, headers: Sequence[bytes], at: bytes, justification: bytes, changes: bool
    ) -> RelayRange:
        if not changes:
            para = await self._view.read_proof([self._key], at)
            return RelayRange(headers, justification, para, None)
        async with asyncio.TaskGroup() as group:
            para_proof = group.create_task(self._view.read_proof([self._key], at))
            change = await self._view.read_proof(AUTHORITY_KEYS, at)
        para = await para_proof
        return RelayRange(headers, justification, para, change)

    async def _next(self, tip: Head, ends_set: bool, target: int) -> _Found | None:
        step = next_relay(tip.number, ends_set, target, proves=self._proves, scan=self._scan)
        if isinstance(step, Prove):
            found = await self._prove(step)
            if found is not None:
                return found
            step = next_relay(tip.number, ends_set, target, proves=False, scan=self._scan)
        return await self._scanned(tip, step, target) if isinstance(step, Scan) else None

    async def _prove(self, step: Prove) -> _Found | None:
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(self._view.finality_proof(step.after))
            known = await self._view.headers(step.first, step.after)
        proof = await asked
        if proof is None:
            self._proves = False
            return None
        with checking("justification", self._view.url, f"relay blocks from {step.first}"):
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

    async def _scanned(self, tip: Head, step: Scan, target: int) -> _Found | None:
        headers: list[bytes] = []
        last = step.last
        while True:
            fetched = await self._view.headers(step.first + len(headers), last)
            tip = self._chained(tip, fetched)
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
            headers += fetched
            if last >= target or len(headers) >= _MAX_HEADERS:
                return await self._newest_justified(headers)
            # The set's last block is further on: one segment for all of the set.
            last = min(target, last + self._scan)

    async def _newest_justified(self, headers: Sequence[bytes]) -> _Found | None:
        for end in range(len(headers), 0, -_PROBE):
            part = headers[max(0, end - _PROBE) : end]
            async with asyncio.TaskGroup() as group:
                found = [group.create_task(self._justification(each)) for each in part]
            for index in range(len(part) - 1, -1, -1):
                justification = found[index].result()
                if justification is not None:
                    return headers[: end - len(part) + index + 1], justification
        return None

    async def _justification(self, header: bytes) -> bytes | None:
        block = await self._view.block(header_hash(header))
        return block.justifications.get(_GRANDPA)
