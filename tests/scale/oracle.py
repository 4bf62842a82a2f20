"""Compares values with what py-scalecodec makes of the same bytes, which it writes otherwise.

Its bytes are hex or, where they happen to be UTF-8, text; accounts are SS58; units are None or [].
"""

from __future__ import annotations

from typing import Any

from prbkit.scale import Metadata, TypeField, TypeInfo, Value, ss58


def same(md: Metadata, type_id: int, ours: Value, theirs: Any) -> bool:
    """Whether both are the same value of a type."""
    info = unwrapped(md, type_id)
    if info.kind == "variant":
        return same_variant(md, info, ours, theirs)
    if isinstance(ours, bytes):
        return same_bytes(ours, theirs)
    if ours == ():
        return theirs in (None, [], (), {}, "()")
    if info.kind == "composite":
        return same_fields(md, info.fields, ours, theirs)
    if info.kind == "tuple":
        parts = (
            [theirs] if len(info.items) == 1 and not isinstance(theirs, list | tuple) else theirs
        )
        return len(parts) == len(ours) and all(
            same(md, item, our, their)
            for item, our, their in zip(info.items, ours, parts, strict=True)
        )
    if info.kind in ("sequence", "array"):
        return len(theirs) == len(ours) and all(
            same(md, info.item, our, their) for our, their in zip(ours, theirs, strict=True)
        )
    if info.kind == "bits":
        # Theirs is a number in binary: the first bit stands last.
        bits = "".join("01"[bit] for bit in reversed(ours)) or "0"
        return bool(theirs == f"0b{bits}")
    return bool(ours == theirs)


def same_bytes(ours: bytes, theirs: Any) -> bool:
    if not isinstance(theirs, str):
        return False
    if theirs == "0x" + ours.hex() or theirs.encode() == ours:
        return True
    try:
        return ss58.decode(theirs).payload == ours
    except Exception:  # noqa: BLE001 - whatever it is, it is not the account
        return False


def same_variant(md: Metadata, info: TypeInfo, ours: Value, theirs: Any) -> bool:
    if info.path == ("Option",):
        if ours is None:
            return theirs is None
        inner = next(v for v in info.variants if v.name == "Some").fields[0].type_id
        nested = unwrapped(md, inner).path == ("Option",)
        return same(md, inner, ours["Some"] if nested else ours, theirs)
    name: str
    payload: Any
    name, payload = (ours, None) if isinstance(ours, str) else next(iter(ours.items()))
    fields = next(v for v in info.variants if v.name == name).fields
    if isinstance(theirs, dict) and "call_module" in theirs and "call_function" in theirs:
        call, args = next(iter(payload.items())) if isinstance(payload, dict) else (payload, {})
        return name == theirs["call_module"] and same_call(md, info, name, call, args, theirs)
    if not fields:
        return theirs in (name, {name: None})
    if isinstance(theirs, str):
        # An address by id is told apart only by the shape of its text.
        return name == "Id" and same_bytes(payload, theirs)
    return list(theirs) == [name] and same_fields(md, fields, payload, theirs[name])


def same_call(
    md: Metadata, info: TypeInfo, pallet: str, call: str, args: Any, theirs: dict[str, Any]
) -> bool:
    variant = md.variants(md.pallet(pallet).calls)[call]
    given = {arg["name"]: arg["value"] for arg in theirs["call_args"]}
    return call == theirs["call_function"] and all(
        same(md, field.type_id, args[field.name], given[field.name]) for field in variant.fields
    )


def same_fields(md: Metadata, fields: tuple[TypeField, ...], ours: Value, theirs: Any) -> bool:
    if fields[0].name is not None:
        return set(theirs) == set(ours) and all(
            same(md, field.type_id, ours[field.name], theirs[field.name]) for field in fields
        )
    if len(fields) == 1:
        return same(md, fields[0].type_id, ours, theirs)
    return len(theirs) == len(ours) and all(
        same(md, field.type_id, our, their)
        for field, our, their in zip(fields, ours, theirs, strict=True)
    )


def unwrapped(md: Metadata, type_id: int) -> TypeInfo:
    info = md.type_info(type_id)
    while info.kind == "composite" and len(info.fields) == 1 and info.fields[0].name is None:
        info = md.type_info(info.fields[0].type_id)
    return info
