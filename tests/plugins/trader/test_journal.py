"""The journal: what it refuses, and what it still knows after any death."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from prbkit.errors import ConfigError, StoreError
from prbkit.interfaces import Head, JobError, JobRecord, JobState, TradeJob
from prbkit_plugins.trader.journal import Journal
from prbkit_plugins.trader.lane import Intent, Item

GENESIS = b"\x45" * 32


def job(key: str) -> TradeJob:
    return TradeJob(key, 1, "CALL", {"call": "0x00"}, 12.5)


def intent(name: int, *keys: str, attempt: int = 1) -> Intent:
    items = tuple(Item(job(key), 1, order, attempt) for order, key in enumerate(keys))
    return Intent(b"a" * 32, name, bytes([name]) * 32, b"signed", 5, 69, b"r" * 32, items)


def final(key: str, state: JobState = JobState.FINALIZED) -> JobRecord:
    error = None if state is JobState.FINALIZED else JobError("no", "Proxy", "NotProxy", "docs")
    return JobRecord(job(key), state, 13.5, b"\1" * 32, Head(6, b"\2" * 32), error, (error,))


async def test_an_intent_survives_and_ends_once(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "trader.db"
    async with Journal(path) as journal:
        ended, new = await journal.accept([job("a"), job("b"), job("c")])
        assert not ended
        assert [(each.job.key, each.order, each.attempt) for each in new] == [
            ("a", 0, 0),
            ("b", 1, 0),
            ("c", 2, 0),
        ]
        await journal.begin(intent(1, "a", "b"), GENESIS)
    async with Journal(path) as journal:
        left = await journal.load(GENESIS)
        assert left.intents == [intent(1, "a", "b")]
        assert [each.job for each in left.freed] == [job("c")]
        assert (await journal.accept([job("a"), job("c")])) == ({}, [])
        await journal.finish(intent(1, "a", "b"), [final("a"), final("b", JobState.FAILED)])
        with pytest.raises(StoreError, match="ended before"):
            await journal.finish(intent(1, "a", "b"), [final("a"), final("b")])
    async with Journal(path) as journal:
        left = await journal.load(GENESIS)
        assert not left.intents
        assert {record.job.key for record in left.unreported} == {"a", "b"}
        await journal.reported(["a", "b"])
        assert not (await journal.load(GENESIS)).unreported
        ended, new = await journal.accept([job("b"), job("a")])
        assert ended == {"a": final("a"), "b": final("b", JobState.FAILED)}
        assert not new
        assert await journal.counts() == {JobState.FINALIZED: 1, JobState.FAILED: 1}


async def test_a_job_cannot_be_signed_for_twice(tmp_path: Path) -> None:
    async with Journal(tmp_path / "trader.db") as journal:
        await journal.accept([job("a"), job("b")])
        await journal.begin(intent(1, "a"), GENESIS)
        with pytest.raises(StoreError, match="signed for already"):
            await journal.begin(intent(2, "b", "a"), GENESIS)
        # All or nothing: b is not held by the intent that was refused.
        await journal.begin(intent(3, "b"), GENESIS)
        await journal.finish(intent(3, "b"), [final("b")])
        with pytest.raises(StoreError, match="signed for already"):
            await journal.begin(intent(4, "b"), GENESIS)
        with pytest.raises(StoreError, match="signed for already"):
            await journal.begin(intent(5, "never accepted"), GENESIS)
        assert [each.nonce for each in (await journal.load(GENESIS)).intents] == [1]


async def test_a_freed_job_is_signed_again_or_ends(tmp_path: Path) -> None:
    path = tmp_path / "trader.db"
    async with Journal(path) as journal:
        await journal.accept([job("a"), job("b")])
        await journal.begin(intent(1, "a", "b"), GENESIS)
        await journal.free(intent(1, "a", "b"), [final("b", JobState.EXPIRED)])
    async with Journal(path) as journal:
        left = await journal.load(GENESIS)
        assert [(each.job.key, each.attempt) for each in left.freed] == [("a", 2)]
        await journal.begin(intent(2, "a", attempt=2), GENESIS)
        await journal.free(intent(2, "a", attempt=2), [])
        assert [each.attempt for each in (await journal.load(GENESIS)).freed] == [3]
        await journal.end([final("a", JobState.FAILED)])
        assert await journal.counts() == {JobState.EXPIRED: 1, JobState.FAILED: 1}


async def test_another_chain_and_another_trader_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "trader.db"
    async with Journal(path) as journal:
        await journal.accept([job("a")])
        await journal.begin(intent(1, "a"), GENESIS)
        with pytest.raises(ConfigError, match="another chain"):
            await journal.load(b"\0" * 32)
        with pytest.raises(ConfigError, match="another trader"):
            await Journal(path).open()


def _write_and_hang(path: Path, ready: int) -> None:
    async def run() -> None:
        async with Journal(path) as journal:
            await journal.accept([job("a"), job("b")])
            await journal.begin(intent(1, "a"), GENESIS)
            os.write(ready, b"!")
            await asyncio.Event().wait()

    asyncio.run(run())


async def test_what_was_begun_is_there_after_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "trader.db"
    read, write = os.pipe()
    os.set_inheritable(write, True)
    child = multiprocessing.get_context("fork").Process(target=_write_and_hang, args=(path, write))
    child.start()
    os.close(write)
    assert await asyncio.to_thread(os.read, read, 1) == b"!"
    assert child.pid
    os.kill(child.pid, signal.SIGKILL)
    await asyncio.to_thread(child.join)
    os.close(read)
    async with Journal(path) as journal:
        left = await journal.load(GENESIS)
        assert left.intents == [intent(1, "a")]
        assert [each.job.key for each in left.freed] == ["b"]
