"""The transaction pool: what was submitted and is not in a block yet, as Substrate's pool holds it.

A transaction names tags that it provides and requires (an account's nonces, a message's
sequence); it is ready when what it requires is provided by the state or by others that are
ready, and waits among the future ones otherwise. Who watches one hears every step.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from prbkit.testing.devnet.blocks import Block, blake2_256
from prbkit.testing.devnet.runtime import InvalidTransaction, UndecodableExtrinsic, Validity

__all__ = ["Pool", "PoolError", "Watcher"]

Watcher = Callable[[Any], None]
"""Hears the statuses of an extrinsic as JSON: `"ready"`, `{"inBlock": hash}`, …"""

_TERMINAL = ("finalized", "finalityTimeout", "usurped", "dropped", "invalid")
_FINALITY_TIMEOUT = 512
"""Blocks after which a watcher of an included transaction is told that finality is late."""
_REVALIDATED = 256
"""Transactions that the runtime is asked about again after each block."""


class PoolError(Exception):
    """The pool does not take a transaction: code, message and data of the RPC's answer."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


@dataclass(slots=True, eq=False)
class _Transaction:
    hash: bytes
    data: bytes
    validity: Validity
    order: int
    asked: int = 0
    watchers: list[Watcher] = field(default_factory=list)

    def tell(self, status: Any) -> None:
        for watcher in tuple(self.watchers):
            watcher(status)
        name = status if isinstance(status, str) else next(iter(status))
        if name in _TERMINAL:
            self.watchers.clear()


def _last_asked(tx: _Transaction) -> tuple[int, int]:
    return tx.asked, tx.order


class Pool:
    """One chain's pool.

    :param validate: the runtime's word on an extrinsic on top of the best block.
    :param limit: transactions that may be ready; a tenth of that may wait as future ones.
    :param ban_seconds: for how long one that was included or invalid is refused unseen.
    :param peers: whom a ready transaction is said to be broadcast to.
    """

    def __init__(
        self,
        validate: Callable[[bytes], Validity],
        *,
        limit: int = 8192,
        limit_bytes: int = 20 * 1024 * 1024,
        ban_seconds: float = 1800.0,
        peers: tuple[str, ...] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._validate = validate
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._ban_seconds = ban_seconds
        self._peers = list(peers)
        self._clock = clock
        self._ready: dict[bytes, _Transaction] = {}
        self._future: dict[bytes, _Transaction] = {}
        self._provided: dict[bytes, _Transaction] = {}
        self._included: dict[bytes, tuple[_Transaction, Block]] = {}
        self._banned: dict[bytes, float] = {}
        self._order = 0
        self._round = 0

    # --- submitting ------------------------------------------------------------------------

    def submit(self, data: bytes, watcher: Watcher | None = None) -> bytes:
        """Take an extrinsic (with its compact length) in; its hash.

        :raises PoolError: with the code and text that a node answers.
        """
        tx_hash = blake2_256(data)
        if self.is_banned(tx_hash):
            raise PoolError(1012, "Transaction is temporarily banned")
        if tx_hash in self._ready or tx_hash in self._future:
            raise PoolError(1013, "Transaction Already Imported", f"0x{tx_hash.hex()}")
        try:
            validity = self._validate(data)
        except (InvalidTransaction, UndecodableExtrinsic) as refused:
            if isinstance(refused, InvalidTransaction):
                self.ban(tx_hash)
            raise PoolError(refused.code, refused.message, refused.data) from None
        if not validity.provides:
            raise PoolError(
                1019,
                "No tags provided",
                "Transaction does not provide any tags, so the pool can't identify it",
            )
        self._order += 1
        transaction = _Transaction(tx_hash, data, validity, self._order, self._round)
        if watcher is not None:
            transaction.watchers.append(watcher)
        self._import(transaction, check_limits=True)
        return tx_hash

    def unwatch(self, watcher: Watcher) -> None:
        """Stop telling a watcher anything."""
        known = (*self._ready.values(), *self._future.values())
        for transaction in (*known, *(tx for tx, _ in self._included.values())):
            if watcher in transaction.watchers:
                transaction.watchers.remove(watcher)

    def ban(self, tx_hash: bytes) -> None:
        now = self._clock()
        if len(self._banned) > 2 * self._limit:
            self._banned = {h: until for h, until in self._banned.items() if until > now}
        self._banned[tx_hash] = now + self._ban_seconds

    def is_banned(self, tx_hash: bytes) -> bool:
        until = self._banned.get(tx_hash)
        return until is not None and until > self._clock()

    # --- reading ---------------------------------------------------------------------------

    def ready(self) -> list[bytes]:
        """Give the ready extrinsics in the order in which blocks take them.

        Highest priority first, then the eldest, and none before what it requires.
        """
        return [tx.data for tx in self._sorted()]

    def future(self) -> list[bytes]:
        return [tx.data for tx in self._future.values()]

    def provided(self) -> list[bytes]:
        """Give the tags of the ready transactions, in the same order."""
        return [tag for tx in self._sorted() for tag in tx.validity.provides]

    def __contains__(self, tx_hash: bytes) -> bool:
        return tx_hash in self._ready or tx_hash in self._future

    def _sorted(self) -> list[_Transaction]:
        waiting: dict[bytes, int] = {}
        unlocks: dict[bytes, list[_Transaction]] = {}
        heap: list[tuple[int, int, _Transaction]] = []
        for tx in self._ready.values():
            needs = [tag for tag in tx.validity.requires if tag in self._provided]
            if needs:
                waiting[tx.hash] = len(needs)
                for tag in needs:
                    unlocks.setdefault(tag, []).append(tx)
            else:
                heapq.heappush(heap, (-tx.validity.priority, tx.order, tx))
        out = []
        while heap:
            *_, tx = heapq.heappop(heap)
            out.append(tx)
            for tag in tx.validity.provides:
                for other in unlocks.pop(tag, ()):
                    waiting[other.hash] -= 1
                    if not waiting[other.hash]:
                        heapq.heappush(heap, (-other.validity.priority, other.order, other))
        return out

    # --- what blocks do to it --------------------------------------------------------------

    def imported(self, retracted: Iterable[Block], enacted: Iterable[Block]) -> None:
        """Follow the best chain: take out what is included, put back what fell out."""
        enacted = tuple(enacted)
        satisfied: set[bytes] = set()
        for block in retracted:
            for data in block.extrinsics:
                self._retract(blake2_256(data), block)
        for block in enacted:
            for data in block.extrinsics:
                satisfied.update(self._include(blake2_256(data), block))
        if enacted:
            self._late(enacted[-1].number)
        self._revalidate(satisfied)

    def finalized(self, blocks: Iterable[Block]) -> None:
        """Tell watchers that their extrinsics are final."""
        for block in blocks:
            for data in block.extrinsics:
                found = self._included.get(blake2_256(data))
                if found is not None and found[1].hash == block.hash:
                    del self._included[found[0].hash]
                    found[0].tell({"finalized": "0x" + block.hash.hex()})

    def invalid(self, hashes: Iterable[bytes]) -> None:
        """Drop transactions that turned out invalid while a block was made."""
        for tx_hash in hashes:
            tx = self._remove(tx_hash)
            if tx is not None:
                self.ban(tx_hash)
                tx.tell("invalid")
        self._promote()

    def _include(self, tx_hash: bytes, block: Block) -> tuple[bytes, ...]:
        """Take out what a block includes; the tags that the chain provides from now on."""
        tx = self._remove(tx_hash)
        if tx is None:
            return ()
        self.ban(tx_hash)
        self._included[tx_hash] = (tx, block)
        tx.tell({"inBlock": "0x" + block.hash.hex()})
        return tx.validity.provides

    def _retract(self, tx_hash: bytes, block: Block) -> None:
        found = self._included.pop(tx_hash, None)
        if found is None:
            return
        tx, _ = found
        self._banned.pop(tx_hash, None)
        tx.tell({"retracted": "0x" + block.hash.hex()})
        self._future[tx_hash] = tx

    def _late(self, number: int) -> None:
        late = [
            h
            for h, (_, block) in self._included.items()
            if number - block.number > _FINALITY_TIMEOUT
        ]
        for tx_hash in late:
            tx, block = self._included.pop(tx_hash)
            tx.tell({"finalityTimeout": "0x" + block.hash.hex()})

    def _revalidate(self, satisfied: set[bytes]) -> None:
        """Ask the runtime again, on top of the new best block.

        Those first that wait for what the block did (the tags in `satisfied`), then the ones that
        were asked about longest ago, as many as a block's time allows.
        """
        waiting = [
            tx for tx in self._future.values() if not satisfied.isdisjoint(tx.validity.requires)
        ]
        eldest = sorted((*self._ready.values(), *self._future.values()), key=_last_asked)
        self._round += 1
        was_ready: set[bytes] = set()
        for tx in {tx.hash: tx for tx in (*waiting, *eldest[:_REVALIDATED])}.values():
            if tx.hash in self._ready:
                was_ready.add(tx.hash)
            self._remove(tx.hash)
            tx.asked = self._round
            try:
                tx.validity = self._validate(tx.data)
            except (InvalidTransaction, UndecodableExtrinsic) as refused:
                if not (isinstance(refused, InvalidTransaction) and refused.retry):
                    self.ban(tx.hash)
                    tx.tell("invalid")
                    continue
            self._future[tx.hash] = tx
        self._promote(silent=was_ready)

    # --- ready and future ------------------------------------------------------------------

    def _import(self, tx: _Transaction, *, check_limits: bool) -> None:
        missing = [tag for tag in tx.validity.requires if tag not in self._provided]
        if missing:
            if check_limits:
                self._check_room(self._future, tx, self._limit // 10, self._limit_bytes // 10)
            self._future[tx.hash] = tx
            tx.tell("future")
            return
        if check_limits:
            self._check_room(self._ready, tx, self._limit, self._limit_bytes)
        self._make_ready(tx)
        self._promote()

    def _check_room(
        self, among: Mapping[bytes, _Transaction], tx: _Transaction, count: int, size: int
    ) -> None:
        if len(among) >= count or sum(len(t.data) for t in among.values()) + len(tx.data) > size:
            raise PoolError(
                1016,
                "Immediately Dropped",
                "The transaction couldn't enter the pool because of the limit",
            )

    def _make_ready(self, tx: _Transaction, *, silent: bool = False) -> None:
        rivals = {
            rival.hash: rival
            for tag in tx.validity.provides
            if (rival := self._provided.get(tag)) is not None
        }
        if rivals:
            theirs = sum(rival.validity.priority for rival in rivals.values())
            if theirs >= tx.validity.priority:
                raise PoolError(
                    1014,
                    f"Priority is too low: ({theirs} vs {tx.validity.priority})",
                    "The transaction has too low priority to replace another transaction "
                    "already in the pool.",
                )
            for rival in rivals.values():
                self._remove(rival.hash)
                rival.tell({"usurped": "0x" + tx.hash.hex()})
        self._ready[tx.hash] = tx
        for tag in tx.validity.provides:
            self._provided[tag] = tx
        if not silent:
            tx.tell("ready")
            if self._peers:
                tx.tell({"broadcast": self._peers})

    def _promote(self, silent: Iterable[bytes] = ()) -> None:
        """Make those future ones ready whose requirements are met now."""
        quiet = set(silent)
        moved = True
        while moved:
            moved = False
            for tx in list(self._future.values()):
                if any(tag not in self._provided for tag in tx.validity.requires):
                    continue
                del self._future[tx.hash]
                try:
                    self._make_ready(tx, silent=tx.hash in quiet)
                except PoolError:
                    tx.tell("dropped")
                moved = True

    def _remove(self, tx_hash: bytes) -> _Transaction | None:
        tx = self._ready.pop(tx_hash, None)
        if tx is None:
            return self._future.pop(tx_hash, None)
        for tag in tx.validity.provides:
            if self._provided.get(tag) is tx:
                del self._provided[tag]
        return tx
