"""Metadata, records and keys that somebody hostile made: a value or a CodecError, soon."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbkit.errors import CodecError
from prbkit.scale import Metadata, decode_era, decode_extrinsic, ss58
from tests.hostile import CLAIMS, changed, little_memory, settle
from tests.scale.building import Types, compact, extension, pallet, storage_map, text, vec
from tests.scale.conftest import Load


def small() -> bytes:
    """Metadata of a few hundred bytes, so that most changes hit something that counts."""
    t = Types()
    u8, u32, string = t.primitive("u8"), t.primitive("u32"), t.primitive("str")
    unit, blob = t.tuple(), t.sequence(u8)
    account = t.struct((None, t.array(u8, 32)), path="sp_core::crypto::AccountId32")
    call = t.enum("Call", go=(0, [("to", account), ("n", t.compact(u32))]), stop=(1, []))
    event = t.enum("Event", Went=(0, [("who", account), ("note", blob)]), Stopped=(7, []))
    error = t.enum("Error", Lost=(0, []))
    tree = t.struct(("kids", t.next + 1), ("name", string))
    t.sequence(tree)
    phase = t.enum("frame_system::Phase", ApplyExtrinsic=(0, [(None, u32)]), Finalization=(1, []))
    all_events = t.enum("RuntimeEvent", System=(0, [(None, event)]))
    record = t.struct(
        ("phase", phase),
        ("event", all_events),
        ("topics", t.sequence(account)),
        path="frame_system::EventRecord",
    )
    key = t.tuple(u32, account)
    entries = [
        _plain("Events", t.sequence(record)),
        storage_map("Map", [5], u32, tree),
        storage_map("Double", [2, 6], key, blob),
    ]
    bits = t.bits(u8, t.struct(path="bitvec::order::Lsb0"))
    entries.append(_plain("Bits", bits))
    parts: dict[str, Any] = {"storage": entries, "calls": call, "events": event, "errors": error}
    pallets = [pallet("System", 0, **parts)]
    return t.metadata(pallets, [extension("CheckGenesis", unit, account)]).raw


def _plain(name: str, value: int) -> bytes:
    return text(name) + b"\1\0" + compact(value) + b"\0" + vec([])


SMALL = small()


def use(md: Metadata) -> None:
    """Whatever a program does with metadata that it has got from a node."""
    settle(md.prepare, error=CodecError)
    for info in md.types:
        for data in (b"", bytes(64), b"\1" * 64, b"\x08" * 64):
            found = settle(md.decode_at, info.id, data, error=CodecError)
            assert settle(md.skip, info.id, data, error=CodecError) == (found and found[1])
    for each in md.pallets.values():
        for item in each.storage.values():
            settle(md.storage_prefix, each.name, item.name, error=CodecError)
            key = settle(md.storage_key, each.name, item.name, error=CodecError)
            settle(md.decode_storage_key, each.name, item.name, (key or b"") + bytes(50))
            settle(md.decode_storage, each.name, item.name, None, error=CodecError)
            assert isinstance(item.docs, tuple)
        for constant in each.constants.values():
            settle(md.constant, each.name, constant.name, error=CodecError)
        for kind in (each.calls, each.events, each.errors):
            settle(md.variants, kind, error=CodecError)
        settle(md.error, each.index, 0, error=CodecError)
    settle(md.decode_events, b"\4" + bytes(80), error=CodecError)
    settle(md.decode_call, bytes(80), error=CodecError)
    settle(decode_extrinsic, md, b"\x10\4\0\0\0", error=CodecError)


def test_the_small_metadata_is_valid() -> None:
    md = Metadata.decode(SMALL)
    md.prepare()
    use(md)
    assert len(SMALL) < 1000
    for cut in range(len(SMALL)):
        with pytest.raises(CodecError):
            Metadata.decode(SMALL[:cut])


def test_topics_that_are_no_list_are_refused() -> None:
    topics = SMALL.index(text("topics")) + len(text("topics"))
    wrong = bytearray(SMALL)
    wrong[topics] = compact(4)[0]  # a Vec<u8>
    md = Metadata.decode(bytes(wrong))
    with pytest.raises(CodecError, match="topics that are no list"):
        md.decode_events(b"\0")


@given(changed([SMALL]))
def test_changed_metadata_is_usable_or_refused(raw: bytes) -> None:
    md = settle(Metadata.decode, raw, error=CodecError)
    if md is not None:
        use(md)


@given(st.integers(14, 15), st.binary(max_size=200))
def test_any_bytes_as_metadata(version: int, raw: bytes) -> None:
    md = settle(Metadata.decode, b"meta" + bytes([version]) + raw, error=CodecError)
    if md is not None:
        use(md)


@pytest.mark.parametrize("claim", CLAIMS)
def test_lengths_in_metadata_that_nothing_backs_take_no_memory(claim: bytes) -> None:
    for at in range(5, len(SMALL)):
        raw = SMALL[:at] + claim + SMALL[at + 1 :]
        with little_memory():
            settle(Metadata.decode, raw, error=CodecError)


@pytest.fixture(scope="module")
def events(load: Load) -> list[bytes]:
    found = [bytes.fromhex(i["eventsScale"][2:]) for i in load("runtime/events.json.gz")["items"]]
    return sorted(found, key=len)[:12]


@pytest.fixture(scope="module")
def extrinsics(load: Load) -> list[bytes]:
    items = load("runtime/extrinsics.json.gz")["items"]
    return [bytes.fromhex(item["extrinsic"][2:]) for item in items]


@pytest.fixture(scope="module")
def keys(load: Load) -> list[tuple[str, str, bytes]]:
    items = load("storage/rhala_state.json.gz")["items"]
    return [(i["pallet"], i["item"], bytes.fromhex(i["key"][2:])) for i in items if i["params"]]


@given(data=st.data())
def test_changed_events_are_events_or_refused(
    rhala: Metadata, events: list[bytes], data: st.DataObject
) -> None:
    raw = data.draw(changed(events))
    found = settle(rhala.decode_events, raw, error=CodecError)
    assert (found is None) == (settle(rhala.decode_events, raw, [], error=CodecError) is None)
    value = settle(rhala.decode_storage, "System", "Events", raw, error=CodecError)
    assert (found is None) == (value is None)
    if value is not None:
        assert rhala.encode_storage("System", "Events", value) == raw


@given(data=st.data())
def test_changed_extrinsics_are_taken_apart_or_refused(
    rhala: Metadata, extrinsics: list[bytes], data: st.DataObject
) -> None:
    raw = data.draw(changed(extrinsics))
    found = settle(decode_extrinsic, rhala, raw, error=CodecError)
    # With its length made right again, changes get deeper.
    body = raw[2:]
    found = settle(decode_extrinsic, rhala, compact(len(body)) + body, error=CodecError) or found
    if found is not None:
        assert rhala.call(found.pallet, found.name, **found.args) == found.call


@given(data=st.data())
def test_changed_storage_keys_give_parameters_or_are_refused(
    rhala: Metadata, keys: list[tuple[str, str, bytes]], data: st.DataObject
) -> None:
    pallet_name, item, key = data.draw(st.sampled_from(keys))
    raw = data.draw(changed([key]) | st.binary(max_size=60).map(lambda tail: key[:32] + tail))
    params = settle(rhala.decode_storage_key, pallet_name, item, raw, error=CodecError)
    if params is not None:
        hashers = rhala.storage_item(pallet_name, item).hashers
        if all(h == "Identity" or h.endswith("Concat") for h in hashers):
            assert rhala.storage_key(pallet_name, item, *params) == raw


@given(st.text(st.characters(), max_size=60) | st.binary(max_size=40).map(lambda b: b.hex()))
def test_any_text_at_all_is_an_address_or_refused(text_: str) -> None:
    settle(ss58.decode, text_, error=CodecError)


@given(st.binary(max_size=4))
def test_any_bytes_are_an_era_or_refused(raw: bytes) -> None:
    settle(decode_era, raw, error=CodecError)


@given(data=st.data(), claim=st.sampled_from(CLAIMS))
def test_claimed_lengths_take_no_memory(rhala: Metadata, data: st.DataObject, claim: bytes) -> None:
    type_id = data.draw(st.sampled_from([info.id for info in rhala.types]))
    start = data.draw(st.binary(max_size=8))
    rhala.type_info(type_id)
    settle(rhala.decode_at, type_id, b"", error=CodecError)  # makes the type's plan
    with little_memory():
        settle(rhala.decode_at, type_id, start + claim + bytes(1000), error=CodecError)
        settle(rhala.skip, type_id, start + claim + bytes(1000), error=CodecError)
