"""What a runner knows and fetches from data providers: the committed index, documents, heights.

One provider leads: its index is mirrored, so that plans and documents fit together. When it fails
or falls behind another, the next best leads and the mirror is built anew; a document that the
leader does not give is asked of the others first.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prbkit.blobs import (
    CommittedIndex,
    Counters,
    Dispatch,
    Genesis,
    Planner,
    RelaySegment,
    SyncCombined,
    SyncHeaders,
    SyncParaHeaders,
    Wait,
    assemble,
    decode_genesis_info,
    decode_headers,
    header_hash,
    split_storage_changes,
)
from prbkit.errors import CodecError, PeerUnknown, PrbError, TransportError
from prbkit.wire import METHODS

from .cache import SharedCache
from .pruntime import BlockFeed, Feed, HeaderFeed, ParaFeed, RelayFeed

if TYPE_CHECKING:
    from prbkit.interfaces import Transport

    from .settings import LifecycleSettings

__all__ = ["Feeder", "GenesisFacts", "Heights"]

INFO_INTERVAL = 3.0
INFO_TIMEOUT = 8.0
INDEX_TIMEOUT = 30.0
FRESH_FOR = 30.0
"""Seconds that a provider's word on the chains' heights holds."""

FAR_BEHIND = 4
"""Times the slack that a provider may lose before its workers stop acting."""

SWITCH_AT = 32
"""Para blocks that another provider must have more to take the lead."""

SHUN_FOR = 10.0
"""Seconds that a provider which failed comes after the others."""

FETCHES_AT_ONCE = 16
RETRY = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Heights:
    """A provider's heights, when it told them (monotonic seconds), and how long that took."""

    relay_target: int
    relay_committed: int
    para_target: int
    para_committed: int
    at: float
    took: float


@dataclass(frozen=True, slots=True)
class GenesisFacts:
    """What pRuntime is initialised with; `relay_hash` is that of the relay block it begins at."""

    info: bytes
    state: bytes
    relay_hash: bytes


class Feeder:
    """The view of a runner on its data providers."""

    def __init__(
        self,
        transport: Transport,
        settings: LifecycleSettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._settings = settings
        self._clock = clock
        self._cache = SharedCache(
            most_bytes=settings.cache_bytes,
            most_entries=settings.cache_blobs,
            age=settings.cache_age,
            clock=clock,
        )
        self._heights: dict[str, Heights] = {}
        self._failed: dict[str, float] = {}
        self._leader: str | None = None
        self._index: CommittedIndex | None = None
        self._growth = asyncio.Event()
        self._fetches = asyncio.Semaphore(FETCHES_AT_ONCE)
        self.version = 0
        """Grows with the index."""

    async def run(self) -> None:
        """Mirror until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch_heights())
                group.create_task(self._mirror())
        finally:
            await self._cache.close()

    # --- where the chains are

    @property
    def begun(self) -> bool:
        """Whether a data provider has told what it has."""
        return self._index is not None

    @property
    def last_para(self) -> int:
        """The last para block that is committed, −1 where none is."""
        return -1 if self._index is None else self._index.para_next - 1

    def caught_up(self) -> bool:
        """Whether what is committed is, within the slack, what the chains have now."""
        return self._within(1)

    def far_behind(self) -> bool:
        return not self._within(FAR_BEHIND)

    def why_behind(self) -> str:
        """What a person should know of the providers."""
        heights = None if self._leader is None else self._heights.get(self._leader)
        if heights is None:
            return "no data provider answers"
        if self._clock() - heights.at > FRESH_FOR:
            return "the data provider does not answer any more"
        if not (heights.relay_target and heights.para_target):
            return "the data provider has not heard yet how far the chains are"
        return (
            f"the data provider is at relay block {heights.relay_committed} of "
            f"{heights.relay_target}, para block {heights.para_committed} of {heights.para_target}"
        )

    def _within(self, times: int) -> bool:
        heights = None if self._leader is None else self._heights.get(self._leader)
        if heights is None or self._clock() - heights.at > FRESH_FOR * times:
            return False
        relay = heights.relay_target - heights.relay_committed
        para = heights.para_target - heights.para_committed
        return (
            heights.relay_target > 0
            and heights.para_target > 0
            and relay <= self._settings.relay_slack * times
            and para <= self._settings.para_slack * times
        )

    async def grown(self, version: int) -> None:
        """Wait until the index is newer than `version`."""
        while self.version == version:
            await self._growth.wait()

    # --- what workers are fed with

    async def next_feed(self, counters: Counters, budget: int) -> Feed | None:
        """The next request for a worker, None while nothing is to be sent.

        :raises TransportError: if a document cannot be had.
        """
        if self._index is None:
            return None
        request = Planner(budget).next_request(counters, self._index)
        if isinstance(request, Wait):
            return None
        index = self._index

        async def make() -> tuple[Feed, int]:
            return await self._make(request, index)

        return await self._cache.get(request, make)

    async def genesis(self) -> GenesisFacts:
        async def make() -> tuple[GenesisFacts, int]:
            blob = await self._fetch("prbkit/genesis")
            document = Genesis.decode(blob)
            header = decode_genesis_info(document.info)[0]
            facts = GenesisFacts(document.info, document.state, header_hash(header))
            return facts, len(blob)

        return await self._cache.get("genesis", make)

    async def para_header(self, number: int) -> bytes:
        """The SCALE header of a committed para block."""
        [header] = decode_headers(await self._blob(f"prbkit/para/{number}/{number}"))
        return header

    async def changes(self, first: int, last: int) -> Sequence[bytes]:
        """SCALE StorageChanges of the committed para blocks first … last."""
        blob = await self._blob(f"prbkit/changes/{first}/{last}")
        return split_storage_changes(blob)

    async def _make(
        self,
        request: SyncHeaders | SyncParaHeaders | SyncCombined | Dispatch,
        index: CommittedIndex,
    ) -> tuple[Feed, int]:
        match request:
            case SyncHeaders(first, last):
                relay = await self._relay(first, last, index)
                return relay, _size(relay)
            case SyncParaHeaders(first, last, relay_last):
                para = await self._para(first, last, relay_last, index)
                return para, _size(para)
            case SyncCombined(first, last, para_first, para_last):
                relay = await self._relay(first, last, index)
                para = ParaFeed(_NO_HEADERS, ())
                if para_last >= para_first:
                    para = await self._para(para_first, para_last, last, index)
                return HeaderFeed(relay, para), _size(relay) + _size(para)
            case Dispatch(first, last):
                headers = await self._blob(f"prbkit/para/{first}/{last}")
                changes = await self._blob(f"prbkit/changes/{first}/{last}")
                blocks = assemble(request, para_headers=headers, changes=changes)
                return BlockFeed(blocks), len(blocks)

    async def _relay(self, first: int, last: int, index: CommittedIndex) -> RelayFeed:
        segments = await self._segments(first, last, index)
        body = assemble(SyncHeaders(first, last), segments)
        # prpc wants the two parts of a SyncHeaderReq apart: it ends with Option<change>.
        change = segments[-1].change
        return RelayFeed(body[: -1 - len(change or b"")], change)

    async def _para(
        self, first: int, last: int, relay_last: int, index: CommittedIndex
    ) -> ParaFeed:
        segments = await self._segments(relay_last, relay_last, index)
        headers = await self._blob(f"prbkit/para/{first}/{last}")
        body = assemble(SyncParaHeaders(first, last, relay_last), segments, headers)
        return ParaFeed(body[: -len(segments[-1].proof)], tuple(segments[-1].proof_nodes()))

    async def _segments(
        self, first: int, last: int, index: CommittedIndex
    ) -> Sequence[RelaySegment]:
        entries = index.segments(first, last)
        return await asyncio.gather(*(self._segment(entry.last) for entry in entries))

    async def _segment(self, last: int) -> RelaySegment:
        async def make() -> tuple[RelaySegment, int]:
            blob = await self._fetch(f"prbkit/relay/{last}")
            return RelaySegment.decode(blob), len(blob)

        return await self._cache.get(("segment", last), make)

    async def _blob(self, key: str) -> bytes:
        async def make() -> tuple[bytes, int]:
            blob = await self._fetch(key)
            return blob, len(blob)

        return await self._cache.get(key, make)

    async def _fetch(self, key: str) -> bytes:
        """A blob from the leader, or from whoever has it."""
        failure: PrbError | None = None
        for peer_id in self._ranked():
            try:
                async with self._fetches:
                    blob = await self._transport.get_blob(
                        peer_id, key, timeout=self._settings.blob_timeout
                    )
            except TransportError as error:
                failure = error
                self._failed[peer_id] = self._clock()
                continue
            if blob is not None:
                return blob
        if failure is not None:
            raise failure
        raise PeerUnknown("no data provider has a document that is needed", where=key)

    # --- the mirror

    def _ranked(self) -> list[str]:
        """Providers, the leader first, then by what they have and how fast they answer."""
        known = {peer.peer_id for peer in self._transport.peers("data_provider")}

        def rank(peer_id: str) -> tuple[bool, bool, int, float]:
            failed = self._has_failed(peer_id)
            heights = self._heights.get(peer_id)
            if heights is None:
                return (failed, True, 0, 0.0)
            led = peer_id == self._leader
            return (failed, not led, -heights.para_committed, heights.took)

        return sorted(known, key=rank)

    def _has_failed(self, peer_id: str) -> bool:
        return self._clock() - self._failed.get(peer_id, -SHUN_FOR) < SHUN_FOR

    async def _watch_heights(self) -> None:
        while True:
            peers = {peer.peer_id for peer in self._transport.peers("data_provider")}
            for told in (self._heights, self._failed):
                for gone in told.keys() - peers:
                    del told[gone]
            await asyncio.gather(*(self._ask_heights(peer_id) for peer_id in peers))
            await asyncio.sleep(INFO_INTERVAL)

    async def _ask_heights(self, peer_id: str) -> None:
        method = METHODS["GetDataProviderInfo"]
        started = self._clock()
        try:
            info = await self._transport.call(
                peer_id, "GetDataProviderInfo", method.request(), timeout=INFO_TIMEOUT
            )
        except TransportError as error:
            log.debug("data provider %s: %s", peer_id, error)
            return
        now = self._clock()
        self._heights[peer_id] = Heights(
            relay_target=info.parent_target,  # type: ignore[attr-defined]
            relay_committed=info.parent_committed_height,  # type: ignore[attr-defined]
            para_target=info.para_target,  # type: ignore[attr-defined]
            para_committed=info.para_committed_height,  # type: ignore[attr-defined]
            at=now,
            took=now - started,
        )

    async def _mirror(self) -> None:
        while True:
            self._choose()
            if self._leader is None:
                await asyncio.sleep(RETRY)
                continue
            try:
                await self._extend(self._leader)
            except TransportError as error:
                log.warning("the data provider %s does not answer: %s", self._leader, error)
                self._failed[self._leader] = self._clock()
                await asyncio.sleep(RETRY)
            except CodecError as error:
                log.warning(
                    "the index of %s does not fit, it is read anew: %s", self._leader, error
                )
                self._index = None
                await asyncio.sleep(RETRY)

    def _choose(self) -> None:
        """Let another provider lead where the leader failed or is far behind it."""
        ranked = self._ranked()
        if not ranked:
            return
        best = ranked[0]
        if best == self._leader:
            better = [
                p for p in ranked[1:] if self._committed(p) >= self._committed(best) + SWITCH_AT
            ]
            if not better or self._has_failed(better[0]):
                return
            best = better[0]
        log.info("the data provider %s leads", best)
        self._leader = best
        # Providers cut segments where they like: two indexes do not mix.
        self._index = None

    def _committed(self, peer_id: str) -> int:
        heights = self._heights.get(peer_id)
        return 0 if heights is None else heights.para_committed

    async def _extend(self, leader: str) -> None:
        index = self._index
        relay, para = (0, 0) if index is None else (index.relay_next, index.para_next)
        wait = "" if index is None else "/wait"
        blob = await self._transport.get_blob(
            leader, f"prbkit/index/{relay}/{para}{wait}", timeout=INDEX_TIMEOUT
        )
        if blob is None:
            await asyncio.sleep(RETRY)
            return
        if index is None:
            self._index = CommittedIndex.decode(blob)
            grew = True
        else:
            grew = index.extend(blob) > 0
        if not grew:
            # A provider that does not wait when it is asked to must not be asked in a hot loop.
            await asyncio.sleep(RETRY)
            return
        self.version += 1
        self._growth.set()
        self._growth = asyncio.Event()


_NO_HEADERS = b"\0"


def _size(feed: RelayFeed | ParaFeed) -> int:
    if isinstance(feed, RelayFeed):
        return len(feed.headers) + len(feed.change or b"")
    return len(feed.headers) + sum(map(len, feed.proof))
