"""How a document lies in the store: checked by CRC-32C, compressed where that pays.

Four bytes CRC-32C (big-endian) of the rest, one byte that says how, the body.
"""

from __future__ import annotations

import google_crc32c

from prbkit.blobs.documents import compress, decompress
from prbkit.errors import CodecError, StoreError

__all__ = ["seal", "unseal"]

_RAW, _ZSTD = 0, 1
_WORTH = 512
"""Smaller documents (a header is mostly hashes) do not shrink."""


def seal(body: bytes) -> bytes:
    """Frame a document."""
    how = _RAW
    if len(body) >= _WORTH:
        packed = compress(body)
        if len(packed) < len(body) * 15 // 16:
            body, how = packed, _ZSTD
    rest = bytes([how]) + body
    return int(google_crc32c.value(rest)).to_bytes(4, "big") + rest


def unseal(frame: bytes, where: str) -> bytes:
    """The document in a frame. Raises `StoreError` where a bit of it has changed."""
    if len(frame) < 5 or int.from_bytes(frame[:4], "big") != google_crc32c.value(frame[4:]):
        raise StoreError(
            "a stored document is damaged",
            where=where,
            hint="run `prbkit fsck`, then `prbkit repair --from N`",
        )
    if frame[4] == _RAW:
        return frame[5:]
    try:
        return decompress(frame[5:])
    except CodecError as error:
        raise StoreError(f"a stored document is damaged: {error}", where=where) from error
