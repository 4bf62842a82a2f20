"""How the parachain's state lies in the store: one row for each of its keys.

The rows are as of one block, which the mark names, and change in the commit that moves it. They
carry no checksum: whoever reads them all knows the root that they must give.

    state/0/KEY                 value of the main trie
    state/1/LENGTH CHILD KEY    value of a child trie; the length of its name in two bytes
    state/2/HASH                a key too long for the store: its length in four bytes, it, value
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from prbkit.errors import CodecError, StoreError

from .state import StateRow

__all__ = ["STATE", "decode_row", "encode_rows"]

STATE = b"state/"
_MAIN, _CHILD, _LONG = b"state/0/", b"state/1/", b"state/2/"
_MAX_KEY = 511


def encode_rows(rows: Iterable[StateRow]) -> tuple[dict[bytes, bytes], list[bytes]]:
    """What to put and what to delete so that the store holds these rows."""
    puts: dict[bytes, bytes] = {}
    deletes: list[bytes] = []
    for child, key, value in rows:
        place = _place(child, key)
        stored = (
            place
            if len(place) <= _MAX_KEY
            else _LONG + hashlib.blake2b(place, digest_size=32).digest()
        )
        if value is None:
            deletes.append(stored)
        elif stored is place:
            puts[stored] = value
        else:
            puts[stored] = len(place).to_bytes(4, "big") + place + value
    return puts, deletes


def decode_row(key: bytes, value: bytes) -> StateRow:
    """Read one row. Raises `StoreError` for what cannot be one."""
    if key.startswith(_LONG):
        size = int.from_bytes(value[:4], "big")
        key, value = value[4 : 4 + size], value[4 + size :]
    if key.startswith(_MAIN):
        return None, key[len(_MAIN) :], value
    size = int.from_bytes(key[len(_CHILD) : len(_CHILD) + 2], "big")
    name = key[len(_CHILD) + 2 :][:size]
    if not key.startswith(_CHILD) or len(name) != size:
        raise StoreError("a row of the parachain's state cannot be read")
    return name, key[len(_CHILD) + 2 + size :], value


def _place(child: bytes | None, key: bytes) -> bytes:
    if child is None:
        return _MAIN + key
    if len(child) > 0xFFFF:
        raise CodecError(f"a child trie's name has {len(child)} bytes")
    return _CHILD + len(child).to_bytes(2, "big") + child + key
