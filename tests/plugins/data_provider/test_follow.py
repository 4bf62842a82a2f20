"""The data provider against a devnet: catch-up, tip, resume, lying and missing nodes."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from prbkit.blobs import (
    Counters,
    Dispatch,
    Planner,
    SyncCombined,
    SyncHeaders,
    SyncParaHeaders,
    Wait,
    assemble,
    decode_dispatch_block_req,
    decode_genesis_info,
    decode_storage_changes,
    decode_storage_state,
    decode_sync_combined_headers_req,
    decode_sync_header_req,
    decode_sync_para_header_req,
    header_hash,
    header_number,
)
from prbkit.blobs.documents import Genesis, RelaySegment, changes_key, para_key, relay_key
from prbkit.blobs.index import CommittedIndex
from prbkit.errors import ConfigError
from prbkit.events import BlockFetched, Event, RangeCommitted
from prbkit.interfaces import BlobStore
from prbkit.testing.devnet import Devnet, DevnetConfig, Faults
from prbkit.testing.pruntime.light import LightClient
from prbkit_plugins.data_provider.archive import Archive
from prbkit_plugins.data_provider.follow import Follower
from prbkit_plugins.data_provider.fsck import check, repair
from prbkit_plugins.data_provider.keep import kept_state
from prbkit_plugins.data_provider.serve import BlobServer
from prbkit_plugins.data_provider.settings import DataProviderSettings
from prbkit_plugins.data_provider.state import ParaState
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
        self, store: BlobStore, net: Devnet, settings: DataProviderSettings = QUICK
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
            while not (self.archive.begun and condition(self.archive)):  # noqa: ASYNC110
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
                assert all(b[0] == a[1] + 1 for a, b in itertools.pairwise(ends))
            assert provider.follower.set_changes >= 5


async def test_it_scans_for_justifications_where_there_are_no_finality_proofs() -> None:
    async with Devnet(CONFIG) as net:
        net.relay.faults.disabled.add("grandpa_proveFinality")
        net.para.faults.deny_unsafe = True
        provider = Provider(MemoryStore(), net)
        async with provider.running():
            justified = net.chain("relay").finalized.number // 8 * 8
            await provider.until(lambda archive: archive.relay.number >= justified)
            await net.produce(17)
            await provider.until(lambda archive: archive.relay.number >= justified + 16)
            head = provider.archive.relay.para.number
            await provider.until(lambda archive: archive.para.number >= head)
            await provider.equals(net)


async def test_a_worker_comes_from_genesis_and_from_anywhere_to_the_tip() -> None:
    async with Devnet(CONFIG) as net:
        provider = Provider(MemoryStore(), net)
        async with provider.running():
            await provider.synced(net)
            archive, server = provider.archive, BlobServer(provider.archive, limit=1 << 20)
            genesis = Genesis.decode(await _served(server, "prbkit/genesis"))
            header, authorities, set_id, proof = decode_genesis_info(genesis.info)
            pairs = decode_storage_state(genesis.state)
            worker = LightClient.start(header, authorities, set_id, proof, pairs, 0)
            earlier = [worker.copy()]
            while await _step(worker, archive, server):
                earlier.append(worker.copy())
            tip = (archive.relay.number + 1, archive.para.number + 1, archive.para.number + 1)
            assert (worker.next_relay, worker.next_para, worker.next_block) == tip
            for old in earlier:
                while await _step(old, archive, server):
                    pass
                assert (old.next_relay, old.next_para, old.next_block) == tip


async def test_the_state_is_kept_and_taken_up_again_without_a_replay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Devnet(CONFIG) as net:
        provider = Provider(MemoryStore(), net)
        async with provider.running():
            await provider.synced(net)
        kept = await kept_state(provider.archive)
        assert kept is not None
        assert kept.number == provider.archive.para.number

        applied = 0
        apply = ParaState.apply

        def counted(state: ParaState, headers: Sequence[bytes], changes: Sequence[bytes]) -> Any:
            nonlocal applied
            applied += len(headers)
            return apply(state, headers, changes)

        monkeypatch.setattr(ParaState, "apply", counted)
        await net.produce(20)
        again = Provider(provider.store, net)
        async with again.running():
            await again.synced(net)
            # fsck applies all of them once more.
            assert applied == 2 * again.archive.para.number - kept.number


@pytest.mark.parametrize("harm", ["value", "missing", "foreign", "mark", "none"])
async def test_a_harmed_state_is_found_and_made_again(harm: str) -> None:
    async with Devnet(CONFIG) as net:
        provider = Provider(MemoryStore(), net)
        async with provider.running():
            await provider.synced(net)
        store = provider.store
        await store.open()
        rows = [key async for key, _ in store.scan(b"state/", b"state0", keys_only=True)]
        mark = await store.get(b"mark/state")
        assert mark is not None
        match harm:
            case "value":
                await store.commit({rows[3]: b"another"})
            case "missing":
                await store.commit({}, [rows[5]])
            case "foreign":
                await store.commit({b"state/0/none": b"x", b"state/2/none": b"\xff" * 6})
            case "mark":
                await store.commit({b"mark/state": mark[:4] + bytes(32)})
            case "none":
                await store.commit({}, [*rows, b"mark/state"])
        found = [finding async for finding in check(provider.archive)]
        assert bool(found) == (harm != "none")
        await net.produce(10)
        again = Provider(store, net)
        async with again.running():
            await again.synced(net)


async def test_a_sampled_provider_keeps_no_state_and_goes_on_in_full() -> None:
    async with Devnet(CONFIG) as net:
        sampled = QUICK.model_copy(update={"verify_state": "sampled"})
        provider = Provider(MemoryStore(), net, sampled)
        async with provider.running():
            await provider.synced(net)
            assert await provider.archive.state() is None
        await net.produce(10)
        again = Provider(provider.store, net)
        async with again.running():
            await again.synced(net)
            kept = await kept_state(again.archive)
            assert kept is not None
            assert kept.number == again.archive.para.number


async def test_samples_find_a_node_that_lies_about_changes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Devnet(CONFIG) as net:
        liar = await net.add_endpoint("para", faults=Faults())
        liar.faults.lie("changes", 1)
        net.endpoints.remove(liar)
        net.endpoints.insert(0, liar)
        settings = QUICK.model_copy(update={"verify_state": "sampled"})
        provider = Provider(MemoryStore(), net, settings)
        async with provider.running():
            await provider.synced(net)
            told = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
            assert any("storage changes" in line and liar.url in line for line in told), told


LIES = {
    "header": ("relay", "header", r"header|parent|hash"),
    "proof": ("relay", "proof", "proof"),
    "justification": ("relay", "justification", "justification"),
    "para header": ("para", "header", r"header|parent"),
    "changes": ("para", "changes", "state root|shape"),
}


@pytest.mark.parametrize("kind", LIES)
async def test_a_lying_endpoint_is_refused_and_another_asked(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    role, lie, said = LIES[kind]
    async with Devnet(CONFIG) as net:
        honest = {"relay": net.relay, "para": net.para}[role]
        liar = await net.add_endpoint(honest.role, faults=Faults())
        liar.faults.lie(lie, 30 if role == "relay" else 12)
        net.endpoints.remove(liar)
        net.endpoints.insert(0, liar)
        provider = Provider(MemoryStore(), net)
        async with provider.running():
            await provider.synced(net)
            assert liar.faults.told
            told = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
            assert any(re.search(said, line) and liar.url in line for line in told), told


@pytest.mark.parametrize("kind", LIES)
async def test_a_node_that_lied_alone_stops_the_sync_only_until_it_is_honest(kind: str) -> None:
    role, lie, said = LIES[kind]
    async with Devnet(CONFIG) as net:
        liar = {"relay": net.relay, "para": net.para}[role]
        liar.faults.lie(lie, 30 if role == "relay" else 12)
        provider = Provider(MemoryStore(), net)
        async with provider.running():
            chain = liar.role
            async with asyncio.timeout(30):
                while not re.search(said, provider.follower.trouble[chain] or ""):  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
            await provider.equals(net)
            liar.faults.clear()
            await provider.synced(net)


async def test_it_goes_on_from_the_last_commit_wherever_it_was_cut() -> None:
    async with Devnet(CONFIG) as net:
        store = CutStore()
        for commits in (1, 1, 2, 3, 1, 5, 2, 1, 3, 4):
            provider = Provider(store, net)
            store.left = commits
            async with provider.running():
                before = provider.archive.relay.number if provider.archive.begun else None
                async with asyncio.timeout(30):
                    await store.cut.wait()
            await store.open()
            await provider.archive.load()
            if before is not None:
                relay = [
                    e.number
                    for e in provider.events
                    if isinstance(e, BlockFetched) and e.role == "relay"
                ]
                assert all(number > before for number in relay)
            assert [finding async for finding in check(provider.archive)] == []
        store.left = 10**9
        provider = Provider(store, net)
        async with provider.running():
            await provider.synced(net)


async def test_lost_connections_and_lagging_nodes_only_delay() -> None:
    async with Devnet(CONFIG) as net:
        second = await net.add_endpoint("relay", faults=Faults(lag=40))
        provider = Provider(MemoryStore(), net)
        async with provider.running():
            await provider.synced(net)
            net.relay.faults.dead = True
            await net.produce(10)
            second.faults.lag = 0
            await net.produce(10)
            await provider.synced(net)
            net.relay.faults.dead = False
            net.relay.faults.drop_after = 3
            net.para.faults.drop_after = 3
            await net.produce(20)
            await provider.synced(net)


async def test_an_unfinalized_reorg_is_never_seen() -> None:
    async with Devnet(CONFIG) as net:
        provider = Provider(MemoryStore(), net)
        async with provider.running():
            await provider.synced(net)
            for _ in range(4):
                await net.produce(3)
                await net.reorg(1)
                await net.produce(3)
                await provider.synced(net)


async def test_a_store_of_another_chain_is_refused() -> None:
    store = MemoryStore()
    async with Devnet(CONFIG) as net:
        provider = Provider(store, net)
        async with provider.running():
            await provider.synced(net)
        before = provider.archive.relay.number
    async with Devnet(replace(CONFIG, seed=1, para_id=2005)) as other:
        provider = Provider(store, other)
        async with provider.running():
            async with asyncio.timeout(30):
                while "another" not in (provider.follower.trouble["para"] or ""):  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
            assert provider.archive.relay.number == before


async def test_damage_is_found_and_repaired() -> None:
    async with Devnet(CONFIG) as net:
        store = MemoryStore()
        provider = Provider(store, net)
        async with provider.running():
            await provider.synced(net)
        await store.open()
        archive = provider.archive
        relay, para = archive.relay.number, archive.para.number
        for key in (relay_key(archive.index.segment(1).last), para_key(20), changes_key(30)):
            whole = await store.get(key)
            assert whole is not None
            for damaged in (whole[:-1] + bytes([whole[-1] ^ 1]), whole[:-1], b"", None):
                puts = {} if damaged is None else {key: damaged}
                await store.commit(puts, [key])
                findings = [finding async for finding in check(archive)]
                assert findings
                assert findings[0].chain == ("relay" if key.startswith(b"relay") else "para")
            await store.commit({key: whole})
        assert [finding async for finding in check(archive)] == []
        await repair(archive, "para", 25)
        assert (archive.relay.number, archive.para.number) == (relay, 24)
        assert [finding async for finding in check(archive)] == []
        for number in (70, 41, 21, archive.index.relay_first):
            await repair(archive, "relay", number)
            assert archive.relay.number < number
            assert [finding async for finding in check(archive)] == []
            fresh = Archive(store)
            await fresh.load()
            assert (fresh.relay, fresh.para) == (archive.relay, archive.para)
        with pytest.raises(ConfigError, match="not committed"):
            await repair(archive, "relay", 10**6)
        provider = Provider(store, net)
        async with provider.running():
            await provider.synced(net)
            assert (provider.archive.relay.number, provider.archive.para.number) >= (relay, para)


class CutStore(MemoryStore):
    """A store whose process dies before its n-th next commit: nothing of it is written."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 0
        self.cut = asyncio.Event()

    async def commit(self, puts: Mapping[bytes, bytes], deletes: Sequence[bytes] = ()) -> None:
        if self.left == 0:
            self.cut.set()
            await asyncio.Event().wait()
        self.left -= 1
        self.cut.clear()
        await super().commit(puts, deletes)


async def _served(server: BlobServer, key: str) -> bytes:
    blob = await server.get(key)
    assert blob is not None, key
    return blob


async def _step(worker: LightClient, archive: Archive, server: BlobServer) -> bool:
    """Give a worker its next request, out of what is served; False when it has to wait."""
    counters = Counters(worker.next_relay, worker.next_para, worker.next_block, worker.waiting)
    index = CommittedIndex.decode(await _served(server, "prbkit/index/0/0"))
    request = Planner(100_000).next_request(counters, index)
    segments: list[RelaySegment] = []
    para = changes = b""
    match request:
        case Wait():
            return False
        case SyncHeaders(first, last) | SyncCombined(first, last, _, _):
            for entry in index.segments(first, last):
                raw = await _served(server, f"prbkit/relay/{entry.last}")
                segments.append(RelaySegment.decode(raw))
        case SyncParaHeaders(_, _, relay_last):
            segments = [RelaySegment.decode(await _served(server, f"prbkit/relay/{relay_last}"))]
    match request:
        case SyncParaHeaders(first, last, _) | Dispatch(first, last):
            para = await _served(server, f"prbkit/para/{first}/{last}")
        case SyncCombined(_, _, first, last) if last >= first:
            para = await _served(server, f"prbkit/para/{first}/{last}")
        case SyncCombined():
            para = b"\0"
    if isinstance(request, Dispatch):
        changes = await _served(server, f"prbkit/changes/{request.first}/{request.last}")
    body = assemble(request, segments, para, changes)
    match request:
        case SyncHeaders():
            headers, _ = decode_sync_header_req(body)
            worker.sync_relay(headers)
        case SyncParaHeaders():
            worker.sync_para(*decode_sync_para_header_req(body))
        case SyncCombined():
            headers, _, paras, proof = decode_sync_combined_headers_req(body)
            worker.sync_relay(headers)
            if paras:
                worker.sync_para(paras, proof)
        case Dispatch():
            for header, change in decode_dispatch_block_req(body):
                worker.dispatch(header_number(header), *decode_storage_changes(change))
    return True
