"""The trader on the real Phala runtime: each job of a batch gets its own outcome."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from prbkit.interfaces import ChainSource, JobRecord, JobState, Pool, TradeJob
from prbkit.scale import Metadata
from prbkit.settings import Settings
from prbkit_plugins import substrate
from prbkit_plugins.keyring.uri import open_uri
from prbkit_plugins.sqlite_queue.queue import SqliteQueue
from prbkit_plugins.trader.service import Trader
from tests.plugins.trader.context import FixedInventory, TestContext
from tests.real.chopsticks import ChopsticksMissing, install, serve

pytestmark = pytest.mark.timeout(1200)

ALICE, BOB, CHARLIE = (open_uri(f"//{name}").account for name in ("Alice", "Bob", "Charlie"))
PHA = 10**12

POOLS = {
    1: (Pool("p1", 1, "alice's own", operator=ALICE), "//Alice"),
    2: (Pool("p2", 2, "alice's, through bob", operator=BOB, owner=ALICE), "//Bob"),
    3: (Pool("p3", 3, "bob is no proxy of charlie", operator=BOB, owner=CHARLIE), "//Bob"),
}


@pytest.fixture
async def source(data_dir: Path, tmp_path: Path) -> AsyncIterator[ChainSource]:
    try:
        program = await asyncio.to_thread(install)
    except ChopsticksMissing as error:
        if os.environ.get("PRBKIT_REQUIRE_DATA") == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))
    genesis = data_dir / "chainspec/rhala.json.gz"
    async with serve(program, genesis, tmp_path) as url:
        settings = Settings.from_tree({"data_dir": str(tmp_path), "para": {"endpoints": [url]}})
        settings.bind_sections(substrate.prbkit_settings())
        source = substrate.prbkit_chain_source(url, "para", settings)
        assert source is not None
        async with source:
            yield source


async def endow(source: ChainSource) -> Metadata:
    """Give the development accounts money and the sudo key to Alice."""
    md = Metadata.parse(await source.metadata())
    account = md.decode_storage("System", "Account", None)
    account["data"]["free"] = 1_000_000 * PHA
    account["providers"] = 1
    rich = md.encode_storage("System", "Account", account)
    changes = [(md.storage_key("System", "Account", who), rich) for who in (ALICE, BOB, CHARLIE)]
    changes.append((md.storage_key("Sudo", "Key"), ALICE))
    pairs = [[f"0x{key.hex()}", f"0x{value.hex()}"] for key, value in changes]
    await source.rpc("dev_setStorage", [pairs])
    return md


class Trading:
    """A trader that runs, with its queue."""

    def __init__(self, queue: SqliteQueue, context: TestContext, md: Metadata) -> None:
        self.queue, self.context, self.md = queue, context, md
        self._number = 0

    async def put(self, pid: int, action: str, **payload: Any) -> str:
        self._number += 1
        key = f"{action}:{self._number}"
        assert await self.queue.put(TradeJob(key, pid, action, payload, time.time()))
        return key

    async def call(self, pid: int, pallet: str, name: str, **args: Any) -> str:
        return await self.put(pid, "CALL", call=f"0x{self.md.call(pallet, name, **args).hex()}")

    async def ended(self, keys: Sequence[str]) -> list[JobRecord]:
        async with asyncio.timeout(240):
            while True:
                records = [await self.queue.get(key) for key in keys]
                if all(record is not None and record.state.final for record in records):
                    return [record for record in records if record is not None]
                await asyncio.sleep(0.2)


@pytest.fixture
async def trading(source: ChainSource, tmp_path: Path) -> AsyncIterator[Trading]:
    md = await endow(source)
    async with SqliteQueue(tmp_path / "queue.db") as queue:
        inventory = FixedInventory(POOLS)
        context = TestContext(source, queue, inventory, tmp_path, batch_age=1.0)
        running = asyncio.create_task(Trader(context).run())
        try:
            yield Trading(queue, context, md)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def failure(record: JobRecord) -> tuple[str | None, str | None]:
    assert record.state is JobState.FAILED
    assert record.error is not None
    return record.error.pallet, record.error.name


async def test_each_job_of_a_batch_gets_its_own_outcome(
    source: ChainSource, trading: Trading
) -> None:
    # Through the account itself; the second call fails.
    keys = [
        await trading.call(1, "System", "remark", remark=b"first"),
        await trading.put(1, "ADD_WORKER", public_key="0x" + "77" * 32),
        await trading.call(
            1, "Proxy", "add_proxy", delegate={"Id": BOB}, proxy_type="Any", delay=0
        ),
        await trading.put(1, "START_COMPUTING", public_key="0x" + "77" * 32, stake="1"),
        await trading.call(1, "PhalaStakePoolv2", "create"),
        await trading.put(1, "CALL", call="0xffff"),
    ]
    records = await trading.ended(keys)
    states = [record.state for record in records]
    good, bad = JobState.FINALIZED, JobState.FAILED
    assert states == [good, bad, good, bad, good, bad]
    assert failure(records[1]) == ("PhalaStakePoolv2", "WorkerNotRegistered")
    assert records[1].error is not None
    assert records[1].error.docs
    assert failure(records[3]) == ("PhalaBasePool", "PoolDoesNotExist")
    assert records[3].errors == (records[3].error,)
    # A bad job fails alone, before anything is signed; the others went in one extrinsic.
    assert records[5].extrinsic_hash is None
    assert records[5].error is not None
    assert "not a call of this chain" in records[5].error.message
    assert len({record.extrinsic_hash for record in records[:5]}) == 1
    block = records[0].block
    assert block is not None
    assert await source.block_hash(block.number) == block.hash

    # The same through a proxy: Bob signs, Alice acts.
    keys = [
        await trading.call(2, "PhalaStakePoolv2", "create"),
        await trading.put(2, "STOP_COMPUTING", public_key="0x" + "77" * 32),
        await trading.call(2, "System", "remark", remark=b"second"),
        # A batch inside a job has item events of its own: it goes alone.
        await trading.call(
            2,
            "Utility",
            "force_batch",
            calls=[
                trading.md.call("System", "remark", remark=b"third"),
                trading.md.call("PhalaStakePoolv2", "add_worker", pid=0, pubkey=b"\x77" * 32),
            ],
        ),
        await trading.call(3, "System", "remark", remark=b"fourth"),
    ]
    records = await trading.ended(keys)
    assert [record.state for record in records] == [good, bad, good, good, bad]
    assert failure(records[1]) == ("PhalaBasePool", "PoolDoesNotExist")
    assert len({record.extrinsic_hash for record in records[:3]}) == 1
    assert records[3].extrinsic_hash not in {record.extrinsic_hash for record in records[:3]}
    # Bob is not a proxy of Charlie: the whole extrinsic fails.
    assert failure(records[4]) == ("Proxy", "NotProxy")
    owners = [
        trading.md.decode_storage("PhalaBasePool", "Pools", value)
        for _, value in await source.pairs(trading.md.storage_prefix("PhalaBasePool", "Pools"))
    ]
    assert len(owners) == 2
    # Both pools belong to Alice, the second one made through Bob.
    assert {next(iter(owner.values()))["basepool"]["owner"] for owner in owners} == {ALICE}
    assert trading.context.status() == {"finalized": 6, "failed": 5, "pending": 0}
