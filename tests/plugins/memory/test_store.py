"""The memory store keeps the blob store's contract."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from prbkit.interfaces import BlobStore
from prbkit.testing.contracts.blob_store import BlobStoreContract
from prbkit_plugins import memory
from prbkit_plugins.memory.store import MemoryStore


class TestMemoryStore(BlobStoreContract):
    durable = False
    readable_beside = False
    single_writer = False

    def make_store(self, directory: Path, *, read_only: bool = False) -> BlobStore:
        return MemoryStore()


def test_the_hook_claims_its_scheme_alone() -> None:
    settings: Any = SimpleNamespace()
    assert isinstance(memory.prbkit_blob_store("memory:", settings), MemoryStore)
    assert memory.prbkit_blob_store("lmdb:x", settings) is None
