"""Blobs held for the next who asks: bounded by bytes, the least recently used goes first."""

from __future__ import annotations

from collections import OrderedDict

__all__ = ["Kept"]

_OVERHEAD = 256
"""Bytes that an entry costs besides its blob: many small ones are bounded too."""


class Kept:
    """Blobs by key.

    :param most: bytes of all of them; one that is over a quarter of it is not kept, lest it
        throws out all others.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._blobs: OrderedDict[str, bytes] = OrderedDict()
        self.size = 0
        """Bytes held."""

    def __len__(self) -> int:
        return len(self._blobs)

    def get(self, key: str) -> bytes | None:
        blob = self._blobs.get(key)
        if blob is not None:
            self._blobs.move_to_end(key)
        return blob

    def put(self, key: str, blob: bytes) -> None:
        """Hold a blob, and let go of as many as it takes."""
        if len(blob) + _OVERHEAD > self._most // 4:
            return
        if key in self._blobs:
            self._let_go(key)
        self._blobs[key] = blob
        self.size += len(blob) + _OVERHEAD
        while self.size > self._most:
            self._let_go(next(iter(self._blobs)))

    def _let_go(self, key: str) -> None:
        self.size -= len(self._blobs.pop(key)) + _OVERHEAD
