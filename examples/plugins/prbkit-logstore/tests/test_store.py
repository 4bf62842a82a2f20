"""The store keeps prbkit's contract; run with `pytest examples/plugins/prbkit-logstore/tests`."""

from pathlib import Path

from prbkit_logstore.store import LogStore

from prbkit.interfaces import BlobStore
from prbkit.testing.contracts.blob_store import BlobStoreContract


class TestLogStore(BlobStoreContract):
    readable_beside = False

    def make_store(self, directory: Path, *, read_only: bool = False) -> BlobStore:
        return LogStore("logstore:blobs.log", directory / "blobs.log")
