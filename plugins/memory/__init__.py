"""The stock plugin `memory`: a blob store without a disk, for tests and short-lived bridges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from prbkit.hookspecs import hookimpl

if TYPE_CHECKING:
    from prbkit.interfaces import BlobStore
    from prbkit.settings import Settings


@hookimpl
def prbkit_schemes() -> Mapping[str, Sequence[str]]:
    return {"blob_store": ["memory"]}


@hookimpl
def prbkit_blob_store(url: str, settings: Settings) -> BlobStore | None:
    """Make a store for ``memory:`` (what follows the colon is a name for logs)."""
    if not url.startswith("memory:"):
        return None
    from .store import MemoryStore

    return MemoryStore(url)
