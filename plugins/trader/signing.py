"""Signing and submitting: how a lane's batches become extrinsics that a node has.

No bytes go to a node before the journal has them, and before the queue knows whose jobs they
carry: whoever comes after this process must be able to look for them, or know that it cannot.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import replace

from prbkit.errors import (
    CodecError,
    PrbError,
    QueueError,
    RpcError,
    SignerError,
    SourceError,
    VerificationError,
)
from prbkit.interfaces import JobError, JobState, Pool, TradeQueue

from .admission import Admission
from .calls import batch_call, owner, serving
from .chain import Chain, Cost, Runtime, extrinsic_hash
from .config import TraderSettings
from .facts import Facts
from .journal import Freed, Journal
from .lane import Batch, Intent, Lane
from .outbox import Outbox, record_of
from .patience import pause
from .tenure import Tenure

__all__ = ["Signing"]

log = logging.getLogger(__name__)

ALREADY_IMPORTED = 1013
"""JSON-RPC code of a pool that has these very bytes."""


class Signing:
    """Serves lanes: signs what is due and submits it, while the lease is held."""

    def __init__(
        self,
        settings: TraderSettings,
        chain: Chain,
        facts: Facts,
        queue: TradeQueue,
        journal: Journal,
        tenure: Tenure,
        outbox: Outbox,
        admission: Admission,
    ) -> None:
        self._settings = settings
        self._chain = chain
        self._facts = facts
        self._queue = queue
        self._journal = journal
        self._tenure = tenure
        self._outbox = outbox
        self._admission = admission
        self._untold: set[bytes] = set()
        """Hashes of intents that the queue has not been told of: they must not go out yet."""

    def restore(self, intent: Intent) -> None:
        """Have the queue told of an intent of a former life before it goes out again."""
        self._untold.add(intent.hash)

    def forget(self, intent: Intent) -> None:
        """Note that an intent is not open any more."""
        self._untold.discard(intent.hash)

    async def run(self, lane: Lane, woken: asyncio.Event) -> None:
        """Serve a lane; never returns."""
        while True:
            await self._tenure.wait()
            woken.clear()
            for intent in lane.to_submit(time.monotonic()):
                await self._submit(lane, intent)
            while (batch := lane.next_batch(time.monotonic())) is not None:
                await self._sign(lane, batch)
            at = lane.wake_at()
            try:
                async with asyncio.timeout(None if at is None else max(0.0, at - time.monotonic())):
                    await woken.wait()
            except TimeoutError:
                pass

    async def _sign(self, lane: Lane, batch: Batch) -> None:
        """Sign a batch, write it to the journal, submit it."""
        signer = self._facts.signer_of(lane.account)
        try:
            runtime, pools, born = await self._facts.now()
            batch = await self._remade(lane, batch, runtime, pools)
            if not batch.entries:
                lane.drop(batch)
                return
            call = batch_call(runtime.metadata, batch)
            nonce = lane.nonce(await self._chain.source.account_nonce(lane.account))
            period = self._settings.era_period
            cost = await self._chain.cost(
                runtime, call, signer, born=born, period=period, nonce=nonce
            )
            if (reason := too_much(self._settings, cost, batch, runtime)) is not None:
                await self._cut(lane, batch, reason)
                return
            extrinsic = await self._chain.sign(
                runtime,
                call,
                signer,
                born=born,
                period=period,
                nonce=nonce,
                tip=self._settings.tip,
            )
        except (SignerError, CodecError) as error:
            # Nothing has left this process, so these jobs end here.
            lane.drop(batch)
            await self._admission.fail([entry.job for entry in batch.entries], str(error))
            return
        except (SourceError, VerificationError) as error:
            log.warning("cannot sign for 0x%s now: %s", lane.account.hex(), error)
            lane.put_back(batch)
            await pause()
            return
        intent = Intent(
            account=lane.account,
            nonce=nonce,
            hash=extrinsic_hash(extrinsic),
            extrinsic=extrinsic,
            birth=born.number,
            death=born.number + self._settings.era_period,
            real=batch.real,
            items=tuple(entry.item for entry in batch.entries),
        )
        if not self._tenure.held:
            lane.put_back(batch)
            return
        await self._journal.begin(intent, await self._chain.genesis_hash())
        self._untold.add(intent.hash)
        lane.signed(intent, time.monotonic())
        log.info("signed %d calls as 0x%s, nonce %d", intent.calls, intent.hash.hex(), nonce)
        self._outbox.tell_all(intent, JobState.BATCHED)
        await self._submit(lane, intent)

    async def _cut(self, lane: Lane, batch: Batch, reason: str) -> None:
        """Make smaller batches; a job that is too much alone ends."""
        if len(batch.entries) > 1:
            log.info("a batch of %d jobs is cut: %s", len(batch.entries), reason)
            lane.shrink(sum(len(entry.calls) for entry in batch.entries))
            lane.put_back(batch)
        else:
            lane.drop(batch)
            await self._admission.fail([entry.job for entry in batch.entries], reason)

    async def _remade(
        self, lane: Lane, batch: Batch, runtime: Runtime, pools: Mapping[int, Pool]
    ) -> Batch:
        """Leave out the jobs of pools that have changed; make calls again for a new runtime."""
        entries = []
        for entry in batch.entries:
            job, version = entry.job, runtime.version.spec_version
            try:
                pool = serving(pools, job)
                if pool.operator not in (None, lane.account) or batch.real != owner(
                    pool, lane.account
                ):
                    self._admission.again(lane, Freed(job, entry.order, entry.attempt))
                    continue
                if entry.spec_version != version:
                    made = await self._admission.remake(job, runtime, pool)
                    if not made.calls:
                        continue
                    entry = replace(entry, calls=made.calls, once=made.once, spec_version=version)
            except PrbError as error:
                await self._admission.fail([job], str(error))
                continue
            entries.append(entry)
        return Batch(tuple(entries), batch.real)

    async def _submit(self, lane: Lane, intent: Intent) -> None:
        """Broadcast an intent's bytes. Whatever the answer, only finalized blocks decide."""
        if not await self._told(intent):
            lane.refused(intent.hash, time.monotonic())
            return
        try:
            await self._chain.source.submit(intent.extrinsic)
        except RpcError as error:
            text = f"{error.message} {error.data or ''}".strip()
            if error.rpc_code == ALREADY_IMPORTED:
                lane.submitted(intent.hash, time.monotonic())
                return
            exhausts = "exhaust" in text.lower()
            if lane.refused(intent.hash, time.monotonic(), exhausts=exhausts):
                log.warning("0x%s is refused for now: %s", intent.hash.hex(), text)
                self._outbox.tell_all(intent, JobState.BATCHED, error=JobError(message=text))
        except SourceError as error:
            log.warning("cannot submit 0x%s now: %s", intent.hash.hex(), error)
            lane.refused(intent.hash, time.monotonic())
        else:
            if lane.submitted(intent.hash, time.monotonic()):
                self._outbox.tell_all(intent, JobState.SUBMITTED)

    async def _told(self, intent: Intent) -> bool:
        """Have the queue know who has signed these jobs, before a node may see the bytes."""
        if intent.hash in self._untold:
            records = [
                record_of(item.job, JobState.BATCHED, extrinsic_hash=intent.hash)
                for item in intent.items
            ]
            try:
                await self._queue.report(records)
            except QueueError as error:
                log.warning("cannot report jobs: %s", error)
                return False
            self._untold.discard(intent.hash)
        return self._tenure.held


def too_much(settings: TraderSettings, cost: Cost, batch: Batch, runtime: Runtime) -> str | None:
    """Tell why an extrinsic must not be made as it is; None where it may."""
    if cost.too_big(runtime.metadata):
        return f"too big for a block: {cost.length} bytes, weight {cost.weight}"
    caps = [settings.fee_caps.get(e.job.pid, settings.fee_cap) for e in batch.entries]
    cap = min((cap for cap in caps if cap is not None), default=None)
    if cap is not None and cost.fee + settings.tip > cap:
        return f"it would cost {cost.fee + settings.tip}, and the fee cap is {cap}"
    return None
