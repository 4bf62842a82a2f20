"""The trader end to end against a chain in memory: faults, deaths and lost queues."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from prbkit.blobs import encode_signed_message
from prbkit.errors import ConfigError, StoreError
from prbkit.events import BalanceLow, JobChanged
from prbkit.interfaces import JobRecord, JobState, Pool, TradeJob
from prbkit.scale import Metadata, decode_extrinsic
from prbkit_plugins.keyring.uri import open_uri
from prbkit_plugins.sqlite_queue.queue import SqliteQueue
from prbkit_plugins.trader.journal import Journal
from prbkit_plugins.trader.service import Trader

from .context import FixedInventory, TestContext
from .fakechain import FakeChain, blake

ALICE = open_uri("//Alice").account
POOLS = {
    1: (Pool("p1", 1, "one", operator=ALICE), "//Alice"),
    2: (Pool("p2", 2, "two", operator=open_uri("//Bob").account), "//Bob"),
    3: (Pool("p3", 3, "no operator"), ""),
    4: (Pool("p4", 4, "off", enabled=False, operator=ALICE), "//Alice"),
    5: (Pool("p5", 5, "sync", sync_only=True, operator=ALICE), "//Alice"),
}
FAST = {"batch_age": 0.0, "lease": 0.2, "resubmit_after": 0.02, "era_period": 8, "attempts": 1000}


def remark(md: Metadata, key: str, pid: int = 1) -> TradeJob:
    call = md.call("System", "remark", remark=key.encode())
    return TradeJob(key, pid, "CALL", {"call": f"0x{call.hex()}"}, time.time())


def context(chain: FakeChain, queue: Any, folder: Path, **section: Any) -> TestContext:
    return TestContext(chain, queue, FixedInventory(POOLS), folder, **{**FAST, **section})


@asynccontextmanager
async def trading(context: TestContext) -> AsyncIterator[asyncio.Task[None]]:
    """Run a trader; leaving kills it wherever it is."""
    running = asyncio.create_task(Trader(context).run())
    try:
        yield running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(
    chain: FakeChain, running: asyncio.Task[None], true: Callable[[], Any], blocks: int = 3000
) -> None:
    """Let blocks come until something holds."""
    for _ in range(blocks):
        if running.done():
            running.result()
        found = true()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return
        await asyncio.sleep(0.003)
        await chain.step()
    pytest.fail(f"nothing after {blocks} blocks")


async def ended(queue: SqliteQueue, keys: list[str]) -> dict[str, JobRecord] | None:
    records = [await queue.get(key) for key in keys]
    found = {r.job.key: r for r in records if r is not None and r.state.final}
    return found if len(found) == len(keys) else None


async def test_jobs_are_batched_and_each_gets_its_own_outcome(md: Metadata, tmp_path: Path) -> None:
    chain = FakeChain(md)
    async with SqliteQueue(tmp_path / "q.db") as queue:
        jobs = [remark(md, f"{n}") for n in range(5)]
        bad = md.call("System", "set_heap_pages", pages=1)
        jobs.append(TradeJob("bad", 1, "CALL", {"call": f"0x{bad.hex()}"}, 0.0))
        jobs.append(remark(md, "other pool", pid=2))
        jobs.append(TradeJob("no pool", 77, "CALL", {"call": "0x"}, 0.0))
        jobs.append(remark(md, "no operator", pid=3))
        jobs.append(TradeJob("no action", 1, "DANCE", {}, 0.0))
        jobs.append(TradeJob("no call", 1, "CALL", {"call": "0xffffff"}, 0.0))
        jobs.append(TradeJob("no hex", 1, "ADD_WORKER", {"public_key": "77"}, 0.0))
        for job in jobs:
            await queue.put(job)
        keys = [job.key for job in jobs]
        at = context(chain, queue, tmp_path, batch_age=0.2)
        async with trading(at) as running:
            await until(chain, running, lambda: ended(queue, keys))
        found = await ended(queue, keys)
        assert found
        good = {key for key, record in found.items() if record.state is JobState.FINALIZED}
        assert good == {"0", "1", "2", "3", "4", "other pool"}
        assert len(chain.ledger) == 6
        error = found["bad"].error
        assert error is not None
        assert (error.pallet, error.name) == ("Balances", "InsufficientBalance")
        assert error.docs
        assert found["bad"].block is not None
        assert len({found[key].extrinsic_hash for key in ("0", "4", "bad")}) == 1
        for key, word in [
            ("no pool", "no pool with pid 77"),
            ("no operator", "has no operator"),
            ("no action", "DANCE"),
            ("no call", "not a call"),
            ("no hex", "not 0x hex"),
        ]:
            error = found[key].error
            assert error is not None
            assert word in error.message
            assert found[key].extrinsic_hash is None
        assert at.status() == {"finalized": 6, "failed": 6, "pending": 0}
        told = [e.record.state for e in at.events if isinstance(e, JobChanged)]
        assert {JobState.BATCHED, JobState.SUBMITTED, JobState.FINALIZED} <= set(told)


async def test_a_job_put_again_is_answered_and_not_done_again(md: Metadata, tmp_path: Path) -> None:
    chain = FakeChain(md)
    for life in range(3):
        # Each time the queue has lost everything, as Redis may.
        async with SqliteQueue(tmp_path / f"q{life}.db") as queue:
            await queue.put(remark(md, "once"))
            async with trading(context(chain, queue, tmp_path)) as running:
                await until(chain, running, lambda queue=queue: ended(queue, ["once"]))
            found = await ended(queue, ["once"])
            assert found
            assert found["once"].state is JobState.FINALIZED
    assert chain.ledger == [(ALICE, b"once")]


async def test_a_job_taken_by_a_trader_that_died_needs_no_queue(
    md: Metadata, tmp_path: Path
) -> None:
    chain = FakeChain(md)
    async with SqliteQueue(tmp_path / "q.db") as queue:
        await queue.put(remark(md, "a"))
        at = context(chain, queue, tmp_path, batch_age=1000.0)
        async with trading(at) as running:
            await until(chain, running, lambda: at.status().get("pending") == 1)
    async with SqliteQueue(tmp_path / "empty.db") as queue:
        at = context(chain, queue, tmp_path)
        async with trading(at) as running:
            await until(chain, running, lambda: ended(queue, ["a"]))
    assert chain.ledger == [(ALICE, b"a")]


def messages(name: str, first: int, last: int) -> TradeJob:
    """A job as a lifecycle manager makes it of a worker's messages."""
    sender = {"Worker": b"\x77" * 32}
    signed = [
        encode_signed_message(
            {
                "message": {"sender": sender, "destination": b"x", "payload": b"y"},
                "sequence": sequence,
                "signature": b"s" * 64,
            }
        )
        for sequence in range(first, last + 1)
    ]
    payload = {"messages": [f"0x{each.hex()}" for each in signed]}
    return TradeJob(name, 1, "BATCH_SYNC_MQ_MESSAGE", payload, time.time())


@pytest.mark.parametrize("survives", [False, True])
@pytest.mark.parametrize("signed", [False, True])
async def test_messages_that_another_job_has_are_not_made_again(
    md: Metadata, tmp_path: Path, survives: bool, signed: bool
) -> None:
    """Queue and lifecycle manager have lost everything, and cut the same messages otherwise."""
    chain = FakeChain(md)
    age = 0.0 if signed else 0.3
    later = [messages("same", 0, 3), messages("wider", 2, 5), messages("within", 1, 2)]
    later += [messages("next", 6, 7)]
    keys = [job.key for job in later]
    async with SqliteQueue(tmp_path / "q.db") as queue:
        await queue.put(messages("former", 0, 3))
        at = context(chain, queue, tmp_path, batch_age=age)
        async with trading(at) as running, asyncio.timeout(30):
            while not (chain.pool if signed else at.status().get("pending")):  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            if survives:
                for job in later:
                    await queue.put(job)
                await until(chain, running, lambda: ended(queue, keys))
    async with SqliteQueue(tmp_path / "empty.db") as queue:
        async with trading(context(chain, queue, tmp_path, batch_age=age)) as running:
            for job in later:
                await queue.put(job)
            await until(chain, running, lambda: ended(queue, keys))
        found = await ended(queue, keys)
        assert found
        assert {record.state for record in found.values()} == {JobState.FINALIZED}
        assert all(record.block and record.extrinsic_hash for record in found.values())
        assert found["wider"].errors == (None, None)
        # Long after, and once more from the start: nothing is made.
        async with trading(context(chain, queue, tmp_path)) as running:
            await queue.put(messages("again", 0, 7))
            await until(chain, running, lambda: ended(queue, ["again"]))
    assert chain.messages == [(sequence, True) for sequence in range(8)]


async def test_messages_that_failed_may_be_tried_by_another_job(
    md: Metadata, tmp_path: Path
) -> None:
    chain = FakeChain(md)
    async with SqliteQueue(tmp_path / "q.db") as queue:
        async with trading(context(chain, queue, tmp_path)) as running:
            for job in (messages("early", 1, 1), messages("first", 0, 0), messages("again", 1, 1)):
                await queue.put(job)
                await until(chain, running, lambda key=job.key: ended(queue, [key]))
        found = await ended(queue, ["early", "first", "again"])
        assert found
        assert found["early"].state is JobState.FAILED
        assert found["again"].state is JobState.FINALIZED
    assert chain.messages == [(1, False), (0, True), (1, True)]


async def test_jobs_of_pools_that_do_not_trade_end(md: Metadata, tmp_path: Path) -> None:
    chain = FakeChain(md)
    async with SqliteQueue(tmp_path / "q.db") as queue:
        await queue.put(remark(md, "off", pid=4))
        await queue.put(remark(md, "sync", pid=5))
        async with trading(context(chain, queue, tmp_path)) as running:
            await until(chain, running, lambda: ended(queue, ["off", "sync"]))
        found = await ended(queue, ["off", "sync"])
        assert found
        texts = [found[key].error for key in ("off", "sync")]
        assert [error and error.message.partition("is ")[2] for error in texts] == [
            "not enabled",
            "to sync only",
        ]
    assert not chain.ledger


async def test_a_lost_outcome_is_no_failure(md: Metadata, tmp_path: Path) -> None:
    chain = FakeChain(md)
    chain.discards = True
    async with SqliteQueue(tmp_path / "q.db") as queue:
        await queue.put(remark(md, "a"))
        async with trading(context(chain, queue, tmp_path)) as running:
            await until(chain, running, lambda: ended(queue, ["a"]))
        found = await ended(queue, ["a"])
        assert found
        assert found["a"].state is JobState.FINALIZED
        assert found["a"].block is not None
        assert found["a"].errors == ()
        error = found["a"].error
        assert error is not None
        assert "cannot be read" in error.message


async def test_jobs_taken_are_kept_while_the_journal_cannot_be_written(
    md: Metadata, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = FakeChain(md)
    accept, fails = Journal.accept, iter([True, True, False])

    async def failing(self: Journal, jobs: Any) -> Any:
        if next(fails, False):
            raise StoreError("database or disk is full")
        return await accept(self, jobs)

    monkeypatch.setattr(Journal, "accept", failing)
    async with SqliteQueue(tmp_path / "q.db") as queue:
        await queue.put(remark(md, "a"))
        async with trading(context(chain, queue, tmp_path)) as running:
            await until(chain, running, lambda: ended(queue, ["a"]))
    assert chain.ledger == [(ALICE, b"a")]


async def state_of(queue: SqliteQueue, key: str) -> JobState | None:
    record = await queue.get(key)
    return None if record is None else record.state


async def until_state(queue: SqliteQueue, key: str, state: JobState) -> None:
    """Wait without a block."""
    async with asyncio.timeout(60):
        while await state_of(queue, key) is not state:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("included", ["before", "after", "never"])
async def test_a_lost_journal_makes_no_call_twice(
    md: Metadata, tmp_path: Path, included: str
) -> None:
    """What the lost one has signed is left alone until it can be included no more."""
    chain = FakeChain(md)
    async with SqliteQueue(tmp_path / "q.db") as queue:
        await queue.put(remark(md, "once"))
        async with trading(context(chain, queue, tmp_path)):
            await until_state(queue, "once", JobState.SUBMITTED)
        for file in tmp_path.glob("trader.db*"):
            file.unlink()
    if included == "never":
        chain.pool.clear()
    async with SqliteQueue(tmp_path / "q.db") as queue:
        if included == "before":
            await chain.step()
        async with trading(context(chain, queue, tmp_path)) as running:
            await until(chain, running, lambda: ended(queue, ["once"]))
            found = await ended(queue, ["once"])
            assert found
            record = found["once"]
            assert record.state is JobState.EXPIRED
            assert record.block is not None
            assert record.block.number >= FAST["era_period"]
            assert record.error is not None
            assert "journal is gone" in record.error.message
            # The next attempt is another job, as its producer decides, and goes through.
            await queue.put(remark(md, "twice"))
            await until(chain, running, lambda: ended(queue, ["twice"]))
    once = [] if included == "never" else [(ALICE, b"once")]
    assert chain.ledger == [*once, (ALICE, b"twice")]


async def test_a_new_job_is_vetted_again_after_a_death(md: Metadata, tmp_path: Path) -> None:
    """That nobody has signed it is forgotten with the process, and so asked again."""
    chain = FakeChain(md)
    job = remark(md, "once")
    async with SqliteQueue(tmp_path / "q.db") as queue:
        await queue.put(job)
        assert await queue.take("trader", 1, 0) == [job]
        await queue.report([JobRecord(job, JobState.SUBMITTED, time.time())])
        async with Journal(tmp_path / "trader.db") as journal:
            await journal.accept([job])
        async with trading(context(chain, queue, tmp_path)) as running:
            await until(chain, running, lambda: ended(queue, ["once"]))
        found = await ended(queue, ["once"])
        assert found
        assert found["once"].state is JobState.EXPIRED
    assert chain.ledger == []


async def test_a_queue_that_lost_everything_is_told_what_is_under_way(
    md: Metadata, tmp_path: Path
) -> None:
    chain = FakeChain(md)
    async with SqliteQueue(tmp_path / "q.db") as queue:
        await queue.put(remark(md, "once"))
        async with trading(context(chain, queue, tmp_path)) as running:
            await until_state(queue, "once", JobState.SUBMITTED)
            for _ in range(2):
                await queue._db.write(lambda db: db.execute("DELETE FROM jobs"))
                await until_state(queue, "once", JobState.SUBMITTED)
            # The same where its producer was faster.
            await queue._db.write(lambda db: db.execute("DELETE FROM jobs"))
            await queue.put(remark(md, "once"))
            await until_state(queue, "once", JobState.SUBMITTED)
            await until(chain, running, lambda: ended(queue, ["once"]))
    assert chain.ledger == [(ALICE, b"once")]


async def test_what_no_node_takes_is_signed_again_and_ends_as_expired(
    md: Metadata, tmp_path: Path
) -> None:
    chain = FakeChain(md)
    chain.refuse = "Inability to pay some fees , e.g. account balance too low"
    async with SqliteQueue(tmp_path / "q.db") as queue:
        await queue.put(remark(md, "poor"))
        at = context(chain, queue, tmp_path, attempts=2)
        async with trading(at) as running:
            await until(chain, running, lambda: ended(queue, ["poor"]))
        found = await ended(queue, ["poor"])
        assert found
        assert found["poor"].state is JobState.EXPIRED
        notes = [e.record.error.message for e in at.events if e.record.error]
        assert any("Inability to pay" in note for note in notes)
    assert chain.ledger == []
    assert len(chain.blocks) > 2 * 8


async def test_a_stolen_nonce_is_healed_at_once(md: Metadata, tmp_path: Path) -> None:
    chain = FakeChain(md)
    async with SqliteQueue(tmp_path / "q.db") as queue:
        chain.refuse = "Transaction is outdated"
        await queue.put(remark(md, "a"))
        at = context(chain, queue, tmp_path, era_period=4096)
        async with trading(at) as running:
            await until(chain, running, lambda: chain.refused)
            chain.refuse = None
            await chain.step(foreign=ALICE)
            await until(chain, running, lambda: ended(queue, ["a"]))
    assert chain.ledger == [(ALICE, b"a")]
    assert chain.nonces[ALICE] == 2
    assert len(chain.blocks) < 4096


async def test_nothing_is_signed_on_a_node_that_is_behind(md: Metadata, tmp_path: Path) -> None:
    """Such a one gives a nonce that is used up, as after a failover."""
    chain = FakeChain(md)
    behind = FakeChain(md)
    async with SqliteQueue(tmp_path / "q.db") as queue:
        at = context(chain, queue, tmp_path, era_period=1024)
        async with trading(at) as running:
            await queue.put(remark(md, "first"))
            await until(chain, running, lambda: ended(queue, ["first"]))
            for name in ("finalized_head", "account_nonce"):
                setattr(chain, name, getattr(behind, name))
            submissions = chain.submissions
            await queue.put(remark(md, "second"))
            for _ in range(20):
                await asyncio.sleep(0.01)
                await chain.step()
            assert chain.submissions == submissions
            del chain.finalized_head, chain.account_nonce
            await until(chain, running, lambda: ended(queue, ["second"]), blocks=200)
    assert chain.ledger == [(ALICE, b"first"), (ALICE, b"second")]


@pytest.mark.parametrize("queues", [1, 2])
async def test_two_traders_on_one_account_make_no_call_twice(
    md: Metadata, tmp_path: Path, queues: int
) -> None:
    """They take each other's nonces, which heals; also where they share a queue."""
    chain = FakeChain(md)
    jobs = [remark(md, f"{n}") for n in range(8)]
    async with (
        SqliteQueue(tmp_path / "0.db") as one,
        SqliteQueue(tmp_path / f"{queues - 1}.db") as other,
    ):
        for job in jobs[:4]:
            await one.put(job)
        slow = {"batch_age": 0.05, "batch_calls": 2}
        async with (
            trading(context(chain, one, tmp_path / "a", **slow)) as running,
            trading(context(chain, other, tmp_path / "b", **slow)),
        ):
            for job in jobs[4:]:
                await asyncio.sleep(0.02)
                await other.put(job)
            await until(chain, running, lambda: ended(one, [job.key for job in jobs[:4]]))
            await until(chain, running, lambda: ended(other, [job.key for job in jobs[4:]]))
    assert sorted(text for _, text in chain.ledger) == [job.key.encode() for job in jobs]


async def test_batches_are_cut_to_what_a_block_takes(md: Metadata, tmp_path: Path) -> None:
    chain = FakeChain(md)
    chain.weight = 40 * 10**9  # of at most 350 * 10**9
    async with SqliteQueue(tmp_path / "q.db") as queue:
        keys = [f"{number}" for number in range(30)]
        for key in keys:
            await queue.put(remark(md, key))
        async with trading(context(chain, queue, tmp_path, batch_age=0.3)) as running:
            await until(chain, running, lambda: ended(queue, keys))
    assert [remark for _, remark in chain.ledger] == [key.encode() for key in keys]
    sizes = [
        len(decode_extrinsic(md, raw).args["calls"]) for *_, body in chain.blocks for raw in body
    ]
    assert max(sizes) <= 8
    assert len(sizes) <= 8


async def test_a_fee_above_the_cap_is_not_paid(md: Metadata, tmp_path: Path) -> None:
    chain = FakeChain(md)
    async with SqliteQueue(tmp_path / "q.db") as queue:
        keys = ["a", "b", "c", "d", "dear"]
        for key in keys:
            await queue.put(remark(md, key, pid=2 if key == "dear" else 1))
        at = context(chain, queue, tmp_path, batch_age=0.2, fee_cap=2000, fee_caps={"2": 999})
        async with trading(at) as running:
            await until(chain, running, lambda: ended(queue, keys))
        found = await ended(queue, keys)
        assert found
        error = found["dear"].error
        assert error is not None
        assert "would cost 1000, and the fee cap is 999" in error.message
    assert [remark for _, remark in chain.ledger] == [b"a", b"b", b"c", b"d"]
    assert sum(len(body) for *_, body in chain.blocks) == 2


async def test_an_account_that_runs_dry_raises_an_alarm(md: Metadata, tmp_path: Path) -> None:
    chain = FakeChain(md)
    chain.free = 999
    async with SqliteQueue(tmp_path / "q.db") as queue:
        keys = ["a", "b", "c"]
        at = context(chain, queue, tmp_path, low_balance=1000)
        async with trading(at) as running:
            for key in keys:
                await queue.put(remark(md, key))
                await until(chain, running, lambda key=key: ended(queue, [key]))
            await until(chain, running, lambda: BalanceLow(account=ALICE, free=999) in at.events)
    alarms = [event for event in at.events if isinstance(event, BalanceLow)]
    assert alarms == [BalanceLow(account=ALICE, free=999)]


async def test_a_job_is_told_to_be_in_a_block_and_out_of_it_again(
    md: Metadata, tmp_path: Path
) -> None:
    chain = FakeChain(md)
    async with SqliteQueue(tmp_path / "q.db") as queue:
        await queue.put(remark(md, "a"))
        at = context(chain, queue, tmp_path)

        async def told(state: JobState, times: int) -> None:
            async with asyncio.timeout(30):
                while [e.record.state for e in at.events].count(state) < times:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)

        async with trading(at) as running:
            await told(JobState.SUBMITTED, 1)
            await chain.propose()
            await told(JobState.IN_BLOCK, 1)
            chain.best = None
            await told(JobState.SUBMITTED, 2)
            await chain.propose()
            await told(JobState.IN_BLOCK, 2)
            chain.best = None
            await until(chain, running, lambda: ended(queue, ["a"]))
        first = next(e.record for e in at.events if e.record.state is JobState.IN_BLOCK)
        assert first.block is not None
        assert first.block.number == 1
    assert chain.ledger == [(ALICE, b"a")]


async def test_a_second_trader_on_one_journal_is_refused(md: Metadata, tmp_path: Path) -> None:
    chain = FakeChain(md)
    async with SqliteQueue(tmp_path / "q.db") as queue:
        at = context(chain, queue, tmp_path)
        async with trading(at) as running:
            await until(chain, running, lambda: at.status())
            with pytest.raises(ConfigError, match="another trader"):
                await Trader(context(chain, queue, tmp_path)).run()


@pytest.mark.parametrize("reported", [False, True])
async def test_another_trader_waits_and_never_signs_what_the_former_has_signed(
    md: Metadata, tmp_path: Path, reported: bool
) -> None:
    chain = FakeChain(md)
    chain.refuse = "Future"
    async with (
        SqliteQueue(tmp_path / "q.db", lease=0.2) as queue,
        SqliteQueue(tmp_path / "q.db", lease=0.2) as second,
    ):
        first_at = context(chain, queue, tmp_path / "1", lease=0.3, era_period=64)
        second_at = context(chain, second, tmp_path / "2", lease=0.3, era_period=64)
        async with trading(first_at) as running:
            await queue.put(remark(md, "a"))
            await until(chain, running, lambda: chain.refused, blocks=100)
            async with trading(second_at) as standby:
                for _ in range(5):
                    await chain.step()
                assert not standby.done()
                assert not second_at.events
                # Somebody has the former one's bytes.
                (intent,) = sent = list(chain.refused)
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                await queue.put(remark(md, "b"))
                chain.refuse = None
                if reported:
                    chain.pool[blake(intent)] = intent
                await until(chain, standby, lambda: ended(second, ["a", "b"]))
                assert len(sent) == 1
        found = await ended(second, ["a", "b"])
        assert found
        assert found["b"].state is JobState.FINALIZED
        assert found["a"].state is JobState.EXPIRED
        assert found["a"].error is not None
        assert "whose journal is gone" in found["a"].error.message
    assert chain.ledger == ([(ALICE, b"a")] if reported else []) + [(ALICE, b"b")]


async def test_a_trader_that_is_started_again_goes_on_at_once(md: Metadata, tmp_path: Path) -> None:
    chain = FakeChain(md)
    async with SqliteQueue(tmp_path / "q.db") as queue:
        for key in ("a", "b"):
            async with trading(context(chain, queue, tmp_path, lease=1000.0)) as running:
                await queue.put(remark(md, key))
                await until(chain, running, lambda key=key: ended(queue, [key]))
    assert [remark for _, remark in chain.ledger] == [b"a", b"b"]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", range(12))
async def test_each_call_once_under_faults_and_deaths(
    md: Metadata, tmp_path: Path, seed: int
) -> None:
    """The trader dies at random moments; nodes lose answers and drop what they took."""
    chain = FakeChain(md, seed=seed, fault=0.15)
    chance = chain.random
    jobs = [remark(md, f"{n}", pid=chance.choice((1, 2))) for n in range(40)]
    keys = [job.key for job in jobs]
    waiting = list(jobs)
    queue_file, lives = 0, 0
    section = {"batch_calls": 4, "max_in_flight": chance.choice((1, 3))}
    while lives < 60:
        lives += 1
        if lives > 30:
            chain.fault = 0.0
        if chance.random() < 0.2:
            queue_file += 1
            waiting = list(jobs)
        async with SqliteQueue(tmp_path / f"q{queue_file}.db") as queue:
            at = context(chain, queue, tmp_path, **section)
            async with trading(at) as running:
                for _ in range(chance.randrange(1, 25)):
                    for job in waiting[: chance.randrange(4)]:
                        await queue.put(job)
                        waiting.remove(job)
                    await asyncio.sleep(chance.choice((0, 0.001, 0.004)))
                    if running.done():
                        running.result()
                    await chain.step(foreign=ALICE if chance.random() < 0.02 else None)
            if not waiting and await ended(queue, keys):
                break
    done = sorted(remark for _, remark in chain.ledger)
    assert done == sorted(key.encode() for key in keys)
    for pid, uri in ((1, "//Alice"), (2, "//Bob")):
        account = open_uri(uri).account
        mine = [int(remark) for who, remark in chain.ledger if who == account]
        assert len(mine) == sum(job.pid == pid for job in jobs)
