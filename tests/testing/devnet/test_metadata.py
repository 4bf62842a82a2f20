"""The devnet's metadata: complete, true to the real ones, and legible to others' decoders."""

from __future__ import annotations

import pytest
from scalecodec.base import RuntimeConfigurationObject, ScaleBytes
from scalecodec.type_registry import load_type_registry_preset

from prbkit.scale import Metadata
from prbkit.testing.devnet.descriptions import Extension, Pallet, TypeBook
from prbkit.testing.devnet.metadata import build
from prbkit.testing.devnet.para import ParaRuntime, ParaSettings
from prbkit.testing.devnet.relay import RelayRuntime, RelaySettings

RUNTIMES = {
    "para": lambda: ParaRuntime(ParaSettings()),
    "para with metadata hash": lambda: ParaRuntime(ParaSettings(metadata_hash=True)),
    "upgraded para": lambda: ParaRuntime(ParaSettings(upgrade_at=1)).upgrade[1],
    "relay": lambda: RelayRuntime(RelaySettings((bytes(32),), set_size=1)),
}
#: What the devnet's own crates are called in the real metadata.
_CRATES = {
    "prbkit_devnet_runtime": "runtime",
    "prbkit_devnet_relay_runtime": "runtime",
    "rhala_parachain_runtime": "runtime",
    "staging_kusama_runtime": "runtime",
}
#: Relay pallets whose tables are those of the FRAME version that Phala's runtime was built from.
_OF_PHALAS_FRAME = {"System", "Balances", "TransactionPayment", "Timestamp"}


@pytest.fixture(params=RUNTIMES)
def runtime(request):
    return RUNTIMES[request.param]()


def shape(md, type_id, seen=()):
    """Describe a type by paths, parameters, names and what lies below, without ids."""
    info = md.type_info(type_id)
    path = "::".join(_CRATES.get(part, part) for part in info.path)
    if type_id in seen or path in ("runtime::RuntimeCall", "runtime::RuntimeEvent"):
        return path
    below = (*seen, type_id)

    def fields(items):
        return tuple((each.name, each.type_name, shape(md, each.type_id, below)) for each in items)

    match info.kind:
        case "composite":
            params = tuple(
                (name, None if id_ is None else shape(md, id_, below)) for name, id_ in info.params
            )
            return path, params, fields(info.fields)
        case "variant":
            return path, tuple((v.index, v.name, fields(v.fields)) for v in info.variants)
        case "primitive":
            return info.primitive
        case "tuple":
            return tuple(shape(md, each, below) for each in info.items)
        case "array":
            return info.length, shape(md, info.item, below)
        case _:
            return info.kind, shape(md, info.item, below)


def assert_tables_agree(own, real, pallets):
    """Compare each item of the pallets with the real one of the same name."""
    for name in pallets:
        mine, theirs = own.pallets[name], real.pallets[name]
        assert mine.index == theirs.index
        for item, entry in mine.storage.items():
            other = theirs.storage[item]
            where = f"{name}.{item}"
            assert entry.modifier == other.modifier, where
            assert entry.hashers == other.hashers, where
            assert [shape(own, each) for each in entry.keys] == [
                shape(real, each) for each in other.keys
            ], where
            assert shape(own, entry.value) == shape(real, other.value), where
            assert entry.default == other.default, where
        for kind in ("calls", "events", "errors"):
            if getattr(mine, kind) is None:
                continue
            others = real.variants(getattr(theirs, kind))
            for variant in own.variants(getattr(mine, kind)).values():
                other = others[variant.name]
                where = f"{name}.{variant.name}"
                assert variant.index == other.index, where
                assert [
                    (each.name, each.type_name, shape(own, each.type_id)) for each in variant.fields
                ] == [
                    (each.name, each.type_name, shape(real, each.type_id)) for each in other.fields
                ], where
        for constant, found in mine.constants.items():
            other = theirs.constants[constant]
            assert shape(own, found.type_id) == shape(real, other.type_id), constant


def test_the_parachain_agrees_with_the_real_one(data_dir):
    own = Metadata.decode(ParaRuntime(ParaSettings()).metadata)
    real = Metadata.decode((data_dir / "metadata/rhala_1241_v14.scale").read_bytes())
    assert_tables_agree(own, real, own.pallets)
    assert [
        (each.identifier, shape(own, each.extra), shape(own, each.additional))
        for each in own.signed_extensions
    ] == [
        (each.identifier, shape(real, each.extra), shape(real, each.additional))
        for each in real.signed_extensions
    ]


def test_the_relay_chain_agrees_with_the_real_one(data_dir):
    own = Metadata.decode(RelayRuntime(RelaySettings((bytes(32),), set_size=1)).metadata)
    real = Metadata.decode((data_dir / "metadata/kusama_v14.scale").read_bytes())
    assert_tables_agree(own, real, own.pallets.keys() - _OF_PHALAS_FRAME)
    for name in _OF_PHALAS_FRAME:
        assert own.pallets[name].index == real.pallets[name].index


def test_defaults_decode(runtime):
    md = runtime.md
    md.prepare()
    for pallet in md.pallets.values():
        for item, entry in pallet.storage.items():
            value = md.decode_storage(pallet.name, item, None)
            if entry.modifier == "Default":
                assert md.encode_storage(pallet.name, item, value) == entry.default
        for name, constant in pallet.constants.items():
            value = md.constant(pallet.name, name)
            assert md.encode(constant.type_id, value) == constant.value


def test_the_version_is_stated_in_the_metadata(runtime):
    stated = runtime.md.constant("System", "Version")
    json = runtime.version.as_json()
    assert stated["spec_version"] == json["specVersion"] == runtime.version.spec_version
    assert stated["spec_name"] == json["specName"]
    assert [["0x" + id_.hex(), version] for id_, version in stated["apis"]] == json["apis"]


def test_errors_have_docs(runtime):
    md = runtime.md
    for pallet in md.pallets.values():
        for error in md.variants(pallet.errors).values():
            _, name, docs = md.error(pallet.index, error.index)
            assert docs or name.startswith("_"), f"{pallet.name}.{name}"


def test_scalecodec_reads_it(runtime):
    config = RuntimeConfigurationObject(ss58_format=30)
    config.update_type_registry(load_type_registry_preset("core"))
    data = ScaleBytes(runtime.metadata)
    md = config.create_scale_object("MetadataVersioned", data)
    md.decode()
    assert data.get_remaining_length() == 0
    config.add_portable_registry(md)
    assert [pallet.value["name"] for pallet in md.pallets] == list(runtime.md.pallets)
    call = config.create_scale_object("Call", metadata=md)
    call.encode(
        {"call_module": "System", "call_function": "remark", "call_args": {"remark": "0x1234"}}
    )
    assert call.data.data == runtime.md.call("System", "remark", remark=b"\x12\x34")
    for pallet in md.pallets:
        for item in pallet.storage or []:
            config.create_scale_object(item.get_value_type_string())
    info = md.get_metadata_pallet("System").get_storage_function("Account")
    decoded = config.create_scale_object(info.get_value_type_string())
    assert decoded.decode(ScaleBytes(bytes(80)))["nonce"] == 0


# ------------------------------------------------------------------------------------- the builder


BOOK = """
    struct crate::AccountId32([u8; 32])
    enum crate::MultiAddress { Id(AccountId32) }
    enum crate::MultiSignature { Sr25519([u8; 64]) }
    struct crate::Tree <T: u32> { value: T, leaves: Vec<Tree> }   # holds itself
    struct crate::other::Tree as OtherTree(~bool)
    alias Leaf = Option<(u8, compact u16)>
"""


def made(storage, events="Happened(tree: Tree, leaf: Leaf)", book=BOOK):
    pallet = Pallet(
        "One",
        9,
        "crate::pallet",
        storage=storage,
        calls="3 go(to: Box<Tree>)  # Goes.\nagain",
        events=events,
    )
    return Metadata.decode(
        build("some_runtime", TypeBook(book), [pallet], [Extension("CheckEra", "Era", "()")])
    )


def test_tables_become_metadata():
    md = made("Item: Default Twox64Concat, Identity (u8, Leaf) => OtherTree = 0x01  # An item.")
    calls = md.variants(md.pallets["One"].calls)
    assert {name: each.index for name, each in calls.items()} == {"go": 3, "again": 4}
    assert calls["go"].docs == ("Goes.",)
    assert [each.type_name for each in calls["go"].fields] == ["Box<Tree>"]
    tree = md.type_info("crate::Tree")
    assert tree.params == (("T", tree.fields[0].type_id),)
    assert md.encode("crate::Tree", {"value": 1, "leaves": []}) == b"\1\0\0\0\0"
    assert md.decode_storage("One", "Item", None) is True
    assert md.storage_item("One", "Item").hashers == ("Twox64Concat", "Identity")
    assert md.storage_item("One", "Item").docs == ("An item.",)
    assert md.call("One", "go", to={"value": 2, "leaves": []})[:2] == b"\x09\x03"
    assert md.type_info("sp_runtime::generic::era::Era").variants[255].name == "Mortal255"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"storage": "Item: Default Nothing"}, "no type is called 'Nothing'"),
        ({"storage": "Item Default u8"}, "no storage item"),
        ({"storage": "Item: Default Vec<u8"}, "not closed"),
        ({"storage": "", "events": "9 9 Twice"}, "no variant"),
        ({"storage": "", "book": BOOK + "struct x::Tree(u8)"}, "defined twice"),
        ({"storage": "", "book": BOOK + "union x::Tree(u8)"}, "no definition"),
    ],
)
def test_tables_that_cannot_be_read(changed, message):
    with pytest.raises(ValueError, match=message):
        made(**changed)
