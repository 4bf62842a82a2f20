"""From JSON-RPC to the SCALE that blobs are spliced from: headers and storage changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from prbkit._native import core
from prbkit.errors import CodecError

__all__ = [
    "check_header",
    "check_storage_changes",
    "decode_storage_changes",
    "encode_storage_changes",
    "header_from_json",
    "header_hash",
    "header_number",
    "split_storage_changes",
    "storage_changes_from_json",
]

Pairs = list[tuple[bytes, bytes | None]]


def header_from_json(obj: str | bytes | Mapping[str, Any]) -> bytes:
    """Make a SCALE header of the one that JSON-RPC gave, as text or parsed.

    The digest's items arrive as hex of their SCALE; each is checked to be exactly one item.
    Raises CodecError that names the member that is wrong.
    """
    scale = core.header_from_text(obj)
    if scale is not None:
        return scale
    if isinstance(obj, str | bytes):
        obj = _parse(obj)
    return core.header_from_json(
        obj if type(obj) is dict or not isinstance(obj, Mapping) else dict(obj)
    )


def header_hash(scale: bytes) -> bytes:
    """Return the hash of a SCALE header: BLAKE2b-256, 32 bytes."""
    return core.blake2b_256(scale)


def header_number(scale: bytes) -> int:
    """Return the block number in a SCALE header, of which no more is read."""
    return core.header_number(scale)


def check_header(scale: bytes) -> None:
    """Raise CodecError unless the bytes are exactly one header."""
    core.check_header(scale)


def storage_changes_from_json(obj: str | bytes | Mapping[str, Any]) -> bytes:
    """Make SCALE StorageChanges of what a node answered for one block.

    :param obj: one block of `pha_getStorageChanges` (an object with mainStorageChanges and
        childStorageChanges, as text or parsed), or the 0x hex of `pha_getStorageChangesAt`.
    :raises CodecError: for anything else, and for hex that isn't exactly one StorageChanges.
    """
    if isinstance(obj, str) and obj.startswith("0x"):
        changes = core.unhex(obj, "storage changes")
        core.check_storage_changes(changes)
        return changes
    if isinstance(obj, str | bytes):
        obj = _parse(obj)
        if isinstance(obj, str):
            return storage_changes_from_json(obj)
    return core.storage_changes_from_json(
        obj if type(obj) is dict or not isinstance(obj, Mapping) else dict(obj)
    )


def split_storage_changes(data: bytes) -> list[bytes]:
    """Take a Vec<StorageChanges> apart, as SCALE."""
    return core.split_storage_changes(data)


def check_storage_changes(scale: bytes) -> None:
    """Raise CodecError unless the bytes are exactly one StorageChanges."""
    core.check_storage_changes(scale)


def decode_storage_changes(scale: bytes) -> tuple[Pairs, list[tuple[bytes, Pairs]]]:
    """Read SCALE StorageChanges as `prbkit.light.Trie.apply` takes them: (main, children).

    main = [(key, value or None)], children = [(name, [(key, value or None)])]; None deletes.
    """
    return core.decode_storage_changes(scale)


def encode_storage_changes(main: Pairs, children: list[tuple[bytes, Pairs]] | None = None) -> bytes:
    """Make SCALE StorageChanges of (main, children) as `decode_storage_changes` gives them."""
    children = children or []
    parts = [_encode_pairs(main), core.compact(len(children))]
    for name, pairs in children:
        parts += [core.compact(len(name)), name, _encode_pairs(pairs)]
    return b"".join(parts)


def _encode_pairs(pairs: Pairs) -> bytes:
    parts = [core.compact(len(pairs))]
    for key, value in pairs:
        parts += [core.compact(len(key)), key]
        parts += [b"\0"] if value is None else [b"\1", core.compact(len(value)), value]
    return b"".join(parts)


def _parse(text: str | bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise CodecError(f"this is no JSON: {error}") from error
