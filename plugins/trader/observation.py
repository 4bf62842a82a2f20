"""What the chain says of extrinsics: finalized blocks decide, the blocks before them are news.

A job ends by what a finalized block holds, or is freed once every block that could have held its
extrinsic was looked at (see `lane`). On the way it is told where the best chain has it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from functools import partial

from prbkit.errors import CodecError, SourceError, VerificationError
from prbkit.events import BalanceLow, Event
from prbkit.interfaces import Head, JobError, JobRecord, JobState

from .admission import Admission
from .best import BestBlocks
from .chain import Chain
from .config import TraderSettings
from .facts import Facts
from .journal import Freed, Journal
from .lane import Intent, Lane
from .lanes import Lanes
from .outbox import Outbox, record_of
from .outcome import Outcome
from .patience import persist
from .signing import Signing
from .vetting import Vetting

__all__ = ["Observation"]

log = logging.getLogger(__name__)

BEST = 3.0
"""Seconds between looks at the blocks that are not final yet."""


class Observation:
    """Follows the chain for all lanes.

    :param emit: brings an event to whoever listens in this process.
    """

    def __init__(
        self,
        settings: TraderSettings,
        chain: Chain,
        facts: Facts,
        journal: Journal,
        lanes: Lanes,
        outbox: Outbox,
        admission: Admission,
        vetting: Vetting,
        signing: Signing,
        emit: Callable[[Event], None],
    ) -> None:
        self._settings = settings
        self._chain = chain
        self._facts = facts
        self._journal = journal
        self._lanes = lanes
        self._outbox = outbox
        self._admission = admission
        self._vetting = vetting
        self._signing = signing
        self._emit = emit
        self._in_block: dict[bytes, Head] = {}
        """Where the best chain holds open extrinsics, by hash."""
        self._low: set[bytes] = set()
        """Accounts that have little left, and that an alarm was raised for."""

    async def follow(self) -> None:
        """Look at each finalized block as it comes; never returns while the chain goes on."""
        heads = self._chain.source.finalized_heads()
        try:
            async for head in heads:
                await persist(partial(self.observe, head.number))
                await self._vetting.end_strange(head)
                await self._admission.admit_freed()
        finally:
            if isinstance(heads, AsyncGenerator):
                await heads.aclose()

    async def watch_best(self) -> None:
        """Tell which jobs are in a block that is not final yet, and which fell out of one.

        Never returns.
        """
        best = BestBlocks(self._chain.source)
        while True:
            await asyncio.sleep(BEST)
            open_ = self._lanes.open()
            self._in_block = {h: at for h, at in self._in_block.items() if h in open_}
            if not open_:
                continue
            try:
                head = await self._chain.source.finalized_head()
                found = await best.find(head.number, open_)
            except (SourceError, VerificationError) as error:
                log.debug("cannot look at the best blocks: %s", error)
                continue
            for hash_, intent in open_.items():
                now, before = found.get(hash_), self._in_block.get(hash_)
                if hash_ not in self._lanes.open() or now == before:
                    continue
                if now is not None:
                    self._in_block[hash_] = now
                    self._outbox.tell_all(intent, JobState.IN_BLOCK, block=now)
                elif before is not None and before.number > head.number:
                    del self._in_block[hash_]
                    log.warning("0x%s fell out of a block that was retracted", hash_.hex())
                    self._outbox.tell_all(intent, JobState.SUBMITTED)

    async def observe(self, to: int) -> None:
        """Look at the finalized blocks that may hold an open intent."""
        while (number := self._lanes.next_block()) is not None and number <= to:
            block = await self._chain.scan(number)
            if block is None:
                break
            for lane in self._lanes:
                for intent, index in lane.block(number, block.extrinsics):
                    outcome = await self._chain.outcome(intent, block, index)
                    await self._finish(lane, intent, Head(number, block.hash), outcome)
                for intent in lane.expired():
                    await self._free(lane, intent)

        if self._lanes and (number is None or number > to):
            await self._heal(to)

    async def _heal(self, to: int) -> None:
        """Free at once what cannot be included since somebody else has used its nonce."""
        block = await self._chain.scan(to)
        if block is None:
            return
        for lane in self._lanes:
            try:
                nonce, free = await self._chain.account(lane.account, block.hash)
            except (SourceError, CodecError) as error:
                log.debug("cannot read a nonce: %s", error)  # the era's end does it too
                continue
            self._watch_balance(lane.account, free)
            for intent in lane.outrun(to, nonce):
                await self._free(lane, intent)

    def _watch_balance(self, account: bytes, free: int) -> None:
        """Raise an alarm once, before the account runs dry."""
        if free >= self._settings.low_balance:
            self._low.discard(account)
        elif account not in self._low:
            self._low.add(account)
            log.warning("0x%s has only %d base units left to pay fees", account.hex(), free)
            self._emit(BalanceLow(account=account, free=free))

    async def _finish(self, lane: Lane, intent: Intent, block: Head, outcome: Outcome) -> None:
        """End the jobs of an intent that a finalized block holds, each by its own calls."""
        records: list[JobRecord] = []
        made: list[str] = []
        start = 0
        for item in intent.items:
            share = outcome.errors[start : start + item.calls]
            start += item.calls
            first = next((error for error in share if error is not None), None)
            records.append(
                record_of(
                    item.job,
                    JobState.FINALIZED if first is None else JobState.FAILED,
                    extrinsic_hash=intent.hash,
                    block=block,
                    error=first or outcome.unknown,
                    errors=share,
                )
            )
            made += [n for n, error in zip(item.once, share, strict=False) if n and error is None]
        await self._journal.finish(intent, records, made)
        self._facts.settle(block.number)
        lane.close(intent)
        self._signing.forget(intent)
        for record in records:
            self._admission.end(record)
        self._lanes.wake(lane.account)

    async def _free(self, lane: Lane, intent: Intent) -> None:
        """Free the jobs of an intent whose era has passed; those tried too often end."""
        log.warning("0x%s is included nowhere, nonce %d", intent.hash.hex(), intent.nonce)
        again = [item for item in intent.items if item.attempt < self._settings.attempts]
        text = f"not included; it was for nonce {intent.nonce} before block {intent.death}"
        error = JobError(message=text)
        ended = [
            record_of(item.job, JobState.EXPIRED, extrinsic_hash=intent.hash, error=error)
            for item in intent.items
            if item.attempt >= self._settings.attempts
        ]
        await self._journal.free(intent, ended)
        self._signing.forget(intent)
        for record in ended:
            self._admission.end(record)
        for item in intent.items:
            lane.forget(item.order)
        for item in again:
            self._outbox.hold(item.job, JobState.QUEUED)
            self._outbox.tell(record_of(item.job, JobState.QUEUED))
            self._admission.again(lane, Freed(item.job, item.order, item.attempt + 1))
        self._lanes.wake(intent.account)
