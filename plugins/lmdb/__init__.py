"""The stock plugin `lmdb`: the default blob store, embedded, one file in a directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from prbkit.hookspecs import hookimpl

if TYPE_CHECKING:
    from prbkit.interfaces import BlobStore
    from prbkit.settings import Settings


@hookimpl
def prbkit_schemes() -> Mapping[str, Sequence[str]]:
    return {"blob_store": ["lmdb"]}


@hookimpl
def prbkit_blob_store(url: str, settings: Settings) -> BlobStore | None:
    """Make a store for ``lmdb:PATH`` or ``lmdb:PATH?mode=ro``, relative to the data directory."""
    if not url.startswith("lmdb:"):
        return None
    from .store import LmdbStore

    return LmdbStore.from_url(url, settings.data_dir)
