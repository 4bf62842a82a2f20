"""A runtime's metadata, and everything that is read and written by it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, overload

from prbkit._native import core
from prbkit._speedups._core import (
    Constant,
    Event,
    Pallet,
    RuntimeMethod,
    SignedExtension,
    StorageItem,
    TypeField,
    TypeInfo,
    TypeVariant,
)
from prbkit.errors import CodecError
from prbkit.scale import storage

__all__ = [
    "Constant",
    "Event",
    "Metadata",
    "Pallet",
    "RuntimeMethod",
    "SignedExtension",
    "StorageItem",
    "TypeField",
    "TypeInfo",
    "TypeVariant",
    "Value",
]

Value = Any
"""A value in one of the shapes that `prbkit.scale` documents."""

Data = bytes | bytearray | memoryview


class _Decode:
    """`Metadata.decode(raw)` parses metadata, `md.decode(type, data)` decodes a value with it."""

    @overload
    def __get__(self, md: None, owner: type[Metadata]) -> Callable[[Data], Metadata]: ...

    @overload
    def __get__(self, md: Metadata, owner: type[Metadata]) -> Callable[..., Value]: ...

    def __get__(self, md: Metadata | None, owner: type[Metadata]) -> Callable[..., Any]:
        return owner.parse if md is None else md.decode_value


class Metadata:
    """One runtime's metadata: immutable; call `prepare` before threads share it.

    Types are named by their id in the registry or by their path as text
    (``sp_runtime::multiaddress::MultiAddress``). What each value looks like stands in
    `prbkit.scale`. Bytes that cannot be read, values that do not fit and names that the metadata
    does not have raise `CodecError`.
    """

    decode = _Decode()

    def __init__(self, raw: Data) -> None:
        parts = core.read_metadata(raw)
        self.raw: bytes = parts.raw
        """The metadata itself, without Option and length around it."""
        self.version: int = parts.version
        """14 or 15."""
        self.types: tuple[TypeInfo, ...] = tuple(parts.registry.types)
        self.pallets: Mapping[str, Pallet] = MappingProxyType(parts.pallets)
        """By name, in the order of the metadata."""
        self.apis: Mapping[str, Mapping[str, RuntimeMethod]] = MappingProxyType(parts.apis)
        """Runtime APIs and their methods; empty in version 14."""
        self.extrinsic_version: int = parts.extrinsic_version
        self.signed_extensions: tuple[SignedExtension, ...] = parts.extensions
        self.address_type: int | None = parts.address_type
        self.call_type: int | None = parts.call_type
        self.signature_type: int | None = parts.signature_type
        self._registry = parts.registry
        self._paths: dict[str, list[int]] | None = None
        self._by_index = {pallet.index: pallet for pallet in parts.pallets.values()}
        self._events: core.EventDecoder | None = None

    @classmethod
    def parse(cls, raw: Data) -> Metadata:
        """Parse metadata V14 or V15: bare, as Bytes, or inside Option<OpaqueMetadata>.

        Older and newer versions are refused with an error that names the version.
        """
        return cls(raw)

    def __repr__(self) -> str:
        return f"<Metadata V{self.version}: {len(self.types)} types, {len(self.pallets)} pallets>"

    def prepare(self) -> None:
        """Build the plan of every type now; else each is built on first use."""
        core.prepare_plans(self._registry)

    # --- types -----------------------------------------------------------------------------------

    def type_id(self, type: int | str) -> int:  # noqa: A002
        """Id of a type given by id or path; a path that names several types lists their ids."""
        if isinstance(type, int):
            if not 0 <= type < len(self.types):
                raise CodecError(f"the metadata has no type {type}")
            return type
        if self._paths is None:
            self._paths = _index_paths(self.types)
        ids = self._paths.get(type)
        if ids is None:
            raise CodecError(f"the metadata has no type {type!r}", hint=_near(type, self._paths))
        if len(ids) > 1:
            raise CodecError(
                f"{type!r} names {len(ids)} types of the metadata",
                hint=f"use one of their ids: {', '.join(map(str, ids))}",
            )
        return ids[0]

    def type_info(self, type: int | str) -> TypeInfo:  # noqa: A002
        """What the metadata says of a type."""
        return self.types[self.type_id(type)]

    def decode_value(self, type: int | str, data: Data, *, trailing: bool = False) -> Value:  # noqa: A002
        """Decode a value: `md.decode(type, data)`.

        Bytes left over are an error, unless `trailing`.
        """
        return core.decode_value(self._registry, self.type_id(type), data, 0, trailing)[0]

    def decode_at(self, type: int | str, data: Data, offset: int = 0) -> tuple[Value, int]:  # noqa: A002
        """Decode the value that begins at `offset`; the value and the offset behind it."""
        return core.decode_value(self._registry, self.type_id(type), data, offset, True)

    def encode(self, type: int | str, value: Value) -> bytes:  # noqa: A002
        """Encode a value; one of the wrong shape raises with the place and what is expected."""
        return core.encode_value(self._registry, self.type_id(type), value)

    def skip(self, type: int | str, data: Data, offset: int = 0) -> int:  # noqa: A002
        """Offset behind the value that begins at `offset`, which is checked but not made."""
        return core.skip_value(self._registry, self.type_id(type), data, offset)

    # --- pallets ---------------------------------------------------------------------------------

    def pallet(self, pallet: str) -> Pallet:
        """Pallet of that name."""
        try:
            return self.pallets[pallet]
        except KeyError:
            raise CodecError(
                f"the runtime has no pallet {pallet!r}", hint=_near(pallet, self.pallets)
            ) from None

    def storage_item(self, pallet: str, item: str) -> StorageItem:
        """What the metadata says of a storage item."""
        items = self.pallet(pallet).storage
        try:
            return items[item]
        except KeyError:
            raise CodecError(f"{pallet} stores no {item!r}", hint=_near(item, items)) from None

    def storage_prefix(self, pallet: str, item: str | None = None) -> bytes:
        """Bytes that the keys of a pallet (16) or of one of its items (32) begin with."""
        if item is None:
            found = self.pallet(pallet)
            if found.prefix is None:
                raise CodecError(f"{pallet} stores nothing")
            return core.twox_128(found.prefix.encode())
        return self.storage_key(pallet, item)

    def storage_key(self, pallet: str, item: str, *params: Value) -> bytes:
        """Key of a storage item; with fewer params than it has, the prefix that these make."""
        entry = self.storage_item(pallet, item)
        prefix = self.pallet(pallet).prefix or ""
        if len(params) > len(entry.keys):
            raise CodecError(
                f"{pallet}.{item} takes {len(entry.keys)} parameters, {len(params)} given"
            )
        key = core.twox_128(prefix.encode()) + core.twox_128(item.encode())
        for hasher, type_id, param in zip(entry.hashers, entry.keys, params, strict=False):
            key += storage.hash_key(hasher, core.encode_value(self._registry, type_id, param))
        return key

    def decode_storage_key(self, pallet: str, item: str, key: Data) -> tuple[Value, ...]:
        """Parameters that a key of a storage item was made from, as many as it holds.

        A hasher that does not keep the parameter itself gives the hash, as bytes; where one does,
        the hash before it is checked.
        """
        raw = bytes(key)
        prefix = self.storage_key(pallet, item)
        if not raw.startswith(prefix):
            raise CodecError(f"not a key of {pallet}.{item}: 0x{raw[:64].hex()}")
        entry = self.storage_item(pallet, item)
        offset = len(prefix)
        params = []
        for hasher, type_id in zip(entry.hashers, entry.keys, strict=True):
            if offset == len(raw):
                break
            start = offset + storage.hash_size(hasher)
            if start > len(raw):
                raise CodecError(f"key of {pallet}.{item} is cut short: 0x{raw[:128].hex()}")
            if not storage.keeps_key(hasher):
                params.append(raw[offset:start])
                offset = start
                continue
            value, end = core.decode_value(self._registry, type_id, raw, start, True)
            if storage.hash_key(hasher, raw[start:end]) != raw[offset:end]:
                raise CodecError(f"key of {pallet}.{item} holds a wrong hash: 0x{raw[:128].hex()}")
            params.append(value)
            offset = end
        if offset != len(raw):
            raise CodecError(f"{len(raw) - offset} bytes too many in a key of {pallet}.{item}")
        return tuple(params)

    def decode_storage(self, pallet: str, item: str, data: Data | None) -> Value:
        """Value of a storage item; for None (nothing stored) its default, or None if optional."""
        entry = self.storage_item(pallet, item)
        if data is None:
            if entry.modifier == "Optional":
                return None
            if entry.modifier == "Required":
                raise CodecError(f"{pallet}.{item} is required, but not stored")
            data = entry.default
        return core.decode_value(self._registry, entry.value, data)[0]

    def encode_storage(self, pallet: str, item: str, value: Value) -> bytes:
        """SCALE of a value as it is stored in a storage item."""
        return core.encode_value(self._registry, self.storage_item(pallet, item).value, value)

    def constant(self, pallet: str, name: str) -> Value:
        """Value of a pallet's constant."""
        constants = self.pallet(pallet).constants
        try:
            constant = constants[name]
        except KeyError:
            raise CodecError(
                f"{pallet} has no constant {name!r}", hint=_near(name, constants)
            ) from None
        return core.decode_value(self._registry, constant.type_id, constant.value)[0]

    def variants(self, type_id: int | None) -> Mapping[str, TypeVariant]:
        """Variants of an enum by name: of `pallet.calls`, `pallet.events` or `pallet.errors`.

        Empty for None, so that a pallet without any needs no case of its own.
        """
        if type_id is None:
            return {}
        return {variant.name: variant for variant in self.type_info(type_id).variants}

    # --- calls -----------------------------------------------------------------------------------

    def call(self, pallet: str, name: str, /, **args: Value) -> bytes:
        """Encode a call; an argument that is a call is SCALE bytes or {pallet: {call: args}}."""
        found = self.pallet(pallet)
        calls = self.variants(found.calls)
        if name not in calls:
            raise CodecError(f"{pallet} has no call {name!r}", hint=_near(name, calls))
        if found.calls is None:  # pragma: no cover - `calls` would be empty
            raise CodecError(f"{pallet} has no calls")
        wanted = {field.name for field in calls[name].fields}
        if wanted != args.keys():
            lacking = ", ".join(sorted(str(n) for n in wanted - args.keys()))
            surplus = ", ".join(sorted(args.keys() - wanted))
            raise CodecError(
                f"{pallet}.{name} takes {', '.join(sorted(map(str, wanted))) or 'no arguments'}"
                + (f"; not given: {lacking}" if lacking else "")
                + (f"; unknown: {surplus}" if surplus else "")
            )
        value = {name: args} if args else name
        return bytes([found.index]) + core.encode_value(self._registry, found.calls, value)

    def decode_call(self, data: Data) -> tuple[str, str, dict[str, Value]]:
        """Pallet, name and arguments of a SCALE call."""
        raw = bytes(data)
        pallet = self._by_index.get(raw[0]) if raw else None
        if pallet is None or pallet.calls is None:
            raise CodecError(f"no pallet's calls have index {raw[0]}" if raw else "empty call")
        value = core.decode_value(self._registry, pallet.calls, raw, 1)[0]
        if isinstance(value, str):
            return pallet.name, value, {}
        ((name, args),) = value.items()
        return pallet.name, name, args

    # --- events and errors -----------------------------------------------------------------------

    def decode_events(self, data: Data, pallets: Collection[str] | None = None) -> list[Event]:
        """Decode the value of System.Events, in order.

        With `pallets` only events of these are made; the others are checked and skipped.
        """
        if self._events is None:
            value = self.storage_item("System", "Events").value
            self._events = core.EventDecoder(self._registry, value)
        if pallets is None:
            return self._events.decode(data)
        wanted = {pallets} if isinstance(pallets, str) else set(pallets)
        for pallet in wanted:
            self.pallet(pallet)
        return self._events.decode(data, wanted)

    def error(self, pallet_index: int, error: int | Data) -> tuple[str, str, str]:
        """Pallet, name and docs of a DispatchError::Module.

        `error` is the error's number, or the bytes that the module error holds (the first of
        which is that number).
        """
        number = error if isinstance(error, int) else next(iter(bytes(error)), -1)
        pallet = self._by_index.get(pallet_index)
        if pallet is None:
            raise CodecError(f"no pallet has index {pallet_index}")
        for variant in self.variants(pallet.errors).values():
            if variant.index == number:
                return pallet.name, variant.name, " ".join(" ".join(variant.docs).split())
        raise CodecError(f"{pallet.name} has no error {number}")


def _index_paths(types: Collection[TypeInfo]) -> dict[str, list[int]]:
    paths: dict[str, list[int]] = {}
    for info in types:
        name = "::".join(info.path) or info.primitive
        if name:
            paths.setdefault(name, []).append(info.id)
    return paths


def _near(name: str, known: Collection[str]) -> str | None:
    near = difflib.get_close_matches(name, known, n=3)
    if near:
        return f"did you mean {' or '.join(near)}?"
    if 0 < len(known) <= 30:
        return f"there is {', '.join(sorted(known))}"
    return None
