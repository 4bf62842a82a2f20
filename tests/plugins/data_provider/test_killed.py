"""The provider's process killed in the middle of its work, with LMDB under it."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
from multiprocessing.connection import Connection
from pathlib import Path

from prbkit.blobs import header_hash
from prbkit.events import Event, RangeCommitted
from prbkit.testing.devnet import Devnet, DevnetConfig
from prbkit_plugins.data_provider.archive import Archive
from prbkit_plugins.data_provider.follow import Follower
from prbkit_plugins.data_provider.fsck import check
from prbkit_plugins.data_provider.settings import DataProviderSettings
from prbkit_plugins.lmdb.store import LmdbStore
from prbkit_plugins.substrate.settings import SubstrateSettings
from prbkit_plugins.substrate.source import SubstrateSource

QUICK = DataProviderSettings(retry_first=0.01, retry_most=0.02, para_batch=3, fetch_ahead=2)


def _follow(directory: str, relay: str, para: str, told: Connection) -> None:
    async def run() -> None:
        def tell(event: Event) -> None:
            if isinstance(event, RangeCommitted):
                told.send((event.role, event.first, event.last))

        rpc = SubstrateSettings()
        async with (
            LmdbStore(Path(directory)) as store,
            SubstrateSource([relay], "relay", rpc) as relay_source,
            SubstrateSource([para], "para", rpc) as para_source,
        ):
            archive = Archive(store)
            await archive.load()
            await Follower(archive, relay_source, para_source, QUICK, tell).run()

    asyncio.run(run())


async def test_kill_9_at_any_moment_leaves_a_whole_store_and_no_gap(tmp_path: Path) -> None:
    chance = random.Random(7)
    context = multiprocessing.get_context("spawn")
    config = DevnetConfig(history=120, set_period=10, justification_period=5)
    async with Devnet(config) as net:
        committed = {"relay": 0, "para": 0}
        for _ in range(4):
            await net.produce(8)
            here, there = context.Pipe(duplex=False)
            child = context.Process(
                target=_follow, args=(str(tmp_path), net.relay_url, net.para_url, there)
            )
            child.start()
            there.close()
            for _ in range(chance.randrange(1, 12)):
                if not await asyncio.to_thread(here.poll, 20):
                    break
                role, first, last = here.recv()
                # What was told as committed before is never fetched again, and no block skipped.
                assert committed[role] == 0 or first <= committed[role] + 1
                assert last > committed[role]
                committed[role] = last
            child.kill()
            await asyncio.to_thread(child.join)
            here.close()
            async with LmdbStore(tmp_path) as store:
                archive = Archive(store)
                await archive.load()
                if not archive.begun:
                    continue
                assert archive.relay.number >= committed["relay"]
                assert archive.para.number >= committed["para"]
                committed = {"relay": archive.relay.number, "para": archive.para.number}
                assert [finding async for finding in check(archive)] == []
                headers = await archive.headers(0, archive.para.number)
                chain = net.chain("para").blocks(0, archive.para.number)
                assert [header_hash(h) for h in headers] == [block.hash for block in chain]
        assert min(committed.values()) > 0
