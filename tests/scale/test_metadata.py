"""What metadata says, against polkadot.js's reading of the same files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prbkit.errors import CodecError
from prbkit.scale import Metadata
from tests.scale.conftest import NAMES, Load, LoadMetadata


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def members(md: Metadata, type_id: int | None) -> list[dict[str, Any]]:
    return [
        {"name": v.name, "index": v.index, "fields": [f.name for f in v.fields]}
        for v in md.variants(type_id).values()
    ]


@pytest.mark.parametrize("name", NAMES)
def test_metadata_says_what_polkadot_js_reads(
    name: str, load: Load, metadata: LoadMetadata
) -> None:
    expected = load("metadata/summary.json.gz")[f"{name}.scale"]
    md = metadata(name)
    assert md.version == expected["version"]
    assert len(md.types) == expected["types"]
    assert md.extrinsic_version == expected["extrinsic"]["version"]
    assert [e.identifier for e in md.signed_extensions] == expected["extrinsic"]["signedExtensions"]
    assert list(md.pallets) == [pallet["name"] for pallet in expected["pallets"]]
    for theirs in expected["pallets"]:
        pallet = md.pallet(theirs["name"])
        assert pallet.index == theirs["index"]
        assert pallet.prefix == theirs["storagePrefix"]
        assert [
            (i.name, i.modifier, list(i.hashers), i.default) for i in pallet.storage.values()
        ] == [
            (i["name"], i["modifier"], i["hashers"], unhex(i["default"]))
            for i in theirs["storage"] or []
        ]
        for kind in ("calls", "events", "errors"):
            ours = members(md, getattr(pallet, kind))
            want = theirs[kind] or []
            assert [(m["name"], m["index"]) for m in ours] == [
                (m["name"], m["index"]) for m in want
            ]
            for our, their in zip(ours, want, strict=True):
                # Unnamed fields are given as an empty text or by their place.
                if any(our["fields"]):
                    assert our["fields"] == their["fields"]
                else:
                    assert len(our["fields"]) == len(their["fields"])
        assert [(c.name, c.value) for c in pallet.constants.values()] == [
            (c["name"], unhex(c["value"])) for c in theirs["constants"]
        ]


def test_every_default_and_constant_is_a_value(any_metadata: Metadata) -> None:
    md = any_metadata
    md.prepare()
    for pallet in md.pallets.values():
        for item in pallet.storage.values():
            value = md.decode_storage(pallet.name, item.name, None)
            if item.modifier == "Optional":
                assert value is None
            else:
                assert md.encode_storage(pallet.name, item.name, value) == item.default
        for constant in pallet.constants.values():
            value = md.constant(pallet.name, constant.name)
            assert md.encode(constant.type_id, value) == constant.value


def test_docs_of_everything_can_be_read(any_metadata: Metadata) -> None:
    md = any_metadata
    texts = [info.docs for info in md.types]
    for pallet in md.pallets.values():
        texts.append(pallet.docs)
        texts += [item.docs for item in pallet.storage.values()]
        texts += [constant.docs for constant in pallet.constants.values()]
        for kind in (pallet.calls, pallet.events, pallet.errors):
            texts += [variant.docs for variant in md.variants(kind).values()]
    assert sum(map(len, texts)) > 1000
    assert "account" in " ".join(md.storage_item("System", "Account").docs)


def test_metadata_may_come_wrapped(data_dir: Path, polkadot: Metadata) -> None:
    raw = (data_dir / "metadata" / "polkadot_v15.scale").read_bytes()
    assert raw.startswith(b"meta\x0f")
    opaque = (len(raw) << 2 | 2).to_bytes(4, "little") + raw
    for wrapped in (raw, bytearray(raw), memoryview(raw), opaque, b"\x01" + opaque):
        assert Metadata.decode(wrapped).raw == raw
    assert polkadot.apis["Core"]["version"].inputs == ()


@pytest.mark.parametrize("version", [0, 9, 12, 13, 16, 255])
def test_other_versions_are_refused_by_number(version: int) -> None:
    with pytest.raises(CodecError, match=f"version {version}, only 14 and 15"):
        Metadata.decode(b"meta" + bytes([version]) + bytes(100))


@pytest.mark.parametrize(
    "raw", [b"", b"met", b"meta", b"\x00", b"\x01", b"\x01\x10meta", b"\x10meta"]
)
def test_what_is_not_metadata_is_refused(raw: bytes) -> None:
    with pytest.raises(CodecError):
        Metadata.decode(raw)


def test_metadata_ends_where_it_ends(any_metadata: Metadata) -> None:
    with pytest.raises(CodecError, match="1 bytes too many"):
        Metadata.decode(any_metadata.raw + b"\0")
    for cut in range(0, len(any_metadata.raw), 9973):
        with pytest.raises(CodecError):
            Metadata.decode(any_metadata.raw[:cut])


def test_a_type_is_found_by_id_and_path(khala: Metadata) -> None:
    account = khala.type_id("sp_core::crypto::AccountId32")
    assert khala.type_info(account).path == ("sp_core", "crypto", "AccountId32")
    assert khala.decode("sp_core::crypto::AccountId32", bytes(32)) == bytes(32)
    assert khala.decode("u32", b"\1\0\0\0") == 1


def test_an_ambiguous_path_lists_its_ids(khala: Metadata) -> None:
    ids = [info.id for info in khala.types if info.path == ("Option",)]
    with pytest.raises(CodecError) as caught:
        khala.decode("Option", b"\0")
    assert str(len(ids)) in str(caught.value)
    assert ", ".join(map(str, ids)) in str(caught.value)


def test_unknown_names_say_what_is_near(khala: Metadata) -> None:
    with pytest.raises(CodecError, match="AccountId32"):
        khala.type_id("sp_core::crypto::AcountId32")
    with pytest.raises(CodecError, match="did you mean System"):
        khala.storage_key("Sistem", "Account")
    with pytest.raises(CodecError, match="did you mean Account"):
        khala.storage_key("System", "Acount")
    with pytest.raises(CodecError, match="no call"):
        khala.call("System", "remarc", remark=b"")
    with pytest.raises(CodecError, match="no constant"):
        khala.constant("System", "Nothing")
    with pytest.raises(CodecError, match="no pallet"):
        khala.decode_events(b"\0", {"Nobody"})
    for type_id in (-1, len(khala.types), 1 << 70):
        with pytest.raises(CodecError, match="no type"):
            khala.decode(type_id, b"")


def test_a_module_error_has_name_and_docs(khala: Metadata) -> None:
    registry = khala.pallet("PhalaRegistry").index
    assert khala.error(registry, 0)[:2] == ("PhalaRegistry", "CannotHandleUnknownMessage")
    for error in (2, b"\2\0\0\0", b"\2"):
        assert khala.error(khala.pallet("System").index, error) == (
            "System",
            "FailedToExtractRuntimeVersion",
            (
                "Failed to extract the runtime version from the new runtime. Either calling "
                "`Core_version` or decoding `RuntimeVersion` failed."
            ),
        )
    for error in (255, -1, b""):
        with pytest.raises(CodecError, match="has no error"):
            khala.error(registry, error)
    with pytest.raises(CodecError, match="no pallet has index 255"):
        khala.error(255, 0)
