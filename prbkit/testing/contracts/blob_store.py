"""What every blob store must do: subclass `BlobStoreContract` in a test module and it all runs.

Keys sort as bytes, a commit is all or nothing and durable, readers see whole commits. A stateful
test holds a plain dict beside the store; where the store is durable, a writing child process is
killed in the middle of its commits and nothing may be torn or lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import tempfile
from collections.abc import AsyncIterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from prbkit.errors import StoreError
from prbkit.interfaces import BlobStore

__all__ = ["BlobStoreContract"]

_KEYS = st.binary(min_size=1, max_size=4) | st.binary(min_size=505, max_size=511)
_VALUES = st.binary(max_size=80) | st.integers(0, 70_000).map(lambda size: b"v" * size)


class BlobStoreContract:
    """Subclass it, override `make_store`, and set the class variables that differ."""

    durable: ClassVar[bool] = True
    """The content outlives the process."""
    readable_beside: ClassVar[bool] = True
    """`make_store(…, read_only=True)` opens beside a writer of another process."""
    single_writer: ClassVar[bool] = True
    """A second writer is refused when it opens."""

    def make_store(self, directory: Path, *, read_only: bool = False) -> BlobStore:
        """Make a store, not yet opened, whose content lies in `directory`.

        Called again with the same directory, in this or another process, it must find the same
        content (if the store is durable). The class must be importable: children call it too.
        """
        raise NotImplementedError

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[BlobStore]:
        async with self.make_store(tmp_path) as store:
            yield store

    async def test_what_was_put_is_got(self, store: BlobStore) -> None:
        await store.commit({b"a": b"1", b"b": b"", b"k" * 511: b"x" * 3_000_000})
        assert await store.get(b"a") == b"1"
        assert await store.get(b"b") == b""
        assert await store.get(b"k" * 511) == b"x" * 3_000_000
        assert await store.get(b"c") is None
        assert list(await store.get_many([b"c", b"b", b"a", b"a"])) == [None, b"", b"1", b"1"]
        assert await store.size() >= 3_000_000

    async def test_deletes_come_before_puts(self, store: BlobStore) -> None:
        await store.commit({b"a": b"1", b"b": b"2"})
        await store.commit({b"a": b"3"}, deletes=[b"a", b"b", b"never there"])
        assert list(await store.get_many([b"a", b"b"])) == [b"3", None]

    async def test_a_key_of_no_or_too_many_bytes_is_refused_and_nothing_written(
        self, store: BlobStore
    ) -> None:
        for key in (b"", b"k" * 512):
            with pytest.raises(StoreError):
                await store.commit({b"a": b"1", key: b"2"})
            assert await store.get(b"a") is None
            assert await store.get(key) is None

    async def test_an_empty_commit_changes_nothing(self, store: BlobStore) -> None:
        await store.commit({})
        assert [row async for row in store.scan()] == []

    async def test_scan_yields_ranges_in_both_orders(self, store: BlobStore) -> None:
        model = {bytes([a, b]): bytes([a]) * b for a in range(8) for b in range(200)}
        await store.commit(model)
        keys = sorted(model)
        for start, stop in (
            (b"", None),
            (keys[3], keys[900]),
            (b"\x02", b"\x05"),
            (b"\x05", b"\x02"),
        ):
            expected = [k for k in keys if k >= start and (stop is None or k < stop)]
            rows = [row async for row in store.scan(start, stop)]
            assert rows == [(k, model[k]) for k in expected]
            back = [row async for row in store.scan(start, stop, reverse=True)]
            assert back == rows[::-1]
            bare = [row async for row in store.scan(start, stop, keys_only=True)]
            assert bare == [(k, b"") for k in expected]

    async def test_a_scan_may_be_stopped_early_and_outlived_by_commits(
        self, store: BlobStore
    ) -> None:
        await store.commit({bytes([a, b]): b"x" for a in range(8) for b in range(200)})
        scan = store.scan()
        seen = []
        async for key, _ in scan:
            seen.append(key)
            await store.commit({b"\xff" + key: b"new"}, deletes=[key])
            if len(seen) == 50:
                break
        await store.commit({b"z": b"1"})
        assert seen == sorted(seen)

    async def test_reads_and_commits_may_run_at_once(self, store: BlobStore) -> None:
        async def write() -> None:
            for turn in range(30):
                await store.commit({bytes([n]): turn.to_bytes(4, "big") * 200 for n in range(20)})

        async def read() -> None:
            for _ in range(30):
                values = await store.get_many([bytes([n]) for n in range(20)])
                assert len(set(values)) == 1

        async with asyncio.TaskGroup() as group:
            group.create_task(write())
            for _ in range(4):
                group.create_task(read())

    async def test_a_closed_store_says_so_and_closes_twice(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        with pytest.raises(StoreError):
            await store.get(b"a")
        await store.open()
        await store.commit({b"a": b"1"})
        await store.close()
        await store.close()
        with pytest.raises(StoreError):
            await store.get(b"a")
        await store.open()
        if self.durable:
            assert await store.get(b"a") == b"1"
        await store.close()

    def test_it_behaves_as_a_dict(self) -> None:
        contract = self

        class Machine(RuleBasedStateMachine):
            """A store beside the dict that it must equal."""

            def __init__(self) -> None:
                super().__init__()
                self.model: dict[bytes, bytes] = {}
                self.runner = asyncio.Runner()
                self.directory = tempfile.TemporaryDirectory()

            @initialize()
            def begin(self) -> None:
                self.store = contract.make_store(Path(self.directory.name))
                self.runner.run(self.store.open())

            @rule(
                puts=st.dictionaries(_KEYS, _VALUES, max_size=12),
                deletes=st.lists(_KEYS, max_size=6),
            )
            def commit(self, puts: dict[bytes, bytes], deletes: list[bytes]) -> None:
                self.runner.run(self.store.commit(puts, deletes))
                for key in deletes:
                    self.model.pop(key, None)
                self.model.update(puts)

            @rule(data=st.data())
            def delete_known(self, data: st.DataObject) -> None:
                if self.model:
                    key = data.draw(st.sampled_from(sorted(self.model)))
                    self.runner.run(self.store.commit({}, [key]))
                    del self.model[key]

            @rule(keys=st.lists(_KEYS, max_size=6))
            def get_many(self, keys: list[bytes]) -> None:
                keys = [*keys, *list(self.model)[:3]]
                found = self.runner.run(_list(self.store.get_many(keys)))
                assert found == [self.model.get(key) for key in keys]

            @rule(start=st.binary(max_size=3), stop=st.none() | _KEYS, reverse=st.booleans())
            def scan(self, start: bytes, stop: bytes | None, reverse: bool) -> None:
                expected = sorted(
                    (k, v)
                    for k, v in self.model.items()
                    if k >= start and (stop is None or k < stop)
                )
                found = self.runner.run(_rows(self.store, start, stop, reverse))
                assert found == (expected[::-1] if reverse else expected)

            @rule()
            def reopen(self) -> None:
                self.runner.run(self.store.close())
                if contract.durable:
                    self.store = contract.make_store(Path(self.directory.name))
                self.runner.run(self.store.open())

            def teardown(self) -> None:
                if hasattr(self, "store"):
                    self.runner.run(self.store.close())
                self.runner.close()
                self.directory.cleanup()

        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=25,
                stateful_step_count=20,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )

    # --- several processes ---

    async def test_a_killed_writer_leaves_whole_commits_only(self, tmp_path: Path) -> None:
        if not self.durable:
            pytest.skip("this store ends with its process")
        acknowledged = -1
        for target in (3, 17, 40):
            with _writer(self, tmp_path) as told:
                acknowledged = await _until(told, target + acknowledged)
            async with self.make_store(tmp_path) as store:
                found = await _generation(store)
                assert found is not None
                assert found >= acknowledged
                acknowledged = found

    async def test_a_reader_beside_a_writer_sees_whole_commits_and_no_stale_ones(
        self, tmp_path: Path
    ) -> None:
        if not self.readable_beside:
            pytest.skip("this store cannot be read beside its writer")
        with _writer(self, tmp_path) as told:
            acknowledged = await _until(told, 1)
            async with self.make_store(tmp_path, read_only=True) as reader:
                for _ in range(40):
                    found = await _generation(reader)
                    assert found is not None
                    assert found >= acknowledged
                    acknowledged = await _until(told, acknowledged + 1)
                with pytest.raises(StoreError):
                    await reader.commit({b"a": b"1"})

    async def test_a_second_writer_is_refused(self, tmp_path: Path) -> None:
        if not self.single_writer:
            pytest.skip("this store takes several writers")
        with _writer(self, tmp_path) as told:
            await _until(told, 0)
            with pytest.raises(StoreError):
                await self.make_store(tmp_path).open()
        async with self.make_store(tmp_path) as store:
            assert await _generation(store) is not None


_MARKS = [b"mark/%d" % n for n in range(24)]


def _hammer(contract: BlobStoreContract, directory: str, told: Connection) -> None:
    """Commit generation after generation, telling each one that is on disk."""

    async def run() -> None:
        async with contract.make_store(Path(directory)) as store:
            first = await _generation(store)
            generation = 0 if first is None else first + 1
            while True:
                value = generation.to_bytes(8, "big")
                puts = dict.fromkeys(_MARKS, value * (64 + 211 * (generation % 7)))
                await store.commit(puts, [b"old/%d" % (generation - 1)])
                await store.commit({b"old/%d" % generation: value})
                told.send(generation)
                generation += 1

    asyncio.run(run())


@contextlib.contextmanager
def _writer(contract: BlobStoreContract, directory: Path) -> Any:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    child = context.Process(
        target=_hammer, args=(type(contract)(), str(directory), there), daemon=True
    )
    child.start()
    there.close()
    try:
        yield here
    finally:
        child.kill()
        child.join()
        here.close()


async def _until(told: Connection, generation: int) -> int:
    """Wait for the writer to tell that generation; what it told last."""

    def wait() -> int:
        while True:
            if not told.poll(30):
                raise TimeoutError("the writing child says nothing")
            found: int = told.recv()
            if found >= generation:
                return found

    return await asyncio.to_thread(wait)


async def _generation(store: BlobStore) -> int | None:
    """The generation that all marks hold; fails when they hold several."""
    values = await store.get_many(_MARKS)
    numbers = {None if value is None else int.from_bytes(value[:8], "big") for value in values}
    assert len(numbers) == 1, f"torn commit: {numbers}"
    return numbers.pop()


async def _list(values: Any) -> list[Any]:
    return list(await values)


async def _rows(
    store: BlobStore, start: bytes, stop: bytes | None, reverse: bool
) -> list[tuple[bytes, bytes]]:
    return [row async for row in store.scan(start, stop, reverse=reverse)]
