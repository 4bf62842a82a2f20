"""The lane against a model ledger: whatever chain, node and process do, each job is done once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from prbkit.interfaces import TradeJob
from prbkit_plugins.trader.lane import Batch, Entry, Intent, Item, Lane, Limits

ACCOUNT = b"\xaa" * 32
PERIOD = 4
START = 10


def job(number: int) -> TradeJob:
    return TradeJob(key=f"{number}", pid=1, action="CALL", payload={}, created_at=0.0)


def entry(
    order: int, calls: int = 1, real: bytes | None = None, *, since: float = 0.0, solo: bool = False
) -> Entry:
    return Entry(job(order), (b"call",) * calls, real, order, since, solo=solo)


def intent(nonce: int, *entries: Entry, birth: int = 0, period: int = 64) -> Intent:
    items = tuple(Item(e.job, len(e.calls), e.order, e.attempt) for e in entries)
    name = bytes([nonce, birth]) * 16
    return Intent(ACCOUNT, nonce, name, b"xt" + name, birth, birth + period, None, items)


def orders(batch: Batch | None) -> list[int] | None:
    return None if batch is None else [each.order for each in batch.entries]


def test_a_batch_goes_when_its_first_job_is_old_enough_whatever_came_after() -> None:
    lane = Lane(ACCOUNT, Limits(batch_age=6.0))
    lane.add(entry(0, since=100.0))
    lane.add(entry(1, since=105.9))
    assert lane.next_batch(105.99) is None
    assert lane.wake_at() == 106.0
    assert orders(lane.next_batch(106.0)) == [0, 1]
    assert lane.wake_at() is None


def test_a_full_batch_goes_at_once_and_no_job_is_split() -> None:
    lane = Lane(ACCOUNT, Limits(batch_calls=5, batch_age=6.0))
    for order, calls in enumerate((2, 2, 2, 3, 9, 1)):
        lane.add(entry(order, calls))
    taken = [orders(lane.next_batch(0.0)) for _ in range(4)]
    assert taken == [[0, 1], [2, 3], [4], None]


def test_jobs_for_different_accounts_never_share_a_batch() -> None:
    lane = Lane(ACCOUNT, Limits(batch_age=0.0))
    for order in range(6):
        lane.add(entry(order, real=b"r" * 32 if order % 2 else None))
    first, second = lane.next_batch(0.0), lane.next_batch(0.0)
    assert (orders(first), orders(second)) == ([0, 2, 4], [1, 3, 5])


def test_a_job_that_makes_batches_itself_goes_alone_and_in_its_turn() -> None:
    lane = Lane(ACCOUNT, Limits(batch_age=0.0))
    for order in range(4):
        lane.add(entry(order, solo=order == 1))
    assert [orders(lane.next_batch(0.0)) for _ in range(3)] == [[0], [1], [2, 3]]


def test_a_batch_goes_early_when_all_is_quiet_and_nothing_is_on_its_way() -> None:
    lane = Lane(ACCOUNT, Limits(batch_age=6.0, batch_quiet=1.0))
    for order, since in enumerate((10.0, 10.5)):
        lane.add(entry(order, since=since))
    assert lane.next_batch(11.4) is None
    assert lane.wake_at() == 11.5
    assert orders(lane.next_batch(11.5)) == [0, 1]
    lane.signed(intent(0, entry(0)), 11.5)
    lane.add(entry(2, since=12.0))
    assert lane.next_batch(17.9) is None
    assert orders(lane.next_batch(18.0)) == [2]


def test_no_more_extrinsics_are_made_than_may_be_in_flight() -> None:
    lane = Lane(ACCOUNT, Limits(batch_calls=1, max_in_flight=2))
    for order in range(3):
        lane.add(entry(order))
    first, second = lane.next_batch(0.0), lane.next_batch(0.0)
    assert first
    assert second
    assert lane.next_batch(0.0) is None
    made = intent(0, *first.entries)
    lane.signed(made, 0.0)
    assert lane.next_batch(0.0) is None
    lane.put_back(second)
    assert orders(lane.next_batch(0.0)) == [1]
    lane.close(made)
    assert orders(lane.next_batch(0.0)) == [2]


def test_a_nonce_is_the_lowest_that_no_open_extrinsic_has() -> None:
    lane = Lane(ACCOUNT, Limits())
    assert lane.nonce(7) == 7
    for nonce in (7, 8, 10):
        lane.restore(intent(nonce, entry(nonce)), 0.0)
    assert lane.nonce(7) == 9
    assert lane.nonce(11) == 11
    lane.close(intent(7, entry(7)))
    assert lane.nonce(7) == 7


def test_an_extrinsic_ends_by_being_found_or_by_every_block_of_its_era() -> None:
    lane = Lane(ACCOUNT, Limits())
    lost, kept = intent(0, entry(0), birth=5, period=4), intent(1, entry(1), birth=6, period=4)
    lane.restore(lost, 0.0)
    lane.restore(kept, 0.0)
    assert lane.next_block() == 6
    assert not lane.block(8, {lost.hash: 0}), "a block out of turn"
    assert not lane.block(6, {})
    assert not lane.block(7, {})
    assert not lane.expired()
    assert lane.block(8, {kept.hash: 3}) == [(kept, 3)]
    assert lane.expired() == [lost], "8 is the last block that could hold it"
    assert lane.block(8, {kept.hash: 3}) == [(kept, 3)], "found until it is closed"
    assert not lane.expired()
    lane.close(kept)
    assert lane.idle


def test_an_extrinsic_whose_nonce_others_used_ends_once_every_block_was_looked_at() -> None:
    lane = Lane(ACCOUNT, Limits())
    stolen, kept = intent(7, entry(0), birth=5), intent(8, entry(1), birth=5)
    for made in (stolen, kept):
        lane.restore(made, 0.0)
    lane.block(6, {})
    assert not lane.outrun(7, 8), "block 7 may hold it"
    assert not lane.outrun(6, 7)
    lane.block(7, {})
    assert lane.outrun(7, 8) == [stolen]
    assert lane.open == (kept,)
    lane.add(entry(2))
    assert lane.next_batch(99.0) is None, "its job comes before"
    lane.add(entry(0))
    assert orders(lane.next_batch(99.0)) == [0, 2]


def test_the_same_bytes_are_broadcast_until_the_chain_has_them() -> None:
    lane = Lane(ACCOUNT, Limits(resubmit_after=12.0))
    made = intent(0, entry(0))
    lane.restore(made, 1.0)
    assert lane.to_submit(0.0) == []
    assert lane.to_submit(1.0) == [made]
    assert lane.refused(made.hash, 1.0), "no node ever took it"
    assert lane.wake_at() == 13.0
    assert lane.to_submit(13.0) == [made]
    assert lane.submitted(made.hash, 13.0)
    assert not lane.refused(made.hash, 25.0)
    assert not lane.submitted(made.hash, 37.0)
    lane.block(1, {made.hash: 2})
    assert lane.to_submit(1000.0) == []


def test_batches_shrink_when_one_is_too_big_for_a_block() -> None:
    lane = Lane(ACCOUNT, Limits(batch_calls=100, max_in_flight=9))
    made = intent(0, entry(0, 100))
    lane.restore(made, 0.0)
    lane.refused(made.hash, 0.0, exhausts=True)
    for order in range(1, 121):
        lane.add(entry(order))
    batch = lane.next_batch(0.0)
    assert batch
    assert len(batch.entries) == 50
    lane.drop(batch)
    for nonce in range(1, 9):
        lane.restore(intent(nonce, entry(0, 100)), 0.0)
        lane.close(intent(nonce, entry(0, 100)))
    for order in range(200, 320):
        lane.add(entry(order))
    batch = lane.next_batch(0.0)
    assert batch
    assert len(batch.entries) == 100, "it has grown back"


class World(RuleBasedStateMachine):
    """One account on one chain: forks, lost answers, foreign senders, dropped pools, restarts."""

    @initialize(in_flight=st.sampled_from([1, 2, 4]), calls=st.integers(1, 4))
    def begin(self, in_flight: int, calls: int) -> None:
        self.limits = Limits(
            batch_calls=calls, batch_age=2.0, max_in_flight=in_flight, resubmit_after=3.0
        )
        self.lane = Lane(ACCOUNT, self.limits)
        self.now = 0.0
        self.numbers: Iterator[int] = itertools.count()
        self.orders: dict[str, int] = {}
        self.reals: dict[str, bytes | None] = {}
        # The chain: each block holds the (nonce, intent or None for a foreign extrinsic).
        self.blocks: list[list[tuple[int, Intent | None]]] = [[] for _ in range(START + 1)]
        self.finalized = START
        self.pool: dict[bytes, Intent] = {}
        self.anywhere: dict[bytes, Intent] = {}
        # The journal.
        self.open: dict[bytes, Intent] = {}
        self.free: dict[str, int] = {}
        self.done: dict[str, int] = {}
        self.disturbed = False

    # --- what the trader does

    @rule(calls=st.integers(1, 5), real=st.sampled_from([None, b"r"]), solo=st.booleans())
    def job_arrives(self, calls: int, real: bytes | None, solo: bool) -> None:
        order = next(self.numbers)
        new = replace(entry(order, calls, real), since=self.now, solo=solo)
        self.orders[new.job.key], self.reals[new.job.key] = order, real
        self.free[new.job.key] = calls
        self.lane.add(new)

    @rule(seconds=st.sampled_from([0.5, 2.0, 5.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def sign(self) -> None:
        batch = self.lane.next_batch(self.now)
        if batch is None:
            return
        assert len({each.real for each in batch.entries}) == 1
        nonce = self.lane.nonce(self.next_index())
        birth = self.finalized
        name = f"{nonce}/{birth}/{'+'.join(each.job.key for each in batch.entries)}"
        items = tuple(Item(e.job, len(e.calls), e.order, e.attempt) for e in batch.entries)
        made = Intent(ACCOUNT, nonce, name.encode(), b"", birth, birth + PERIOD, batch.real, items)
        assert made.hash not in self.open
        for item in items:
            del self.free[item.job.key]  # raises where a job is in two places
        self.open[made.hash] = made
        self.lane.signed(made, self.now)

    @rule()
    def signing_fails(self) -> None:
        batch = self.lane.next_batch(self.now)
        if batch is not None:
            self.lane.put_back(batch)

    @rule(held=st.booleans(), answered=st.booleans())
    def submit(self, held: bool, answered: bool) -> None:
        for made in self.lane.to_submit(self.now):
            if held:
                self.pool[made.hash] = self.anywhere[made.hash] = made
            if held and answered:
                self.lane.submitted(made.hash, self.now)
            else:
                self.lane.refused(made.hash, self.now)

    @rule(blocks=st.integers(1, 6))
    def look(self, blocks: int) -> None:
        for _ in range(blocks):
            number = self.lane.next_block()
            if number is None or number > self.finalized:
                return
            hashes = {
                made.hash: at
                for at, (_, made) in enumerate(self.blocks[number])
                if made is not None
            }
            for found, _ in self.lane.block(number, hashes):
                del self.open[found.hash]
                for item in found.items:
                    self.done[item.job.key] = self.done.get(item.job.key, 0) + 1
                self.lane.close(found)
            self.freed(self.lane.expired())

    @rule()
    def heal(self) -> None:
        """As the trader does: at the finalized head, once everything up to it was looked at."""
        number = self.lane.next_block()
        if number is not None and number > self.finalized:
            used = sum(len(block) for block in self.blocks[: self.finalized + 1])
            self.freed(self.lane.outrun(self.finalized, used))

    def freed(self, intents: Sequence[Intent]) -> None:
        for gone in intents:
            self.disturbed = True
            del self.open[gone.hash]
            for item in gone.items:
                self.free[item.job.key] = item.calls
                again = entry(item.order, item.calls, gone.real, since=self.now)
                self.lane.add(replace(again, attempt=item.attempt + 1))

    @rule()
    def the_trader_dies(self) -> None:
        self.lane = Lane(ACCOUNT, self.limits)
        for made in self.open.values():
            self.lane.restore(made, self.now)
        for key, calls in self.free.items():
            self.lane.add(entry(self.orders[key], calls, self.reals[key], since=self.now))

    # --- what the world does

    @rule(take=st.sets(st.integers(0, 7)), foreign=st.booleans(), wide=st.booleans())
    def a_block(self, take: set[int], foreign: bool, wide: bool) -> None:
        """Build a block of what anyone may still know: pools of other nodes too."""
        number, nonce = len(self.blocks), self.state_nonce()
        body: list[tuple[int, Intent | None]] = []
        if foreign:
            body.append((nonce, None))
            nonce += 1
        source = self.anywhere if wide else self.pool
        while True:
            fitting = [
                made
                for made in source.values()
                if made.nonce == nonce and made.birth < number < made.death
            ]
            if not fitting or nonce % 8 not in take:
                break
            body.append((nonce, fitting[-1]))
            nonce += 1
        self.blocks.append(body)

    @precondition(lambda self: len(self.blocks) - 1 > self.finalized)
    @rule(data=st.data())
    def a_fork_loses(self, data: st.DataObject) -> None:
        keep = data.draw(st.integers(self.finalized, len(self.blocks) - 1))
        del self.blocks[keep + 1 :]

    @precondition(lambda self: len(self.blocks) - 1 > self.finalized)
    @rule(data=st.data())
    def finality(self, data: st.DataObject) -> None:
        self.finalized = data.draw(st.integers(self.finalized, len(self.blocks) - 1))

    @rule()
    def the_pool_is_emptied(self) -> None:
        self.pool.clear()

    # --- the law

    @invariant()
    def no_call_is_included_twice(self) -> None:
        counted = self.included()
        assert len(counted) == len(set(counted))

    @invariant()
    def no_job_is_lost(self) -> None:
        held = [item.job.key for made in self.open.values() for item in made.items]
        places = [*held, *self.free, *self.done]
        assert sorted(places) == sorted(self.orders)

    @invariant()
    def order_is_kept(self) -> None:
        # With several in flight, one whose era passes is overtaken by those behind it.
        if self.limits.max_in_flight > 1 and self.disturbed:
            return
        for real in (None, b"r"):
            mine = [self.orders[key] for key in self.included() if self.reals[key] == real]
            assert mine == sorted(mine)

    def teardown(self) -> None:
        """Be kind from now on: every job must end."""
        for _ in range(200 + 40 * len(self.orders)):
            if len(self.done) == len(self.orders):
                break
            self.now += 5.0
            for _ in range(4):
                self.sign()
            self.submit(held=True, answered=True)
            self.a_block(set(range(8)), foreign=False, wide=False)
            self.finalized = len(self.blocks) - 1
            self.look(100)
            self.no_call_is_included_twice()
            self.no_job_is_lost()
        assert set(self.done) == set(self.orders)
        assert set(self.done.values()) <= {1}
        assert sorted(self.included()) == sorted(self.orders)

    def included(self) -> list[str]:
        """Keys of jobs in the finalized chain, in order."""
        return [
            item.job.key
            for block in self.blocks[: self.finalized + 1]
            for _, made in block
            if made is not None
            for item in made.items
        ]

    def state_nonce(self) -> int:
        return sum(len(block) for block in self.blocks)

    def next_index(self) -> int:
        """`system_accountNextIndex`: the best block's nonce, and what is ready in the pool."""
        nonce = self.state_nonce()
        nonces = {made.nonce for made in self.pool.values() if made.death > len(self.blocks)}
        while nonce in nonces:
            nonce += 1
        return nonce


def test_every_job_is_done_once_and_in_order_whatever_happens() -> None:
    # 200 worlds as a rule, 6,000 at night.
    worlds = settings(max_examples=2 * settings().max_examples, stateful_step_count=60)
    run_state_machine_as_test(World, settings=worlds)
