"""The data provider against a devnet: catch-up, tip, resume, lying and missing nodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from prbkit.blobs import header_hash
from prbkit.events import Event, RangeCommitted
from prbkit.testing.devnet import Devnet, DevnetConfig
from prbkit_plugins.data_provider.archive import Archive
from prbkit_plugins.data_provider.follow import Follower
from prbkit_plugins.data_provider.fsck import check
from prbkit_plugins.data_provider.settings import DataProviderSettings
from prbkit_plugins.memory.store import MemoryStore
from prbkit_plugins.substrate.settings import SubstrateSettings
from prbkit_plugins.substrate.source import SubstrateSource

QUICK = DataProviderSettings(
    retry_first=0.01, retry_most=0.02, distrust=0.05, para_batch=7, verify_state="full"
)
RPC = SubstrateSettings(retry_first=0.01, retry_most=0.05, timeout=10, long_timeout=20)
CONFIG = DevnetConfig(history=100, set_period=20, justification_period=8)


class Provider:
    """A follower over a store, as the service puts them together."""

    def __init__(
        self, store: MemoryStore, net: Devnet, settings: DataProviderSettings = QUICK
    ) -> None:
        urls: dict[str, list[str]] = {"relay": [], "para": []}
        for endpoint in net.endpoints:
            urls[endpoint.role].append(endpoint.url)
        self.relay = SubstrateSource(urls["relay"], "relay", RPC)
        self.para = SubstrateSource(urls["para"], "para", RPC)
        self.store = store
        self.archive = Archive(store)
        self.events: list[Event] = []
        self.follower = Follower(self.archive, self.relay, self.para, settings, self.events.append)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Provider]:
        await self.store.open()
        await self.archive.load()
        async with self.relay, self.para:
            task = asyncio.create_task(self.follower.run())
            try:
                yield self
            finally:
                task.cancel()
                done = await asyncio.gather(task, return_exceptions=True)
        if not isinstance(done[0], asyncio.CancelledError):
            raise AssertionError(f"the follower ended: {done[0]!r}")

    async def until(self, condition: Callable[[Archive], bool]) -> None:
        async with asyncio.timeout(60):
            while not (self.archive.begun and condition(self.archive)):
                await asyncio.sleep(0.005)

    async def synced(self, net: Devnet) -> None:
        """Wait until all that is finalized is committed, and check it against the chains."""
        relay = net.chain("relay").finalized.number
        await self.until(lambda archive: archive.relay.number >= relay)
        head = self.archive.relay.para.number
        await self.until(lambda archive: archive.para.number >= head)
        await self.equals(net)

    async def equals(self, net: Devnet) -> None:
        archive = self.archive
        para = net.chain("para")
        for number, header in enumerate(await archive.headers(0, archive.para.number)):
            assert header_hash(header) == para.at(number).hash
        for position in range(len(archive.index)):
            entry = archive.index.segment(position)
            segment = await archive.segment(entry.last)
            assert segment is not None
            for number, header in enumerate(segment.headers(), segment.first):
                assert header_hash(header) == net.chain("relay").at(number).hash
        assert [finding async for finding in check(archive)] == []


async def test_it_catches_up_and_follows_the_tip() -> None:
    async with Devnet(CONFIG) as net:
        provider = Provider(MemoryStore(), net)
        async with provider.running():
            await provider.synced(net)
            assert provider.archive.relay.authorities.set_id >= 4
            for _ in range(6):
                await net.produce(5)
                await provider.synced(net)
            ranges = [event for event in provider.events if isinstance(event, RangeCommitted)]
            for role in ("relay", "para"):
                ends = [(e.first, e.last) for e in ranges if e.role == role]
                assert all(b[0] == a[1] + 1 for a, b in zip(ends, ends[1:], strict=False))
            assert provider.follower.set_changes >= 5
