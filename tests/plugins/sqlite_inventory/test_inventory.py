"""The SQLite inventory: the contract, and what is its own (sealing, file mode, migrations)."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from prbkit.errors import IdentityError, InventoryError
from prbkit.interfaces import Inventory, PoolSpec, Ref, WorkerSpec
from prbkit.testing.contracts.inventory import AccountOf, InventoryContract
from prbkit_plugins.sqlite_inventory.inventory import SqliteInventory
from prbkit_plugins.sqlite_inventory.schema import MIGRATIONS


class Seal:
    """Shows what is sealed with what, so that the pairing can be asserted."""

    def seal(self, plaintext: bytes, associated_data: bytes) -> bytes:
        return associated_data + b"|" + bytes(byte ^ 0x55 for byte in plaintext)

    def unseal(self, sealed: bytes, associated_data: bytes) -> bytes:
        data, _, hidden = sealed.partition(b"|")
        if data != associated_data:
            raise IdentityError("sealed for something else")
        return bytes(byte ^ 0x55 for byte in hidden)


async def account_of(uri: SecretStr) -> bytes:
    return b"\7" * 32


def open_inventory(path: Path) -> SqliteInventory:
    return SqliteInventory(path, identity=Seal(), account_of=account_of)


class TestContract(InventoryContract):
    @pytest.fixture
    def make_inventory(self, tmp_path: Path) -> Callable[[AccountOf], Inventory]:
        def make(account_of: AccountOf) -> Inventory:
            return SqliteInventory(
                tmp_path / "a" / "inventory.db", identity=Seal(), account_of=account_of
            )

        return make


async def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "inventory.db"
    async with open_inventory(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_no_secret_stands_in_the_file(tmp_path: Path) -> None:
    async with open_inventory(tmp_path / "inventory.db") as inventory:
        secret = SecretStr("marker secret of this test")
        await inventory.create_pools([PoolSpec(pid=1, name="p", operator=secret)])
        await inventory.update_pools([(Ref(pid=1), PoolSpec(name="q"))])
        for file in tmp_path.iterdir():
            assert b"marker" not in file.read_bytes()


async def test_a_sealed_secret_moved_to_another_pool_does_not_open(tmp_path: Path) -> None:
    path = tmp_path / "inventory.db"
    async with open_inventory(path) as inventory:
        await inventory.create_pools([PoolSpec(pid=1, name="p", operator=SecretStr("//A"))])
        [thief] = await inventory.create_pools([PoolSpec(pid=2, name="q")])
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE pool SET sealed = (SELECT sealed FROM pool WHERE pid = 1)")
    raw.close()
    async with open_inventory(path) as inventory:
        with pytest.raises(IdentityError):
            await inventory.operator_uri(thief)


async def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "inventory.db"
    with sqlite3.connect(path) as raw:
        raw.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    raw.close()
    with pytest.raises(InventoryError, match="schema"):
        await open_inventory(path).open()


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "inventory.db"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(InventoryError, match=str(path)):
        await open_inventory(path).open()


async def test_a_stake_given_in_pha_is_refused(tmp_path: Path) -> None:
    async with open_inventory(tmp_path / "inventory.db") as inventory:
        await inventory.create_pools([PoolSpec(pid=1, name="p")])
        spec = WorkerSpec(pid=1, name="w", endpoint="http://w.example", stake=4000)
        with pytest.raises(InventoryError, match="base units"):
            await inventory.create_workers([spec])
