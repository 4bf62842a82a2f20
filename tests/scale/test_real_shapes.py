"""Each shape of a value on the types of real runtimes, both ways."""

from __future__ import annotations

from typing import Any

import pytest

from prbkit.scale import Metadata, Value
from tests.scale.conftest import LoadMetadata

A, B = bytes(range(32)), b"\xaa" * 32
CASES: list[tuple[str, str, Value, bytes]] = [
    # Text, numbers and the bytes that accounts and hashes are.
    ("khala_v14", "bool", True, b"\1"),
    ("khala_v14", "str", "PHA", b"\x0cPHA"),
    ("khala_v14", "u128", 10**12, (10**12).to_bytes(16, "little")),
    ("khala_v14", "sp_core::crypto::AccountId32", A, A),
    ("khala_v14", "primitive_types::H256", B, B),
    ("khala_v14", "sp_arithmetic::fixed_point::FixedU128", 1 << 64, b"\0" * 8 + b"\1" + b"\0" * 7),
    ("khala_v14", "sp_arithmetic::per_things::Permill", 7, b"\7\0\0\0"),
    # Variants: without fields, of one unnamed, of several unnamed, of named fields.
    ("khala_v14", "sp_runtime::generic::era::Era", "Immortal", b"\0"),
    ("khala_v14", "sp_runtime::generic::era::Era", {"Mortal5": 2}, b"\5\2"),
    ("khala_v14", "sp_runtime::multiaddress::MultiAddress", {"Id": A}, b"\0" + A),
    ("khala_v14", "sp_runtime::multiaddress::MultiAddress", {"Index": ()}, b"\1"),
    ("khala_v14", "sp_runtime::multiaddress::MultiAddress", {"Raw": b"ab"}, b"\2\x08ab"),
    ("khala_v14", "sp_runtime::MultiSignature", {"Ecdsa": bytes(65)}, b"\2" + bytes(65)),
    (
        "khala_v14",
        "sp_runtime::generic::digest::DigestItem",
        {"Consensus": (b"FRNK", b"\1")},
        b"\4FRNK\4\1",
    ),
    (
        "khala_v14",
        "sp_runtime::generic::digest::DigestItem",
        "RuntimeEnvironmentUpdated",
        b"\x08",
    ),
    (
        "khala_v14",
        "sp_runtime::DispatchError",
        {"Module": {"index": 3, "error": b"\1\0\0\0"}},
        b"\3\3\1\0\0\0",
    ),
    ("khala_v14", "sp_runtime::DispatchError", "BadOrigin", b"\2"),
    # Compacts are ints, also within structs.
    (
        "khala_v14",
        "sp_weights::weight_v2::Weight",
        {"ref_time": 1 << 14, "proof_size": 63},
        b"\2\0\1\0\xfc",
    ),
    # Calls within values, of several arguments and of none.
    (
        "khala_v14",
        "khala_parachain_runtime::RuntimeCall",
        {"System": {"remark": {"remark": b"hi"}}},
        b"\0\0\x08hi",
    ),
]


@pytest.mark.parametrize(("name", "path", "value", "raw"), CASES, ids=range(len(CASES)))
def test_shapes_of_named_types(
    metadata: LoadMetadata, name: str, path: str, value: Value, raw: bytes
) -> None:
    both(metadata(name), path, value, raw)


def both(md: Metadata, type_: int | str, value: Value, raw: bytes) -> None:
    found = md.decode(type_, raw)
    assert found == value
    assert plain(found)
    assert type(found) is type(value)
    assert md.encode(type_, value) == raw
    assert md.skip(type_, raw) == len(raw)


def plain(value: Any) -> bool:
    """Whether a value is made of plain dicts, lists, tuples, bytes, text, ints and bools alone."""
    if type(value) is dict:
        return all(type(key) is str and plain(part) for key, part in value.items())
    if type(value) in (list, tuple):
        return all(map(plain, value))
    return value is None or type(value) in (bytes, str, int, bool)


def test_calls_without_arguments_and_within_calls(rhala: Metadata, khala: Metadata) -> None:
    for md in (rhala, khala):
        index = {name: md.pallet(name).index for name in ("System", "Utility", "Democracy")}
        calls = md.variants(md.pallet("Democracy").calls)
        clear = bytes([index["Democracy"], calls["clear_public_proposals"].index])
        remark = bytes([index["System"], 0]) + b"\4x"
        batch = md.variants(md.pallet("Utility").calls)["force_batch"].index
        raw = bytes([index["Utility"], batch]) + b"\x08" + clear + remark
        inner = [
            {"Democracy": "clear_public_proposals"},
            {"System": {"remark": {"remark": b"x"}}},
        ]
        assert md.decode_call(raw) == ("Utility", "force_batch", {"calls": inner})
        assert md.decode_call(clear) == ("Democracy", "clear_public_proposals", {})
        assert md.call("Utility", "force_batch", calls=inner) == raw
        assert md.call("Utility", "force_batch", calls=[clear, remark]) == raw
        assert md.call_type is not None
        both(md, md.call_type, {"Utility": {"force_batch": {"calls": inner}}}, raw)


def test_storage_values(rhala: Metadata) -> None:
    account = {"free": 3, "reserved": 0, "misc_frozen": 0, "fee_frozen": 0}
    value = {"nonce": 1, "consumers": 0, "providers": 2, "sufficients": 0, "data": account}
    raw = b"\1\0\0\0" + bytes(4) + b"\2\0\0\0" + bytes(4) + b"\3" + bytes(63)
    assert rhala.decode_storage("System", "Account", raw) == value
    assert rhala.encode_storage("System", "Account", value) == raw


def test_options_sets_maps_bits_and_results(any_metadata: Metadata) -> None:
    """Of every type of its kind in the metadata whose parts are simple."""
    md = any_metadata
    seen = set()
    for info in md.types:
        inner = [md.type_info(i) for _, i in info.params if i is not None]
        match info.path[-1:], [i.primitive or i.path[-1:] or i.kind for i in inner]:
            case ("Option",), ["u32"]:
                both(md, info.id, None, b"\0")
                both(md, info.id, 0, b"\1" + bytes(4))
            case ("Option",), [("AccountId32",)]:
                both(md, info.id, A, b"\1" + A)
            case ("BTreeSet",), [("AccountId32",)]:
                both(md, info.id, [A, B], b"\x08" + A + B)
            case ("BTreeSet",), ["u32"]:
                both(md, info.id, [1], b"\4\1\0\0\0")
            case ("BTreeMap",), [_, _]:
                both(md, info.id, [], b"\0")
            case ("Result",), ["tuple", ("DispatchError",)]:
                both(md, info.id, {"Ok": ()}, b"\0")
                both(md, info.id, {"Err": "BadOrigin"}, b"\1\2")
            case (_, names) if info.kind == "bits":
                assert names == []
                both(md, info.id, [], b"\0")
                value = [True, False, True]
                assert md.decode(info.id, md.encode(info.id, value)) == value
            case (_, _) if info.kind == "tuple" and not info.items:
                both(md, info.id, (), b"")
            case (_, _) if info.kind == "tuple" and len(info.items) == 1:
                found = md.decode_at(info.id, bytes(200))[0]
                assert type(found) is tuple
                assert len(found) == 1
            case (_, _) if info.kind == "composite" and not info.fields:
                both(md, info.id, (), b"")
            case _:
                continue
        seen.add(info.path[-1:] or (info.kind,))
    assert {("Option",), ("Result",), ("tuple",)} <= seen
