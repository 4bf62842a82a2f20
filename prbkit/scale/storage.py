"""How parameters become part of a storage key: the hashers of FRAME's storage maps."""

from __future__ import annotations

from collections.abc import Callable

from prbkit._native import core
from prbkit.errors import CodecError

__all__ = ["hash_key", "hash_size", "keeps_key"]

# Hasher → (hash, its size in bytes, whether the encoded parameter follows it).
_HASHERS: dict[str, tuple[Callable[[bytes], bytes], int, bool]] = {
    "Blake2_128": (core.blake2b_128, 16, False),
    "Blake2_256": (core.blake2b_256, 32, False),
    "Blake2_128Concat": (core.blake2b_128, 16, True),
    "Twox128": (core.twox_128, 16, False),
    "Twox256": (core.twox_256, 32, False),
    "Twox64Concat": (core.twox_64, 8, True),
    "Identity": (lambda _: b"", 0, True),
}


def hash_key(hasher: str, encoded: bytes) -> bytes:
    """What a SCALE parameter adds to a storage key under a hasher."""
    digest, _, keeps = _hasher(hasher)
    return digest(encoded) + encoded if keeps else digest(encoded)


def hash_size(hasher: str) -> int:
    """Bytes of hash that a hasher puts into a key, the parameter itself not counted."""
    return _hasher(hasher)[1]


def keeps_key(hasher: str) -> bool:
    """Whether the parameter itself stands in the key."""
    return _hasher(hasher)[2]


def _hasher(name: str) -> tuple[Callable[[bytes], bytes], int, bool]:
    try:
        return _HASHERS[name]
    except KeyError:
        raise CodecError(f"no storage hasher is called {name!r}") from None
