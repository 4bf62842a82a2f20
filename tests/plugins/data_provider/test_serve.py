"""Blobs by key: what architecture.md promises, and what is not there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbkit.blobs import decode_headers, header_hash
from prbkit.blobs.documents import Genesis, RelaySegment
from prbkit.blobs.index import CommittedIndex
from prbkit.errors import CodecError
from prbkit.testing.devnet import Devnet, DevnetConfig
from prbkit_plugins.data_provider.archive import Archive
from prbkit_plugins.data_provider.kept import Kept
from prbkit_plugins.data_provider.serve import BlobServer
from prbkit_plugins.memory.store import MemoryStore

from .test_follow import Provider


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with Devnet(DevnetConfig(history=60, set_period=20)) as net:
        provider = Provider(MemoryStore(), net)
        async with provider.running():
            await provider.synced(net)
        await provider.store.open()
        yield provider


async def test_each_key_gives_its_document(provider: Provider) -> None:
    archive = provider.archive
    server = BlobServer(archive, limit=1 << 20)
    genesis = Genesis.decode(await server.get("prbkit/genesis") or b"")
    assert genesis == archive.genesis
    index = CommittedIndex.decode(await server.get("prbkit/index/0/0") or b"")
    assert index == archive.index
    for position in range(len(index)):
        entry = index.segment(position)
        segment = RelaySegment.decode(await server.get(f"prbkit/relay/{entry.last}") or b"")
        assert (segment.first, segment.last) == (entry.first, entry.last)
    last = archive.para.number
    headers = decode_headers(await server.get(f"prbkit/para/0/{last}") or b"")
    assert header_hash(headers[-1]) == archive.para.hash
    assert len(headers) == last + 1
    one = await server.get(f"prbkit/changes/{last}/{last}")
    assert one is not None
    assert one[1:] == (await archive.changes(last, last))[0]


async def test_what_was_asked_for_is_held_within_a_bound(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = provider.archive
    server = BlobServer(archive, limit=1 << 20, keep=1 << 16)
    keys = [f"prbkit/changes/{n}/{n}" for n in range(1, archive.para.number + 1)]
    first = [await server.get(key) for key in keys]
    assert 0 < server._kept.size <= 1 << 16
    read: list[int] = []
    changes = archive.changes

    async def counted(start: int, stop: int) -> list[bytes]:
        read.append(start)
        return await changes(start, stop)

    monkeypatch.setattr(archive, "changes", counted)
    assert await server.get(keys[-1]) == first[-1]
    assert not read
    assert await server.get("prbkit/index/0/0") != b""
    assert server._kept.get("prbkit/index/0/0") is None


@given(
    st.integers(0, 4000),
    st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 1200)), max_size=30),
)
def test_the_least_recently_used_go_first(most: int, puts: list[tuple[str, int]]) -> None:
    kept, model = Kept(most), {}
    for key, size in puts:
        if size + 256 <= most // 4:
            model.pop(key, None)
            model[key] = bytes(size)
            while sum(len(blob) + 256 for blob in model.values()) > most:
                del model[next(iter(model))]
        kept.put(key, bytes(size))
        assert kept.size == sum(len(blob) + 256 for blob in model.values()) <= most
        assert len(kept) == len(model)
        for held in list(model)[:1]:
            assert kept.get(held) == model[held]
            model[held] = model.pop(held)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "prbkit",
        "prbkit/",
        "prbkit/genesis/1",
        "prbkit/index/1",
        "prbkit/index/-1/0",
        "prbkit/index/x/0/wait",
        "prbkit/wait",
        "/wait",
        "other/index/0/0/wait",
        "prbkit/relay/1/2",
        "prbkit/relay/0",
        "prbkit/relay/99999999",
        "prbkit/relay/99999999999999999999",
        "prbkit/para/3/2",
        "prbkit/para/0/99999",
        "prbkit/changes/0/1",
        "prbkit/changes/1",
        "prbkit/para/" + "1" * 5000,
    ],
)
async def test_other_keys_have_no_blob(key: str, provider: Provider) -> None:
    assert await BlobServer(provider.archive, limit=1 << 20).get(key) is None


async def test_an_empty_store_serves_nothing_and_does_not_fail() -> None:
    store = MemoryStore()
    await store.open()
    archive = Archive(store)
    await archive.load()
    server = BlobServer(archive, limit=1 << 20, wait=0.01)
    for key in ("prbkit/genesis", "prbkit/index/0/0", "prbkit/index/0/0/wait", "para:1:pb"):
        assert await server.get(key) is None


async def test_ranges_over_the_limit_are_refused_with_the_limit(provider: Provider) -> None:
    server = BlobServer(provider.archive, limit=2000)
    with pytest.raises(CodecError, match="2000"):
        await server.get(f"prbkit/para/0/{provider.archive.para.number}")
    assert await server.get("prbkit/para/1/2") is not None


async def test_waiting_ends_with_the_next_commit_or_an_empty_slice(provider: Provider) -> None:
    archive = provider.archive
    relay, para = archive.index.relay_next, archive.index.para_next
    server = BlobServer(archive, limit=1 << 20, wait=0.01)
    blob = await server.get(f"prbkit/index/{relay}/{para}/wait")
    empty = CommittedIndex.decode(blob or b"")
    assert (len(empty), empty.para_next) == (0, para)
    server = BlobServer(archive, limit=1 << 20, wait=60)
    assert await server.get(f"prbkit/index/{relay - 1}/{para}/wait") is not None
    waiting = [
        asyncio.create_task(server.get(f"prbkit/index/{relay}/{para}/wait")) for _ in range(5)
    ]
    await asyncio.sleep(0)
    (header,) = await archive.headers(para - 1, para - 1)
    await archive.commit_para(para, [header], [b"\0\0"])
    for blob in await asyncio.wait_for(asyncio.gather(*waiting), 30):
        assert CommittedIndex.decode(blob or b"").para_next == para + 1


async def test_a_key_that_many_ask_for_is_read_once_and_outlives_one_that_goes_away(
    provider: Provider,
) -> None:
    reads = 0
    get_many = provider.store.get_many

    async def counted(keys: list[bytes]) -> object:
        nonlocal reads
        reads += 1
        await asyncio.sleep(0)
        return await get_many(keys)

    provider.store.get_many = counted  # type: ignore[method-assign, assignment]
    server = BlobServer(provider.archive, limit=1 << 20)
    askers = [asyncio.create_task(server.get("prbkit/para/1/9")) for _ in range(20)]
    await asyncio.sleep(0)
    askers[0].cancel()
    blobs = await asyncio.gather(*askers[1:])
    assert reads == 1
    assert len(set(blobs)) == 1


_ALMOST_KEYS = st.from_regex(r"\A(prbkit/)?[a-zA-Z]{1,20}([:/][-0-9a-z]{0,6}){0,5}\Z")


@given(st.text(max_size=40) | _ALMOST_KEYS)
def test_no_key_brings_the_server_down(key: str) -> None:
    async def run() -> None:
        store = MemoryStore()
        await store.open()
        archive = Archive(store)
        await archive.load()
        await BlobServer(archive, limit=1 << 20, wait=0).get(key)

    asyncio.run(run())
