"""The stock plugin `redis_store`: a blob store in Redis, Valkey or Kvrocks, single or a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from prbkit.hookspecs import hookimpl

if TYPE_CHECKING:
    from prbkit.interfaces import BlobStore
    from prbkit.settings import Settings

_SCHEMES = ("redis", "rediss", "redis+cluster", "rediss+cluster", "unix")


@hookimpl
def prbkit_schemes() -> Mapping[str, Sequence[str]]:
    return {"blob_store": list(_SCHEMES)}


@hookimpl
def prbkit_blob_store(url: str, settings: Settings) -> BlobStore | None:
    """Claim ``redis://`` and its like, with ``name=TEXT&lease=S&mode=ro``."""
    if url.partition("://")[0] not in _SCHEMES or "://" not in url:
        return None
    from .store import RedisStore

    return RedisStore.from_url(url)
