"""The LMDB store: the contract, and what LMDB alone would leave to its user."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from prbkit.errors import ConfigError, StoreError
from prbkit.interfaces import BlobStore
from prbkit.testing.contracts.blob_store import BlobStoreContract
from prbkit_plugins import lmdb
from prbkit_plugins.lmdb.store import LmdbStore


class TestLmdbStore(BlobStoreContract):
    def make_store(self, directory: Path, *, read_only: bool = False) -> BlobStore:
        return LmdbStore(directory / "blobs", read_only=read_only, map_size=1 << 20)


def test_the_hook_claims_its_scheme_alone_and_stays_in_the_data_directory(tmp_path: Path) -> None:
    settings: Any = SimpleNamespace(data_dir=tmp_path)
    store = lmdb.prbkit_blob_store("lmdb:blobs", settings)
    assert isinstance(store, LmdbStore)
    assert store.path == tmp_path / "blobs"
    assert not store.read_only
    reader = lmdb.prbkit_blob_store("lmdb:/elsewhere/x?mode=ro", settings)
    assert isinstance(reader, LmdbStore)
    assert reader.path == Path("/elsewhere/x")
    assert reader.read_only
    assert lmdb.prbkit_blob_store("memory:", settings) is None


@pytest.mark.parametrize("url", ["lmdb:", "lmdb:x?mode=rx", "lmdb:x?size=1"])
def test_a_wrong_url_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mode=ro"):
        LmdbStore.from_url(url, tmp_path)


async def test_the_map_grows_past_its_first_size(tmp_path: Path) -> None:
    async with LmdbStore(tmp_path, map_size=1 << 20) as store:
        for turn in range(6):
            await store.commit({b"%d/%d" % (turn, n): bytes(1 << 20) for n in range(24)})
        assert len([key async for key, _ in store.scan(keys_only=True)]) == 6 * 24
    async with LmdbStore(tmp_path, map_size=1 << 20) as store:
        assert await store.get(b"5/23") == bytes(1 << 20)


async def test_there_must_be_something_to_read(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store"):
        await LmdbStore(tmp_path / "none", read_only=True).open()


async def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"something else" * 1000)
    with pytest.raises(StoreError, match=r"corrupt|failed") as caught:
        await LmdbStore(tmp_path).open()
    assert str(tmp_path) in str(caught.value)
    # … and the writer's lock is free again.
    (tmp_path / "data.mdb").unlink()
    async with LmdbStore(tmp_path) as store:
        await store.commit({b"a": b"1"})


def test_a_file_that_was_cut_off_is_an_error_and_not_a_crash(tmp_path: Path) -> None:
    async def fill() -> None:
        async with LmdbStore(tmp_path) as store:
            await store.commit({b"%05d" % n: os.urandom(3000) for n in range(800)})

    asyncio.run(fill())
    data = tmp_path / "data.mdb"
    os.truncate(data, data.stat().st_size // 3)
    script = (
        "import asyncio, sys, pathlib\n"
        "from prbkit.errors import StoreError\n"
        "from prbkit_plugins.lmdb.store import LmdbStore\n"
        "async def run():\n"
        "    async with LmdbStore(pathlib.Path(sys.argv[1])) as store:\n"
        "        for n in range(800):\n"
        "            try:\n"
        "                await store.get(b'%05d' % n)\n"
        "            except StoreError as error:\n"
        "                print(error)\n"
        "                return\n"
        "asyncio.run(run())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "corrupt" in done.stdout


def test_a_full_disk_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    script = (
        "import asyncio, resource, sys, pathlib\n"
        "from prbkit.errors import StoreError\n"
        "from prbkit_plugins.lmdb.store import LmdbStore\n"
        "async def run():\n"
        "    async with LmdbStore(pathlib.Path(sys.argv[1])) as store:\n"
        "        await store.commit({b'a': b'1'})\n"
        "        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))\n"
        "        try:\n"
        "            await store.commit({b'a': b'2', b'b': bytes(4 << 20)})\n"
        "        except StoreError as error:\n"
        "            print(error)\n"
        "        assert await store.get(b'a') == b'1'\n"
        "        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))\n"
        "        await store.commit({b'b': bytes(4 << 20)})\n"
        "        print(len(await store.get(b'b')))\n"
        "asyncio.run(run())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "no room" in done.stdout
    assert str(4 << 20) in done.stdout
