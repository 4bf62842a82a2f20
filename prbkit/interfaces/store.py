"""The contract of blob stores."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from prbkit.interfaces.base import Lifetime

__all__ = ["BlobStore"]


class BlobStore(Lifetime, Protocol):
    """An ordered map of bytes to bytes with atomic, durable commits.

    Keys sort as bytes (at most 511 of them), values are up to 2 GiB. One process writes; others
    may open the same store with `read_only` (if the plugin can) and see each commit whole.
    """

    url: str

    async def get(self, key: bytes) -> bytes | None: ...

    async def get_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """Values in the order of `keys`, all of one snapshot."""
        ...

    async def commit(self, puts: Mapping[bytes, bytes], deletes: Sequence[bytes] = ()) -> None:
        """Write all or nothing, on disk when it returns. Deletes are applied first."""
        ...

    def scan(
        self,
        start: bytes = b"",
        stop: bytes | None = None,
        *,
        reverse: bool = False,
        keys_only: bool = False,
    ) -> AsyncIterator[tuple[bytes, bytes]]:
        """Yield (key, value) with start <= key < stop in key order (or reversed).

        With `keys_only` the values are empty. It may be stopped early; it holds no snapshot of
        the whole: what is committed meanwhile may or may not be seen.
        """
        ...

    async def size(self) -> int:
        """Bytes that the store takes on disk (or in memory)."""
        ...
