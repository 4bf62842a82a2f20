"""What an inventory must do, as tests that a plugin's author inherits.

::

    class TestMyInventory(InventoryContract):
        @pytest.fixture
        def make_inventory(self, tmp_path):
            return lambda account_of: MyInventory(tmp_path / "file", account_of)

Two inventories that `make_inventory` made must see the same pools and workers, as two processes
would.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from pydantic import SecretStr

from prbkit.errors import Duplicated, InventoryError, NotFound
from prbkit.interfaces import Inventory, PoolSpec, Ref, WorkerSpec

__all__ = ["AccountOf", "InventoryContract"]

AccountOf = Callable[[SecretStr], Awaitable[bytes]]

PHA = 10**12
SS58 = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
ACCOUNT = bytes.fromhex("d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d")
DEADLINE = 10.0


async def _account_of(uri: SecretStr) -> bytes:
    return uri.get_secret_value().encode().ljust(32, b"\0")[:32]


def _pool(pid: int, name: str | None = None) -> PoolSpec:
    return PoolSpec(pid=pid, name=name or f"pool{pid}")


def _worker(name: str, pid: int = 1) -> WorkerSpec:
    return WorkerSpec(pid=pid, name=name, endpoint=f"http://{name}.example:8000")


class InventoryContract:
    """Inherit it and give the fixture `make_inventory`."""

    @pytest.fixture
    def make_inventory(self) -> Callable[[AccountOf], Inventory]:
        """A function that makes an inventory, not yet opened, given what knows accounts."""
        raise NotImplementedError

    @pytest.fixture
    async def inventory(
        self, make_inventory: Callable[[AccountOf], Inventory]
    ) -> AsyncIterator[Inventory]:
        async with make_inventory(_account_of) as inventory:
            yield inventory

    async def test_is_empty_at_first(self, inventory: Inventory) -> None:
        assert list(await inventory.pools()) == []
        assert list(await inventory.workers()) == []

    async def test_close_may_be_called_twice(
        self, make_inventory: Callable[[AccountOf], Inventory]
    ) -> None:
        inventory = make_inventory(_account_of)
        await inventory.open()
        await inventory.close()
        await inventory.close()

    async def test_a_new_pool_has_the_defaults(self, inventory: Inventory) -> None:
        [pool] = await inventory.create_pools([_pool(7, "seven")])
        assert (pool.pid, pool.name, pool.enabled, pool.sync_only) == (7, "seven", True, False)
        assert (pool.operator, pool.owner) == (None, None)
        assert list(await inventory.pools()) == [pool]

    async def test_a_new_worker_has_the_defaults(self, inventory: Inventory) -> None:
        await inventory.create_pools([_pool(1)])
        [worker] = await inventory.create_workers([_worker("w0")])
        assert (worker.pid, worker.name, worker.stake) == (1, "w0", 0)
        assert (worker.enabled, worker.sync_only) == (True, False)
        assert list(await inventory.workers()) == [worker]

    async def test_what_was_created_is_there_after_opening_again(
        self, make_inventory: Callable[[AccountOf], Inventory]
    ) -> None:
        async with make_inventory(_account_of) as inventory:
            pools = await inventory.create_pools([_pool(1), _pool(2)])
            workers = await inventory.create_workers([_worker("a"), _worker("b", 2)])
        async with make_inventory(_account_of) as inventory:
            assert list(await inventory.pools()) == list(pools)
            assert list(await inventory.workers()) == list(workers)

    async def test_a_stake_of_any_size_comes_back(self, inventory: Inventory) -> None:
        await inventory.create_pools([_pool(1)])
        stake = 2**100 + 1
        spec = WorkerSpec(pid=1, name="w", endpoint="http://w.example", stake=stake)
        [worker] = await inventory.create_workers([spec])
        assert worker.stake == stake

    @pytest.mark.parametrize("name", ["uuid", "name", "pid"])
    async def test_a_pool_is_found_by_each_of_its_names(
        self, inventory: Inventory, name: str
    ) -> None:
        [pool] = await inventory.create_pools([_pool(1)])
        ref = Ref(**{name: getattr(pool, name)})
        [changed] = await inventory.update_pools([(ref, PoolSpec(sync_only=True))])
        assert changed.uuid == pool.uuid
        assert changed.sync_only
        assert changed.name == pool.name

    @pytest.mark.parametrize("name", ["uuid", "name"])
    async def test_a_worker_is_found_by_each_of_its_names(
        self, inventory: Inventory, name: str
    ) -> None:
        await inventory.create_pools([_pool(1)])
        [worker] = await inventory.create_workers([_worker("w")])
        ref = Ref(**{name: getattr(worker, name)})
        [changed] = await inventory.update_workers([(ref, WorkerSpec(stake=5 * PHA))])
        assert (changed.uuid, changed.stake) == (worker.uuid, 5 * PHA)

    @pytest.mark.parametrize("ref", [Ref(), Ref(uuid="a", name="b")])
    async def test_a_reference_names_exactly_one_thing(
        self, inventory: Inventory, ref: Ref
    ) -> None:
        with pytest.raises(InventoryError):
            await inventory.update_pools([(ref, PoolSpec(enabled=False))])
        with pytest.raises(InventoryError):
            await inventory.update_workers([(ref, WorkerSpec(enabled=False))])

    async def test_unknown_things_are_not_found(self, inventory: Inventory) -> None:
        await inventory.create_pools([_pool(1)])
        with pytest.raises(NotFound):
            await inventory.update_pools([(Ref(pid=2), PoolSpec(enabled=False))])
        with pytest.raises(NotFound):
            await inventory.update_workers([(Ref(name="w"), WorkerSpec(enabled=False))])
        with pytest.raises(NotFound):
            await inventory.create_workers([_worker("w", pid=2)])

    async def test_pids_and_names_of_pools_are_unique(self, inventory: Inventory) -> None:
        await inventory.create_pools([_pool(1, "one"), _pool(2, "two")])
        with pytest.raises(Duplicated):
            await inventory.create_pools([_pool(1, "other")])
        with pytest.raises(Duplicated):
            await inventory.create_pools([_pool(3, "one")])
        with pytest.raises(Duplicated):
            await inventory.update_pools([(Ref(pid=2), PoolSpec(pid=1))])
        with pytest.raises(Duplicated):
            await inventory.update_pools([(Ref(pid=2), PoolSpec(name="one"))])

    async def test_names_of_workers_are_unique_over_all_pools(self, inventory: Inventory) -> None:
        await inventory.create_pools([_pool(1), _pool(2)])
        await inventory.create_workers([_worker("a"), _worker("b")])
        with pytest.raises(Duplicated):
            await inventory.create_workers([_worker("a", pid=2)])
        with pytest.raises(Duplicated):
            await inventory.update_workers([(Ref(name="b"), WorkerSpec(name="a"))])

    async def test_a_batch_is_made_whole_or_not_at_all(self, inventory: Inventory) -> None:
        pools = await inventory.create_pools([_pool(1)])
        workers = await inventory.create_workers([_worker("a")])
        with pytest.raises(Duplicated):
            await inventory.create_pools([_pool(2), _pool(1, "again")])
        with pytest.raises(NotFound):
            await inventory.update_pools(
                [(Ref(pid=1), PoolSpec(name="changed")), (Ref(pid=9), PoolSpec(name="x"))]
            )
        with pytest.raises(Duplicated):
            await inventory.create_workers([_worker("b"), _worker("a")])
        with pytest.raises(NotFound):
            await inventory.update_workers(
                [(Ref(name="a"), WorkerSpec(deleted=True)), (Ref(name="z"), WorkerSpec(stake=PHA))]
            )
        assert list(await inventory.pools()) == list(pools)
        assert list(await inventory.workers()) == list(workers)

    async def test_later_items_of_a_batch_see_the_earlier_ones(self, inventory: Inventory) -> None:
        await inventory.create_pools([_pool(1, "one"), _pool(2, "two")])
        items = [
            (Ref(pid=1), PoolSpec(name="spare")),
            (Ref(pid=2), PoolSpec(name="one")),
            (Ref(name="spare"), PoolSpec(name="two")),
        ]
        changed = await inventory.update_pools(items)
        assert len(changed) == len(items)
        assert {pool.pid: pool.name for pool in await inventory.pools()} == {1: "two", 2: "one"}

    async def test_a_worker_moves_to_another_pool(self, inventory: Inventory) -> None:
        await inventory.create_pools([_pool(1), _pool(2)])
        [worker] = await inventory.create_workers([_worker("w")])
        [moved] = await inventory.update_workers([(Ref(name="w"), WorkerSpec(pid=2))])
        assert (moved.uuid, moved.pid) == (worker.uuid, 2)

    async def test_workers_stay_in_a_pool_whose_pid_changes(self, inventory: Inventory) -> None:
        await inventory.create_pools([_pool(1)])
        await inventory.create_workers([_worker("w")])
        await inventory.update_pools([(Ref(pid=1), PoolSpec(pid=8))])
        assert [worker.pid for worker in await inventory.workers()] == [8]

    async def test_a_deleted_worker_is_gone_and_its_name_free(self, inventory: Inventory) -> None:
        await inventory.create_pools([_pool(1)])
        await inventory.create_workers([_worker("w")])
        await inventory.update_workers([(Ref(name="w"), WorkerSpec(deleted=True))])
        assert list(await inventory.workers()) == []
        await inventory.create_workers([_worker("w")])

    async def test_a_deleted_pool_takes_its_workers_along(self, inventory: Inventory) -> None:
        await inventory.create_pools([_pool(1), _pool(2)])
        await inventory.create_workers([_worker("a"), _worker("b", 2)])
        await inventory.update_pools([(Ref(pid=1), PoolSpec(deleted=True))])
        assert [pool.pid for pool in await inventory.pools()] == [2]
        assert [worker.name for worker in await inventory.workers()] == ["b"]

    async def test_an_owner_is_given_as_ss58_and_taken_away(self, inventory: Inventory) -> None:
        [pool] = await inventory.create_pools([PoolSpec(pid=1, name="p", owner=SS58)])
        assert pool.owner == ACCOUNT
        [pool] = await inventory.update_pools([(Ref(pid=1), PoolSpec(enabled=False))])
        assert pool.owner == ACCOUNT
        [pool] = await inventory.update_pools([(Ref(pid=1), PoolSpec(owner=""))])
        assert pool.owner is None

    @pytest.mark.parametrize("owner", ["x", SS58[:-1], SS58[:-1] + "Z", SS58 + "Y", "0" * 48])
    async def test_an_owner_that_is_no_address_is_refused(
        self, inventory: Inventory, owner: str
    ) -> None:
        with pytest.raises(InventoryError):
            await inventory.create_pools([PoolSpec(pid=1, name="p", owner=owner)])

    @pytest.mark.parametrize(
        "spec",
        [
            WorkerSpec(pid=1, name="", endpoint="http://w.example"),
            WorkerSpec(pid=1, name="w", endpoint=""),
            WorkerSpec(pid=1, name="w", endpoint="ftp://w.example"),
            WorkerSpec(pid=1, name="w", endpoint="http://"),
            WorkerSpec(pid=1, name="w", endpoint="http://w.example", stake=-1),
            WorkerSpec(pid=1, name="w", endpoint="http://w.example", stake=2**128),
            WorkerSpec(pid=1, name="w"),
            WorkerSpec(pid=1, endpoint="http://w.example"),
            WorkerSpec(name="w", endpoint="http://w.example"),
        ],
    )
    async def test_a_worker_that_cannot_be_is_refused(
        self, inventory: Inventory, spec: WorkerSpec
    ) -> None:
        await inventory.create_pools([_pool(1)])
        with pytest.raises(InventoryError):
            await inventory.create_workers([spec])
        assert list(await inventory.workers()) == []

    @pytest.mark.parametrize(
        "spec", [PoolSpec(pid=1), PoolSpec(name="p"), PoolSpec(pid=-1, name="p")]
    )
    async def test_a_pool_that_cannot_be_is_refused(
        self, inventory: Inventory, spec: PoolSpec
    ) -> None:
        with pytest.raises(InventoryError):
            await inventory.create_pools([spec])
        assert list(await inventory.pools()) == []

    async def test_an_operators_secret_comes_back_and_its_account_shows(
        self, inventory: Inventory
    ) -> None:
        secret = SecretStr("//Marker")
        [pool] = await inventory.create_pools([PoolSpec(pid=1, name="p", operator=secret)])
        assert pool.operator == await _account_of(secret)
        assert (await inventory.operator_uri(pool)).get_secret_value() == "//Marker"
        [pool] = await inventory.update_pools(
            [(Ref(pid=1), PoolSpec(operator=SecretStr("//Other")))]
        )
        assert pool.operator == await _account_of(SecretStr("//Other"))
        assert (await inventory.operator_uri(pool)).get_secret_value() == "//Other"

    async def test_a_pool_without_operator_has_no_uri(self, inventory: Inventory) -> None:
        [pool] = await inventory.create_pools([_pool(1)])
        with pytest.raises(NotFound):
            await inventory.operator_uri(pool)

    async def test_changes_tell_the_start_and_each_change(
        self, make_inventory: Callable[[AccountOf], Inventory], inventory: Inventory
    ) -> None:
        async with (
            make_inventory(_account_of) as other,
            contextlib.aclosing(inventory.changes()) as changes,  # type: ignore[type-var]
            asyncio.timeout(DEADLINE),
        ):
            await anext(changes)
            await other.create_pools([_pool(1)])
            await anext(changes)
            assert [pool.pid for pool in await inventory.pools()] == [1]
            await inventory.create_workers([_worker("w")])
            await anext(changes)
            assert [worker.name for worker in await other.workers()] == ["w"]

    async def test_a_reader_never_sees_half_a_batch(
        self, make_inventory: Callable[[AccountOf], Inventory], inventory: Inventory
    ) -> None:
        async with make_inventory(_account_of) as other, asyncio.TaskGroup() as group:
            creating = group.create_task(
                inventory.create_pools([_pool(pid) for pid in range(1, 101)])
            )
            counts = set()
            while not creating.done():
                counts.add(len(await other.pools()))
            assert counts <= {0, 100}

    async def test_what_is_done_together_is_one_transaction(self, inventory: Inventory) -> None:
        await inventory.create_pools([_pool(1)])

        async def fail() -> None:
            async with inventory.together():
                await inventory.create_workers([_worker("a")])
                assert [worker.name for worker in await inventory.workers()] == ["a"]
                await inventory.create_pools([_pool(2), _pool(1, "again")])

        with pytest.raises(Duplicated):
            await fail()
        assert await inventory.workers() == []
        async with inventory.together():
            await inventory.create_workers([_worker("a")])
            with contextlib.suppress(Duplicated):
                await inventory.create_workers([_worker("b"), _worker("a")])
            await inventory.create_pools([_pool(2)])
        assert [worker.name for worker in await inventory.workers()] == ["a"]
        assert [pool.pid for pool in await inventory.pools()] == [1, 2]
