"""Keeps `ChainState` current: one read at a committed block, then the changes of each next block.

A worker's chain state is asked for only once it is synced, so nothing is read before the data
provider has caught up; a runner that fell far behind reads anew instead of following each block.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from prbkit.blobs import header_hash
from prbkit.errors import PrbError, StateDiscarded
from prbkit.scale import Metadata

from .chainstate import ChainState
from .onchain import WorkerOnChain

if TYPE_CHECKING:
    from prbkit.interfaces import ServiceContext

    from .feed import Feeder

__all__ = ["Follower"]

FOLLOW_AT_MOST = 300
"""Blocks behind which a fresh read is cheaper than the changes between."""

CHANGES_AT_ONCE = 16
RETRY = 3.0

log = logging.getLogger(__name__)


class Follower:
    """The chain as all workers of a runner see it.

    :param feeder: gives committed para blocks.
    """

    def __init__(self, context: ServiceContext, feeder: Feeder) -> None:
        self._context = context
        self._feeder = feeder
        self._state: ChainState | None = None
        self._workers: set[bytes] = set()
        self._origins: set[bytes] = set()
        self._asked = asyncio.Event()

    @property
    def block(self) -> int:
        """The para block that the picture is of; −1 while there is none."""
        return -1 if self._state is None else self._state.block

    def watch(self, public_key: bytes) -> None:
        self._workers.add(public_key)
        self._asked.set()

    def unwatch(self, public_key: bytes) -> None:
        """Forget a worker; its keys leave the picture when it is read anew."""
        self._workers.discard(public_key)

    def worker(self, public_key: bytes) -> WorkerOnChain | None:
        return None if self._state is None else self._state.worker(public_key)

    def next_sequence(self, origin: bytes) -> int | None:
        """What the chain wants next of a sender; begins to watch it when first asked."""
        if origin not in self._origins:
            self._origins.add(origin)
            self._asked.set()
        return None if self._state is None else self._state.next_sequence(origin)

    async def run(self) -> None:
        """Follow until cancelled; after an error begin with a fresh read."""
        while True:
            try:
                await self._follow()
            except StateDiscarded as error:
                log.warning("the para chain's state is not there any more: %s", error)
            except PrbError as error:
                log.warning("cannot follow the chain's state: %s", error)
            self._state = None
            await asyncio.sleep(RETRY)

    async def _follow(self) -> None:
        feeder = self._feeder
        while True:
            version = feeder.version
            self._asked.clear()
            if feeder.caught_up() and (self._workers or self._origins):
                behind = feeder.last_para - self.block
                if self._state is None or behind > FOLLOW_AT_MOST:
                    self._state = await self._begin(feeder.last_para)
                elif behind > 0:
                    await self._advance(self._state, feeder.last_para)
                else:
                    await self._complete(self._state)
            await self._wait(version)

    async def _wait(self, version: int) -> None:
        """Until there is a block to follow or a key to read; a change of heights tells nobody."""
        grown = asyncio.ensure_future(self._feeder.grown(version))
        asked = asyncio.ensure_future(self._asked.wait())
        try:
            await asyncio.wait({grown, asked}, timeout=RETRY, return_when=asyncio.FIRST_COMPLETED)
        finally:
            grown.cancel()
            asked.cancel()

    def _missing(self, state: ChainState) -> list[bytes]:
        for public_key in self._workers:
            state.watch_worker(public_key)
        for origin in self._origins:
            state.watch_origin(origin)
        return list(state.missing())

    async def _begin(self, block: int) -> ChainState:
        state = ChainState(await self._metadata(block), block)
        await self._complete(state)
        return state

    async def _advance(self, state: ChainState, last: int) -> None:
        """Apply the blocks up to `last`; a session that began on the way is read at once."""
        while state.block < last:
            first = state.block + 1
            until = min(state.block + CHANGES_AT_ONCE, last)
            for number, changes in enumerate(await self._feeder.changes(first, until), first):
                state.apply(number, changes)
                if state.upgraded:
                    state = self._state = state.renewed(await self._metadata(number))
                await self._complete(state)

    async def _complete(self, state: ChainState) -> None:
        """Read what is watched and not known, at the block that the picture is of."""
        source = await self._context.source("para")
        # A session's keys are known only once its binding is.
        while missing := self._missing(state):
            at = await self._hash(state.block)
            state.fill(missing, await source.storage_many(missing, at))

    async def _metadata(self, block: int) -> Metadata:
        source = await self._context.source("para")
        raw = await source.metadata(await self._hash(block))
        return await asyncio.to_thread(Metadata, raw)

    async def _hash(self, block: int) -> bytes:
        return header_hash(await self._feeder.para_header(block))
