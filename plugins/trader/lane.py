"""The trader's heart: what one signing account does, as plain decisions without I/O.

A lane holds an account's jobs in the order they came, cuts them into batches, chooses nonces,
and follows each signed extrinsic (an `Intent`) through the finalized blocks of its era::

    job ──add──▶ pending ──next_batch──▶ being signed ──signed──▶ open ──close──▶ ended
                    ▲                        │                      │
                    └───────put_back─────────┘        no block held it, and its era is over
                                                      (`expired`) or its nonce used by another
                                                      (`outrun`): its jobs may be added again

The law it keeps: a job is in one place only, and leaves `open` in two ways alone: a finalized
block holds the extrinsic, or every finalized block that could have held it was looked at and none
did (`_Open.seen_to`). What a node's pool says moves nothing. An extrinsic with a mortal era is
valid in the blocks birth + 1 … death - 1, where death = birth + period (`sp_runtime::generic::
Era`): later, another block's hash is signed, so its signature no longer holds.

The order of jobs is kept for each account they act for (`real`); batches with different ones
may overtake each other.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from prbkit.interfaces import TradeJob

__all__ = ["Batch", "Entry", "Intent", "Item", "Lane", "Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a lane: see `TraderSettings`."""

    batch_calls: int = 100
    batch_age: float = 6.0
    batch_quiet: float | None = None
    max_in_flight: int = 4
    resubmit_after: float = 12.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A job that waits to be signed.

    `order` numbers jobs as they came and stays the same when they are signed again; `since` is
    when it was added (clock of the caller); `solo` keeps it out of batches with others. One that
    is `held` waits, and those of its `real` behind it, until it is taken out. `once` has the
    `OnceCall` names of its calls.
    """

    job: TradeJob
    calls: tuple[bytes, ...]
    real: bytes | None
    order: int
    since: float
    attempt: int = 1
    solo: bool = False
    held: bool = False
    spec_version: int = 0
    once: tuple[str | None, ...] = ()

    @property
    def item(self) -> Item:
        return Item(self.job, len(self.calls), self.order, self.attempt, self.once)


@dataclass(frozen=True, slots=True)
class Batch:
    """What goes into one extrinsic: jobs of one `real`, in order."""

    entries: tuple[Entry, ...]
    real: bytes | None


@dataclass(frozen=True, slots=True)
class Item:
    """A job's share of an intent: how many of its calls are this job's, and their names."""

    job: TradeJob
    calls: int
    order: int
    attempt: int
    once: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Intent:
    """A signed extrinsic. It can be in the blocks birth + 1 … death - 1 and in no other."""

    account: bytes
    nonce: int
    hash: bytes
    extrinsic: bytes
    birth: int
    death: int
    real: bytes | None
    items: tuple[Item, ...]

    @property
    def calls(self) -> int:
        return sum(item.calls for item in self.items)


@dataclass(slots=True)
class _Open:
    intent: Intent
    seen_to: int
    """All finalized blocks up to this one were looked at, and none held it."""
    submit_at: float
    accepted: bool = False
    found: bool = False


@dataclass(slots=True)
class Lane:
    """One signing account's jobs and extrinsics. `account` is its id (32 bytes)."""

    account: bytes
    limits: Limits
    _pending: list[Entry] = field(default_factory=list)
    _expected: set[int] = field(default_factory=set)
    _open: dict[bytes, _Open] = field(default_factory=dict)
    _signing: int = 0
    _shrunk: int = 0

    # --- jobs in, batches out --------------------------------------------------------------------

    def add(self, entry: Entry) -> None:
        """Let a job wait for its batch, in its place."""
        self._expected.discard(entry.order)
        bisect.insort(self._pending, entry, key=lambda each: each.order)

    def release(self, order: int) -> bool:
        """Take out a job that is held, to be added again; False where it is not there."""
        left = [entry for entry in self._pending if entry.order != order or not entry.held]
        if len(left) == len(self._pending):
            return False
        self._pending = left
        self.expect(order)
        return True

    def expect(self, order: int) -> None:
        """Make no batch until this job is added again, or forgotten: it must not be overtaken."""
        self._expected.add(order)

    def forget(self, order: int) -> None:
        """Wait no longer for a job to be added again."""
        self._expected.discard(order)

    def next_batch(self, now: float) -> Batch | None:
        """Take out the next batch that is due; the caller signs it, or puts it back."""
        if self._full():
            return None
        for entries, full in self._batches():
            if full or now >= self._due(entries):
                self._signing += 1
                taken = {entry.order for entry in entries}
                self._pending = [entry for entry in self._pending if entry.order not in taken]
                return Batch(tuple(entries), entries[0].real)
        return None

    def put_back(self, batch: Batch) -> None:
        """Undo `next_batch`: nothing was signed."""
        self._signing -= 1
        for entry in batch.entries:
            self.add(entry)

    def drop(self, batch: Batch) -> None:
        """End a batch that cannot be signed; the caller ends its jobs."""
        self._signing -= 1

    def nonce(self, next_index: int) -> int:
        """Choose a nonce, given the account's next index by the node (its pool counted in).

        The lowest one that no open intent has: where an intent expired, its nonce is free again
        and those above it wait for it.
        """
        taken = {each.intent.nonce for each in self._open.values()}
        while next_index in taken:
            next_index += 1
        return next_index

    def signed(self, intent: Intent, now: float) -> None:
        """Follow an extrinsic that has been written to the journal; it is to be submitted now."""
        self._signing -= 1
        self.restore(intent, now)

    def restore(self, intent: Intent, now: float) -> None:
        """Follow an extrinsic of a former life: from its birth, since nothing else is known."""
        self._open[intent.hash] = _Open(intent, seen_to=intent.birth, submit_at=now)

    # --- submission ------------------------------------------------------------------------------

    def to_submit(self, now: float) -> Sequence[Intent]:
        """Extrinsics to broadcast now, first time or again, lowest nonce first."""
        due = [each for each in self._open.values() if each.submit_at <= now and not each.found]
        return sorted((each.intent for each in due), key=lambda intent: intent.nonce)

    def submitted(self, hash: bytes, now: float) -> bool:  # noqa: A002
        """Note that a node has it in its pool. True where none had it before."""
        each = self._open.get(hash)
        if each is None:
            return False
        each.submit_at = now + self.limits.resubmit_after
        first, each.accepted = not each.accepted, True
        return first

    def refused(self, hash: bytes, now: float, *, exhausts: bool = False) -> bool:  # noqa: A002
        """Note that a node did not take it, or did not answer. True where none ever took it.

        It stays open: another node, or this one before its answer was lost, may hold it. With
        `exhausts` (too big for a block) later batches are halved.
        """
        each = self._open.get(hash)
        if each is None:
            return False
        each.submit_at = now + self.limits.resubmit_after
        if exhausts:
            self.shrink(each.intent.calls)
        return not each.accepted

    def shrink(self, calls: int) -> None:
        """Halve later batches, since one of so many calls was too big; they grow back slowly."""
        if calls > 1:
            self._shrunk = max(1, min(calls, self._limit()) // 2)

    # --- finalized blocks ------------------------------------------------------------------------

    def next_block(self) -> int | None:
        """Lowest finalized block that has to be looked at; None where nothing is open."""
        return min((each.seen_to + 1 for each in self._open.values()), default=None)

    def block(self, number: int, extrinsics: Mapping[bytes, int]) -> Sequence[tuple[Intent, int]]:
        """Look at a finalized block: hash → index of its extrinsics.

        Gives the intents that it holds, each with its index; they stay open until `close`. A
        block out of turn moves nothing.
        """
        found = []
        for hash_, each in self._open.items():
            if each.seen_to + 1 != number:
                continue
            if hash_ in extrinsics:
                each.found = True
                found.append((each.intent, extrinsics[hash_]))
            else:
                each.seen_to = number
        return sorted(found, key=lambda pair: pair[1])

    def expired(self) -> Sequence[Intent]:
        """Take out the intents that no block can hold any more, lowest nonce first.

        Their jobs are expected to be added again.
        """
        return self._drop_where(lambda each: each.seen_to >= each.intent.death - 1)

    def outrun(self, number: int, next_nonce: int) -> Sequence[Intent]:
        """Take out the intents whose nonce another extrinsic has used, lowest nonce first.

        :param number: a finalized block.
        :param next_nonce: the account's nonce after it. One below can be used by no later block;
            so an intent that has it, and is in no block up to this one, is in none.
        """
        return self._drop_where(
            lambda each: each.seen_to >= number and each.intent.nonce < next_nonce
        )

    def _drop_where(self, gone_for_good: Callable[[_Open], bool]) -> Sequence[Intent]:
        gone = [
            each.intent for each in self._open.values() if not each.found and gone_for_good(each)
        ]
        for intent in gone:
            del self._open[intent.hash]
            self._expected.update(item.order for item in intent.items)
        return sorted(gone, key=lambda intent: intent.nonce)

    def close(self, intent: Intent) -> None:
        """Forget an intent whose outcome is in the journal."""
        del self._open[intent.hash]
        if self._shrunk and 2 * intent.calls >= self._shrunk:
            self._shrunk += max(1, self._shrunk // 8)
            if self._shrunk >= self.limits.batch_calls:
                self._shrunk = 0

    # --- what is there ---------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        return not (self._pending or self._open or self._signing)

    @property
    def pending(self) -> Sequence[Entry]:
        return tuple(self._pending)

    @property
    def open(self) -> Sequence[Intent]:
        return tuple(each.intent for each in self._open.values())

    def wake_at(self) -> float | None:
        """When `next_batch` or `to_submit` will have something, unless something happens first."""
        times = [each.submit_at for each in self._open.values() if not each.found]
        if not self._full():
            for entries, full in self._batches():
                times.append(0.0 if full else self._due(entries))
        return min(times, default=None)

    def _full(self) -> bool:
        in_flight = len(self._open) + self._signing
        return bool(self._expected) or in_flight >= self.limits.max_in_flight

    def _due(self, entries: Sequence[Entry]) -> float:
        """When a batch waits no longer for more: soon where nothing else is on its way."""
        due = entries[0].since + self.limits.batch_age
        if self.limits.batch_quiet is not None and not self._open and not self._signing:
            due = min(due, entries[-1].since + self.limits.batch_quiet)
        return due

    def _limit(self) -> int:
        return self._shrunk or self.limits.batch_calls

    def _batches(self) -> Iterable[tuple[list[Entry], bool]]:
        """The next batch of each `real`, and whether it would grow no more."""
        groups: dict[bytes | None, list[Entry]] = {}
        closed: set[bytes | None] = set()
        for entry in self._pending:
            if entry.real in closed:
                continue
            if entry.held:
                closed.add(entry.real)
                continue
            group = groups.setdefault(entry.real, [])
            calls = sum(len(each.calls) for each in group)
            if group and (entry.solo or calls + len(entry.calls) > self._limit()):
                closed.add(entry.real)
                continue
            group.append(entry)
            if entry.solo or calls + len(entry.calls) >= self._limit():
                closed.add(entry.real)
        return [(group, real in closed) for real, group in groups.items()]
