"""Keeps the archive up to the chains: fetch, verify, commit, again and again, over all faults.

Two loops, one a chain. The relay loop commits segments; the parachain loop reads the proven head
out of the segment that reaches furthest beyond what is committed and commits the blocks below
it. Each pass takes one endpoint, so whose answer was false is known: that one is passed over for
a while and the next is taken. Nothing is written before it is verified, so a pass may be
abandoned at any point.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from prbkit.blobs import genesis_info, header_hash, storage_state
from prbkit.blobs.documents import Genesis, RelaySegment
from prbkit.errors import (
    BlockNotFound,
    CodecError,
    PrbError,
    SourceError,
    StoreError,
    VerificationError,
    WrongChain,
)
from prbkit.events import BlockFetched, Event, RangeCommitted
from prbkit.interfaces import ChainSource, Head, Role
from prbkit.light import Header

from .archive import Archive
from .facts import RelayRange, RelayTip
from .genesis import ParaOrigin, fetch_para_origin, fetch_relay_origin
from .keep import ready_state
from .para import feed_para
from .relay import RelayFetcher
from .sample import check_sample
from .settings import DataProviderSettings
from .state import ParaState, StateLostError, StateRow
from .trust import Trust
from .verify import checking, read_para_head, verify_relay

__all__ = ["Follower"]

log = logging.getLogger(__name__)

_T = TypeVar("_T")

_IDLE = 30.0
"""Longest wait for news: a loop looks again by itself then."""


class Follower:
    """Follows both chains into an archive.

    :param emit: where events go.
    """

    def __init__(
        self,
        archive: Archive,
        relay: ChainSource,
        para: ChainSource,
        settings: DataProviderSettings,
        emit: Callable[[Event], None],
    ) -> None:
        self._archive = archive
        self._sources: dict[Role, ChainSource] = {"relay": relay, "para": para}
        self._settings = settings
        self._emit = emit
        self._trust: dict[Role, Trust] = {
            "relay": Trust(settings.distrust),
            "para": Trust(settings.distrust),
        }
        self._state: ParaState | None = None
        self._verify: Literal["off", "sampled", "full"] = (
            "full" if settings.verify_state == "auto" else settings.verify_state
        )
        self._choice = random.SystemRandom()
        self._news = asyncio.Event()
        self.target: dict[Role, int] = {"relay": 0, "para": 0}
        self.fetched: dict[Role, int] = {"relay": 0, "para": 0}
        self.trouble: dict[Role, str | None] = {"relay": None, "para": None}
        self.set_changes = 0

    async def run(self) -> None:
        """Follow until cancelled. Raises `StoreError` where the store itself is broken."""
        if not self._archive.begun:
            await self._persist("relay", self._begin, "the beginning")
        await self._persist("para", self._same_chain)
        self._recall()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._heads("relay"))
            group.create_task(self._heads("para"))
            group.create_task(self._loop("relay", self._relay_pass))
            group.create_task(self._loop("para", self._para_pass))

    def endpoints(self, role: Role) -> list[dict[str, Any]]:
        """How the endpoints of a chain do, as plain JSON; `caught`: how often one gave false data.

        Of a URL only scheme and host are told: what stands behind them may be a secret.
        """
        caught = self._trust[role].offences()
        return [
            asdict(health) | {"url": _shown(health.url), "caught": caught.get(health.url, 0)}
            for health in self._sources[role].health()
        ]

    def _recall(self) -> None:
        relay, para = self._archive.relay, self._archive.para
        self.fetched = {"relay": relay.number, "para": para.number}
        index = self._archive.index
        if len(index):
            first = index.segment(0).set_id
            self.set_changes = relay.authorities.set_id - first

    # --- beginning ---

    async def _begin(self) -> None:
        """Fetch, check and commit the genesis document."""
        para = await self._ask("para", self._para_origin)
        origin = await self._ask(
            "relay", lambda view: fetch_relay_origin(self._sources["relay"].views(), view, para)
        )
        authorities = origin.authorities
        info = genesis_info(
            origin.relay_header, authorities.authorities, authorities.set_id, origin.proof
        )
        tip = origin.tip
        genesis = Genesis(para.para_id, tip.number, info, storage_state(para.pairs))
        await self._archive.commit_genesis(genesis, para.header, tip)
        log.info("parachain %d begins at relay block %d", para.para_id, tip.number)

    async def _same_chain(self) -> None:
        """Refuse to go on in a store that holds another chain."""
        (header,) = await self._archive.headers(0, 0)
        stored, told = header_hash(header), await self._sources["para"].block_hash(0)
        if told is not None and told != stored:
            raise WrongChain(
                f"the store holds the parachain of genesis 0x{stored.hex()}, "
                f"the endpoint's is 0x{told.hex()}",
                where=self._sources["para"].url,
                hint="set another `store`, or the right endpoints",
            )

    async def _para_origin(self, view: ChainSource) -> ParaOrigin:
        return await fetch_para_origin(self._sources["para"].views(), view)

    # --- passes ---

    async def _relay_pass(self) -> bool:
        """Commit what is finalized beyond the relay tip; whether there was anything."""
        tip, genesis = self._archive.relay, self._archive.genesis
        target = self.target["relay"]
        if target <= tip.number:
            return False
        start = tip.number

        async def attempt(view: ChainSource) -> bool:
            async def take(raw: RelayRange) -> None:
                await self._commit_relay(raw, genesis.para_id, view.url)

            current = self._archive.relay
            fetcher = RelayFetcher(
                view,
                genesis.para_id,
                scan=self._settings.relay_scan,
                ahead=self._settings.fetch_ahead,
            )
            tip = Head(current.number, current.hash)
            await fetcher.feed(tip, current.ends_set, target, take)
            return self._archive.relay.number > start

        # An endpoint may lack the justification that the next one has.
        return await self._ask("relay", attempt, enough=bool)

    async def _commit_relay(self, raw: RelayRange, para_id: int, endpoint: str) -> None:
        tip = self._archive.relay
        last = tip.number + len(raw.headers)
        self._fetched("relay", last)
        after = await verify_relay(tip, raw, para_id, endpoint)
        change = None
        if raw.change_proof is not None:
            sets = after.authorities
            change = (sets.authorities, sets.set_id, raw.change_proof)
        segment = await asyncio.to_thread(
            RelaySegment.make,
            raw.headers,
            set_id=tip.authorities.set_id,
            justification=raw.justification,
            para_number=after.para.number,
            proof=raw.para_proof,
            change=change,
        )
        await self._archive.commit_relay(segment, after)
        self.set_changes += after.ends_set
        self._emit(RangeCommitted(role="relay", first=segment.first, last=segment.last))
        self._wake()

    async def _para_pass(self) -> bool:
        """Commit the parachain up to the newest proven head; whether there was anything."""
        tip, relay = self._archive.para, self._archive.relay
        if relay.para.number <= tip.number:
            return False
        head = await self._next_head(tip, relay)
        if self._verify == "full":
            await self._ready_state(tip)

        async def attempt(view: ChainSource) -> None:
            async def take(first: int, headers: Sequence[bytes], changes: Sequence[bytes]) -> None:
                await self._commit_para(first, headers, changes, view)

            current = self._archive.para
            await feed_para(
                view,
                current,
                head,
                batch=self._settings.para_batch,
                ahead=self._settings.fetch_ahead,
                take=take,
            )

        await self._ask("para", attempt)
        return True

    async def _next_head(self, tip: Head, relay: RelayTip) -> Head:
        """The proven head that the next pass goes up to.

        The newest of all while it is near; far behind, the head of the first segment that
        reaches beyond the tip, so that a pass holds the headers of one segment at most.
        """
        if relay.para.number - tip.number <= 4 * self._settings.para_batch:
            return relay.para
        index, genesis = self._archive.index, self._archive.genesis
        low, high = 0, len(index) - 1
        while low < high:  # para numbers rise with the segments
            middle = (low + high) // 2
            if (index.segment(middle).para_number or 0) > tip.number:
                high = middle
            else:
                low = middle + 1
        segment = await self._archive.segment(index.segment(low).last)
        if segment is None:
            raise StoreError("a segment is missing", where=f"relay {index.segment(low).last}")
        with checking("para head proof", "the store", f"relay block {segment.last}"):
            root = Header.decode(segment.headers()[-1]).state_root
            header = read_para_head(root, segment.proof_nodes(), genesis.para_id)
        return Head(Header.decode(header).number, header_hash(header))

    async def _commit_para(
        self, first: int, headers: Sequence[bytes], changes: Sequence[bytes], view: ChainSource
    ) -> None:
        last = first + len(headers) - 1
        endpoint = view.url
        self._fetched("para", last)
        if len(headers) != len(changes):
            raise VerificationError(
                f"{len(changes)} storage changes for {len(headers)} blocks", where=endpoint
            )
        rows: list[StateRow] | None = None
        if self._state is not None:
            try:
                with checking("state root", endpoint, f"para blocks {first} to {last}"):
                    rows = await asyncio.to_thread(self._state.apply, headers, changes)
            except BaseException as error:
                cause = error.__cause__
                if isinstance(cause, StateLostError) or not isinstance(error, PrbError):
                    self._state = None
                raise
        elif self._verify == "sampled":
            await check_sample(view, headers, changes, self._choice)
        try:
            await self._archive.commit_para(first, headers, changes, rows)
        except BaseException:
            self._state = None  # it is ahead of the archive now
            raise
        self._emit(RangeCommitted(role="para", first=first, last=last))
        self._wake()

    async def _ready_state(self, tip: Head) -> None:
        """Have the parachain's state after `tip` in memory, unless it is too big for `auto`."""
        if self._state is not None and self._state.number == tip.number:
            return
        limit = self._settings.verify_state_limit
        size = len(self._archive.genesis.state) + self._archive.index.changes_size(1, tip.number)
        if self._settings.verify_state == "auto" and size > limit:
            log.warning(
                "storage changes are checked by samples alone from para block %d on: the state "
                "may be over %d bytes (data_provider.verify_state_limit)",
                tip.number + 1,
                limit,
            )
            self._verify, self._state = "sampled", None
            return
        self._state = await ready_state(self._archive, tip.number, self._settings.para_batch)

    # --- how ---

    async def _heads(self, role: Role) -> None:
        """Keep the target of a chain: its newest finalized block."""
        async for head in self._sources[role].finalized_heads():
            self.target[role] = head.number
            self._wake()

    async def _loop(self, role: Role, step: Callable[[], Awaitable[bool]]) -> None:
        while True:
            news = self._news
            if not await self._persist(role, step):
                try:
                    async with asyncio.timeout(_IDLE):
                        await news.wait()
                except TimeoutError:
                    continue

    async def _persist(
        self, role: Role, step: Callable[[], Awaitable[_T]], what: str | None = None
    ) -> _T:
        """Do a step until it succeeds, pausing longer after each failure.

        :param what: of what a failure is told, where it is not of that chain alone.
        """
        pause = self._settings.retry_first
        while True:
            before = self._height(role)
            try:
                done = await step()
            except PrbError as error:
                if self._height(role) > before:
                    pause = self._settings.retry_first
                self._trouble(role, error, what or f"{role} chain")
                await asyncio.sleep(pause)
                pause = min(2 * pause, self._settings.retry_most)
            else:
                self.trouble[role] = None
                return done

    async def _ask(
        self,
        role: Role,
        attempt: Callable[[ChainSource], Awaitable[_T]],
        enough: Callable[[_T], bool] = lambda _: True,
    ) -> _T:
        """Make an attempt with one endpoint after the other, until one succeeds.

        :param enough: whether a result is final, or the next endpoint is asked for more.
        """
        loop = asyncio.get_running_loop()
        errors: list[PrbError] = []
        views = self._sources[role].views()
        trusted = self._trust[role].trusted(views, loop.time())
        results: list[_T] = []
        for view in trusted:
            try:
                results.append(await attempt(view))
            except* (SourceError, VerificationError, CodecError, StoreError) as group:
                error = _first(group)
            else:
                if enough(results[-1]):
                    return results[-1]
                continue
            if isinstance(error, StoreError):
                raise error
            errors.append(error)
            if not isinstance(error, SourceError):
                pause = self._trust[role].refuse(view.url, loop.time())
                log.error("%s; it is not asked for %d s", error, pause)
            elif len(trusted) > 1:
                log.warning("%s", error)
        if results:
            return results[-1]
        false = [error for error in errors if isinstance(error, VerificationError)]
        if errors:
            raise (false or errors)[0]
        raise SourceError(
            f"no {role} endpoint is trusted at the moment",
            where=", ".join(view.url for view in views),
            hint="each gave false data; add one that does not",
        )

    def _height(self, role: Role) -> int:
        if not self._archive.begun:
            return -1
        return self._archive.relay.number if role == "relay" else self._archive.para.number

    def _trouble(self, role: Role, error: PrbError, what: str) -> None:
        text = str(error)
        if text != self.trouble[role]:
            waits = isinstance(error, BlockNotFound)
            log.log(logging.INFO if waits else logging.WARNING, "%s: %s", what, text)
        self.trouble[role] = text

    def _fetched(self, role: Role, number: int) -> None:
        self.fetched[role] = number
        self._emit(BlockFetched(role=role, number=number))

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


def _shown(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _first(group: BaseExceptionGroup[PrbError]) -> PrbError:
    """The error of a group that says most: a false answer rather than a missing one."""
    leaves: list[PrbError] = []

    def gather(inner: BaseExceptionGroup[PrbError]) -> None:
        for error in inner.exceptions:
            if isinstance(error, BaseExceptionGroup):
                gather(error)
            else:
                leaves.append(error)

    gather(group)
    order = (StoreError, VerificationError, CodecError)
    return min(
        leaves,
        key=lambda e: next((n for n, kind in enumerate(order) if isinstance(e, kind)), len(order)),
    )
