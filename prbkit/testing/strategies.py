"""Hypothesis strategies for whatever a runtime's metadata describes.

They follow the metadata on their own, without a look at the codec, so that they can test it::

    @given(values(md, "sp_runtime::multiaddress::MultiAddress"))
    def test_round_trip(value): ...

This is the only module of `prbkit.testing` that needs hypothesis.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from hypothesis import strategies as st

from prbkit.scale import Metadata, TypeField, TypeInfo, TypeVariant, Value

__all__ = ["calls", "storage_params", "type_ids", "values"]

DEPTH = 6
"""Levels down to which values vary; below, the shallowest variants and empty lists are taken."""
ITEMS = 3
"""Most items of a list, and most items of a long array that differ."""
ENDLESS = 1 << 30

_SIZES = {"u8": 8, "u16": 16, "u32": 32, "u64": 64, "u128": 128, "u256": 256}

_heights: WeakKeyDictionary[Metadata, list[int]] = WeakKeyDictionary()


def values(md: Metadata, type: int | str, *, depth: int = DEPTH) -> st.SearchStrategy[Value]:  # noqa: A002
    """Values of a type, given by id or path, in the shapes that `md.decode` gives."""
    return _values(md, md.type_id(type), depth)


def type_ids(md: Metadata) -> st.SearchStrategy[int]:
    """Ids of the types that have a value (an enum without variants has none)."""
    heights = heights_of(md)
    return st.sampled_from([info.id for info in md.types if heights[info.id] < ENDLESS])


@st.composite
def calls(draw: st.DrawFn, md: Metadata) -> tuple[str, str, dict[str, Value]]:
    """Calls of a runtime, as `md.decode_call` gives them."""
    pallet = draw(st.sampled_from([p for p in md.pallets.values() if md.variants(p.calls)]))
    variant = draw(_variants(md, md.type_info(pallet.calls or 0), DEPTH))
    args = draw(_fields(md, variant.fields, DEPTH - 2)) if variant.fields else {}
    return pallet.name, variant.name, args


@st.composite
def storage_params(draw: st.DrawFn, md: Metadata) -> tuple[str, str, tuple[Value, ...]]:
    """Pallet, item and parameters of a storage key; at times fewer than the item has."""
    items = [
        (pallet.name, item) for pallet in md.pallets.values() for item in pallet.storage.values()
    ]
    pallet, item = draw(st.sampled_from(items))
    count = draw(st.integers(0, len(item.keys)))
    return pallet, item.name, tuple(draw(values(md, key)) for key in item.keys[:count])


@st.composite
def _values(draw: st.DrawFn, md: Metadata, type_id: int, depth: int) -> Value:
    info = _unwrapped(md, type_id)
    match info.kind:
        case "primitive":
            return draw(_primitives(info.primitive or ""))
        case "compact":
            return draw(_compacts(md, info))
        case "composite":
            return draw(_fields(md, info.fields, depth - 1)) if info.fields else ()
        case "tuple":
            return tuple([draw(_values(md, item, depth - 1)) for item in info.items])
        case "bits":
            return draw(st.lists(st.booleans(), max_size=70))
        case "sequence":
            if _is_u8(md, info.item):
                return draw(st.binary(max_size=70))
            most = ITEMS if depth > 0 and heights_of(md)[info.item] < ENDLESS else 0
            return [
                draw(_values(md, info.item, depth - 1)) for _ in range(draw(st.integers(0, most)))
            ]
        case "array":
            return draw(_arrays(md, info, depth))
        case "variant":
            return draw(_enums(md, info, depth))


@st.composite
def _enums(draw: st.DrawFn, md: Metadata, info: TypeInfo, depth: int) -> Value:
    variant = draw(_variants(md, info, depth))
    if _is_option(info):
        if variant.name == "None":
            return None
        inner = variant.fields[0].type_id
        value = draw(_values(md, inner, depth - 1))
        return {"Some": value} if _is_option(_unwrapped(md, inner)) else value
    if not variant.fields:
        return variant.name
    return {variant.name: draw(_fields(md, variant.fields, depth - 1))}


def _variants(md: Metadata, info: TypeInfo, depth: int) -> st.SearchStrategy[TypeVariant]:
    heights = heights_of(md)
    ranked = [(_tallest(heights, [f.type_id for f in v.fields]), v) for v in info.variants]
    lowest = min(height for height, _ in ranked)
    allowed = [v for height, v in ranked if height < ENDLESS and height <= max(depth, lowest)]
    return st.sampled_from(allowed)


@st.composite
def _fields(draw: st.DrawFn, md: Metadata, fields: tuple[TypeField, ...], depth: int) -> Value:
    parts = [draw(_values(md, field.type_id, depth)) for field in fields]
    if fields[0].name is not None:
        return {field.name: part for field, part in zip(fields, parts, strict=True)}
    return parts[0] if len(parts) == 1 else tuple(parts)


@st.composite
def _arrays(draw: st.DrawFn, md: Metadata, info: TypeInfo, depth: int) -> Value:
    # A long array repeats a few items: drawing each costs more entropy than hypothesis has.
    if _is_u8(md, info.item):
        pattern = draw(st.binary(min_size=1, max_size=32))
        return (pattern * (info.length // len(pattern) + 1))[: info.length]
    few = [draw(_values(md, info.item, depth - 1)) for _ in range(min(info.length, ITEMS))]
    return [few[i % len(few)] for i in range(info.length)]


def _primitives(name: str) -> st.SearchStrategy[Any]:
    if name == "bool":
        return st.booleans()
    if name == "char":
        return st.characters(exclude_categories=["Cs"])
    if name == "str":
        return st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    if name.startswith("i"):
        half = 1 << (int(name[1:]) - 1)
        return st.integers(-half, half - 1)
    return st.integers(0, (1 << _SIZES[name]) - 1)


@st.composite
def _compacts(draw: st.DrawFn, md: Metadata, info: TypeInfo) -> Value:
    inner = md.type_info(info.item)
    while inner.kind == "composite" and len(inner.fields) == 1:
        inner = md.type_info(inner.fields[0].type_id)
    if inner.primitive is None:
        return ()
    # Each size of compact as often as any other.
    bits = draw(st.integers(0, _SIZES[inner.primitive]))
    return draw(st.integers(0, (1 << bits) - 1))


def heights_of(md: Metadata) -> list[int]:
    """For each type the levels of its shallowest value; `ENDLESS` where it has none."""
    heights = _heights.get(md)
    if heights is None:
        heights = [ENDLESS] * len(md.types)
        changed = True
        while changed:
            changed = False
            for info in md.types:
                height = _height(heights, info)
                if height < heights[info.id]:
                    heights[info.id] = height
                    changed = True
        _heights[md] = heights
    return heights


def _height(heights: list[int], info: TypeInfo) -> int:
    if info.kind == "composite":
        return _tallest(heights, [field.type_id for field in info.fields])
    if info.kind == "tuple":
        return _tallest(heights, list(info.items))
    if info.kind == "array":
        return _tallest(heights, [info.item] if info.length else [])
    if info.kind == "variant":
        return min(
            (_tallest(heights, [f.type_id for f in v.fields]) for v in info.variants),
            default=ENDLESS,
        )
    return 0


def _tallest(heights: list[int], parts: list[int]) -> int:
    tallest = max((heights[part] + 1 for part in parts), default=0)
    return min(tallest, ENDLESS)


def _unwrapped(md: Metadata, type_id: int) -> TypeInfo:
    info = md.type_info(type_id)
    while info.kind == "composite" and len(info.fields) == 1 and info.fields[0].name is None:
        info = md.type_info(info.fields[0].type_id)
    return info


def _is_option(info: TypeInfo) -> bool:
    return info.path == ("Option",) and {v.name for v in info.variants} == {"None", "Some"}


def _is_u8(md: Metadata, type_id: int) -> bool:
    return md.type_info(type_id).primitive == "u8"
