"""The same bytes through py-scalecodec, which shares nothing with prbkit."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbkit.scale import Metadata, TypeInfo
from prbkit.testing.strategies import type_ids, values
from tests.scale.conftest import LoadMetadata
from tests.scale.oracle import same

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    scalecodec = pytest.importorskip("scalecodec")
    from scalecodec.base import RuntimeConfigurationObject, ScaleBytes
    from scalecodec.type_registry import load_type_registry_preset

# Types that py-scalecodec reads by rules of its own, beside what the metadata says: it joins the
# parts of a record, splits a vote into bits, refuses eras it calls impossible, and so on.
OWN_RULES = {
    ("frame_system", "EventRecord"),
    ("pallet_democracy", "vote", "Vote"),
    ("pallet_conviction_voting", "vote", "Vote"),
    ("sp_runtime", "generic", "era", "Era"),
    ("pallet_identity", "types", "Data"),
    ("pallet_identity", "legacy", "Data"),
    ("primitive_types", "U256"),
    ("BTreeSet",),
}


class Oracle:
    """py-scalecodec with one metadata."""

    def __init__(self, md: Metadata) -> None:
        self.md = md
        self.config = RuntimeConfigurationObject(ss58_format=42)
        self.config.update_type_registry(load_type_registry_preset("core"))
        self.metadata = self.config.create_scale_object("MetadataVersioned", ScaleBytes(md.raw))
        self.metadata.decode()
        self.config.add_portable_registry(self.metadata)
        self.own_rules = ruled(md)

    def decode(self, type_id: int, raw: bytes) -> Any:
        return self._object(type_id, ScaleBytes(raw)).decode(check_remaining=True)

    def encode(self, type_id: int, value: Any) -> bytes:
        return bytes(self._object(type_id, None).encode(value).data)

    def _object(self, type_id: int, data: Any) -> Any:
        return self.config.create_scale_object(
            f"scale_info::{type_id}", data=data, metadata=self.metadata
        )


def ruled(md: Metadata) -> set[int]:
    """Ids of the types that hold one of `OWN_RULES`."""
    found = {info.id for info in md.types if has_own_rule(md, info)}
    grown = True
    while grown:
        more = {info.id for info in md.types if found & set(parts(info))} - found
        found |= more
        grown = bool(more)
    return found


def has_own_rule(md: Metadata, info: TypeInfo) -> bool:
    if info.kind == "array":
        return not info.length
    if info.kind == "compact":
        return md.type_info(info.item).kind == "tuple"
    return info.path in OWN_RULES or info.path[-1:] == ("RuntimeEvent",)


def parts(info: TypeInfo) -> list[int]:
    fields = [*info.fields, *(field for variant in info.variants for field in variant.fields)]
    return [field.type_id for field in fields] + [*info.items, info.item]


@pytest.fixture(scope="module", params=["khala_v14", "polkadot_1000001_v14"])
def oracle(request: pytest.FixtureRequest, metadata: LoadMetadata) -> Oracle:
    return Oracle(metadata(request.param))


@given(data=st.data())
def test_what_is_encoded_means_the_same_to_py_scalecodec(
    oracle: Oracle, data: st.DataObject
) -> None:
    plain = type_ids(oracle.md).filter(lambda type_id: type_id not in oracle.own_rules)
    type_id = data.draw(plain, label="type")
    value = data.draw(values(oracle.md, type_id), label="value")
    encoded = oracle.md.encode(type_id, value)
    theirs = oracle.decode(type_id, encoded)
    assert same(oracle.md, type_id, value, theirs), (value, theirs)


@given(data=st.data())
def test_integers_and_structs_are_encoded_as_py_scalecodec_does(
    oracle: Oracle, data: st.DataObject
) -> None:
    """Of flat types only: it cannot encode all that it decodes."""
    type_id = data.draw(st.sampled_from(flat(oracle.md)), label="type")
    value = data.draw(values(oracle.md, type_id), label="value")
    encoded = oracle.md.encode(type_id, value)
    assert oracle.encode(type_id, oracle.decode(type_id, encoded)) == encoded


@cache
def flat(md: Metadata) -> list[int]:
    simple = {info.id for info in md.types if info.kind in ("primitive", "compact")}
    simple |= {
        info.id
        for info in md.types
        if info.kind == "array" and info.item in simple and 0 < info.length < 65
    }
    for _ in range(4):
        simple |= {
            info.id
            for info in md.types
            if info.kind == "composite" and info.fields and set(parts(info)) - {-1} <= simple
        }
    return sorted(simple - ruled(md))
