"""Laws of the codec over all types of real metadata, and over bytes that nobody meant."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbkit.errors import CodecError
from prbkit.scale import Metadata
from prbkit.testing.strategies import calls, storage_params, type_ids, values


def law(draw: st.DataObject, md: Metadata) -> tuple[int, object, bytes]:
    type_id = draw.draw(type_ids(md), label="type")
    value = draw.draw(values(md, type_id), label="value")
    return type_id, value, md.encode(type_id, value)


@given(data=st.data())
def test_what_is_encoded_decodes_to_itself(any_metadata: Metadata, data: st.DataObject) -> None:
    type_id, value, encoded = law(data, any_metadata)
    assert any_metadata.decode(type_id, encoded) == value
    assert any_metadata.encode(type_id, any_metadata.decode(type_id, encoded)) == encoded
    assert any_metadata.skip(type_id, encoded) == len(encoded)


def test_every_type_of_real_metadata_round_trips(any_metadata: Metadata) -> None:
    """One value of every single type: random bytes are read as far as they go."""
    rng = random.Random(7)
    seen = 0
    for info in any_metadata.types:
        for _ in range(30):
            data = rng.randbytes(200) if rng.random() < 0.5 else bytes(rng.choices(range(4), k=200))
            try:
                value, end = any_metadata.decode_at(info.id, data)
            except CodecError:
                continue
            seen += 1
            again = any_metadata.encode(info.id, value)
            assert any_metadata.decode(info.id, again) == value
            assert len(again) == end
            break
    assert seen > 0.8 * len(any_metadata.types)


@given(data=st.data())
def test_a_prefix_of_a_value_is_never_a_value_of_all(
    any_metadata: Metadata, data: st.DataObject
) -> None:
    type_id, _, encoded = law(data, any_metadata)
    if not encoded:
        return
    cut = data.draw(st.integers(0, len(encoded) - 1), label="cut")
    with pytest.raises(CodecError):
        any_metadata.decode(type_id, encoded[:cut])
    with pytest.raises(CodecError):
        any_metadata.decode(type_id, encoded + b"\0")


@given(data=st.data())
def test_a_changed_value_is_another_or_an_error(
    any_metadata: Metadata, data: st.DataObject
) -> None:
    type_id, _, encoded = law(data, any_metadata)
    if not encoded:
        return
    bit = data.draw(st.integers(0, 8 * len(encoded) - 1), label="bit")
    changed = bytearray(encoded)
    changed[bit // 8] ^= 1 << bit % 8
    settle(any_metadata, type_id, bytes(changed))


@given(data=st.data())
def test_any_bytes_are_a_value_or_an_error(any_metadata: Metadata, data: st.DataObject) -> None:
    type_id = data.draw(type_ids(any_metadata))
    settle(any_metadata, type_id, data.draw(st.binary(max_size=300)))


@given(
    data=st.data(),
    prefix=st.sampled_from(
        [
            b"\x02\x00\x10\x00",
            b"\xfe\xff\xff\xff",
            b"\x03\xff\xff\xff\xff",
            b"\xff" * 17,
            b"\x01\x08",
        ]
    ),
)
def test_a_length_that_nothing_backs_is_refused(
    any_metadata: Metadata, data: st.DataObject, prefix: bytes
) -> None:
    type_id = data.draw(type_ids(any_metadata))
    settle(any_metadata, type_id, prefix * data.draw(st.integers(1, 50)))


def settle(md: Metadata, type_id: int, raw: bytes) -> None:
    """Decode and skip agree, and what can be decoded can be encoded."""
    try:
        value, end = md.decode_at(type_id, raw)
    except CodecError:
        with pytest.raises(CodecError, match=r"at \$"):
            md.skip(type_id, raw)
        return
    assert md.skip(type_id, raw) == end
    again = md.encode(type_id, value)
    # Only the bits that fill up the last word of a BitVec may differ.
    assert len(again) == end
    assert md.decode(type_id, again) == value


@given(data=st.data())
def test_calls_decode_to_what_they_were_made_of(
    any_metadata: Metadata, data: st.DataObject
) -> None:
    pallet, name, args = data.draw(calls(any_metadata))
    encoded = any_metadata.call(pallet, name, **args)
    assert any_metadata.decode_call(encoded) == (pallet, name, args)


@given(data=st.data())
def test_storage_keys_give_their_parameters_back(
    any_metadata: Metadata, data: st.DataObject
) -> None:
    pallet, item, params = data.draw(storage_params(any_metadata))
    key = any_metadata.storage_key(pallet, item, *params)
    assert key.startswith(any_metadata.storage_prefix(pallet, item))
    found = any_metadata.decode_storage_key(pallet, item, key)
    hashers = any_metadata.storage_item(pallet, item).hashers
    for hasher, param, read in zip(hashers, params, found, strict=False):
        if hasher == "Identity" or hasher.endswith("Concat"):
            assert read == param


@given(data=st.data(), cut=st.floats(0, 1))
def test_hostile_metadata_is_an_error(
    any_metadata: Metadata, data: st.DataObject, cut: float
) -> None:
    raw = bytearray(any_metadata.raw)
    if data.draw(st.booleans()):
        del raw[int(cut * len(raw)) :]
    for _ in range(data.draw(st.integers(1, 4))):
        if not raw:
            break
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.integers(0, 255))
    try:
        md = Metadata.decode(bytes(raw))
        md.prepare()
    except CodecError:
        return
    for pallet in md.pallets.values():
        assert isinstance(pallet.name, str)
