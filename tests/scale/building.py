"""Builds small V14 metadata by hand, for types that no real runtime has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prbkit.scale import Metadata

PRIMITIVES = [
    "bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "u256",
    "i8", "i16", "i32", "i64", "i128", "i256",
]  # fmt: skip

Named = tuple[str | None, int]
"""A field: name (None where it has none) and type id."""


def compact(value: int) -> bytes:
    if value < 1 << 6:
        return bytes([value << 2])
    if value < 1 << 14:
        return (value << 2 | 1).to_bytes(2, "little")
    if value < 1 << 30:
        return (value << 2 | 2).to_bytes(4, "little")
    size = max(4, (value.bit_length() + 7) // 8)
    return bytes([(size - 4) << 2 | 3]) + value.to_bytes(size, "little")


def text(value: str) -> bytes:
    raw = value.encode()
    return compact(len(raw)) + raw


def vec(items: Iterable[bytes]) -> bytes:
    parts = list(items)
    return compact(len(parts)) + b"".join(parts)


def option(value: bytes | None) -> bytes:
    return b"\0" if value is None else b"\1" + value


class Types:
    """A registry in the making: each method adds a type and returns its id."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []

    def add(self, definition: bytes, path: str = "") -> int:
        segments = vec(text(part) for part in path.split("::") if part)
        self.raw.append(compact(len(self.raw)) + segments + b"\0" + definition + b"\0")
        return len(self.raw) - 1

    @property
    def next(self) -> int:
        """Id of the type that is added next, for types that hold themselves."""
        return len(self.raw)

    def primitive(self, name: str) -> int:
        return self.add(b"\5" + bytes([PRIMITIVES.index(name)]))

    def struct(self, *fields: Named, path: str = "") -> int:
        return self.add(b"\0" + _fields(fields), path)

    def enum(self, path: str = "", /, **variants: tuple[int, list[Named]]) -> int:
        cases = (
            text(name) + _fields(fields) + bytes([index]) + b"\0"
            for name, (index, fields) in variants.items()
        )
        return self.add(b"\1" + vec(cases), path)

    def option(self, inner: int) -> int:
        return self.enum("Option", **{"None": (0, [])}, Some=(1, [(None, inner)]))

    def sequence(self, item: int) -> int:
        return self.add(b"\2" + compact(item))

    def array(self, item: int, length: int) -> int:
        return self.add(b"\3" + length.to_bytes(4, "little") + compact(item))

    def tuple(self, *items: int) -> int:
        return self.add(b"\4" + vec(map(compact, items)))

    def compact(self, item: int) -> int:
        return self.add(b"\6" + compact(item))

    def bits(self, store: int, order: int) -> int:
        return self.add(b"\7" + compact(store) + compact(order))

    def metadata(self, pallets: Iterable[bytes] = (), extensions: Iterable[bytes] = ()) -> Metadata:
        runtime = self.struct()
        raw = b"meta\x0e" + vec(self.raw) + vec(pallets)
        raw += compact(runtime) + b"\4" + vec(extensions) + compact(runtime)
        return Metadata.decode(raw)


def pallet(name: str, index: int, **parts: Any) -> bytes:
    """A pallet: `storage` (encoded entries), `calls`, `events`, `errors` (type ids)."""
    storage = parts.get("storage")
    ids = [option(None if parts.get(k) is None else compact(parts[k])) for k in ("calls", "events")]
    errors = option(None if parts.get("errors") is None else compact(parts["errors"]))
    entries = None if storage is None else text(name) + vec(storage)
    return text(name) + option(entries) + b"".join(ids) + b"\0" + errors + bytes([index])


def storage_map(name: str, hashers: list[int], key: int, value: int, modifier: int = 0) -> bytes:
    """A storage map with hashers by their number in the metadata."""
    kind = b"\1" + vec(bytes([h]) for h in hashers) + compact(key) + compact(value)
    return text(name) + bytes([modifier]) + kind + b"\0" + b"\0"


def extension(identifier: str, extra: int, additional: int) -> bytes:
    return text(identifier) + compact(extra) + compact(additional)


def _fields(fields: Iterable[Named]) -> bytes:
    return vec(
        option(None if name is None else text(name)) + compact(type_id) + b"\0" + b"\0"
        for name, type_id in fields
    )
