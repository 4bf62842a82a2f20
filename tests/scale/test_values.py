"""The shape of each kind of value, both ways, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from prbkit.errors import CodecError
from prbkit.scale import Metadata, Value
from tests.scale.building import Named, Types, compact


class Shapes:
    """One type of each kind."""

    def __init__(self) -> None:
        t = Types()
        self.bool, self.char, self.str = (t.primitive(n) for n in ("bool", "char", "str"))
        self.u8, self.u16, self.u32, self.u64 = (t.primitive(f"u{8 << n}") for n in range(4))
        self.u128, self.u256 = t.primitive("u128"), t.primitive("u256")
        self.i8, self.i64, self.i128, self.i256 = (t.primitive(f"i{n}") for n in (8, 64, 128, 256))
        self.unit = t.tuple()
        self.bytes = t.sequence(self.u8)
        self.hash = t.struct((None, t.array(self.u8, 32)), path="primitive_types::H256")
        self.list = t.sequence(self.u16)
        self.array = t.array(self.u16, 3)
        self.units = t.sequence(self.unit)
        self.empty = t.struct(path="Empty")
        self.wrapper = t.struct((None, self.u32))
        self.named_wrapper = t.struct(("value", self.u64))
        self.pair = t.struct((None, self.u8), (None, self.bool))
        self.named = t.struct(("a", self.u8), ("b", self.bytes))
        self.one_tuple = t.tuple(self.u8)
        self.two_tuple = t.tuple(self.u8, self.str)
        self.map = t.struct((None, t.sequence(t.tuple(self.u8, self.bool))), path="BTreeMap")
        self.set = t.struct((None, self.list), path="BTreeSet")
        variants: dict[str, tuple[int, list[Named]]] = {
            "Nothing": (0, []),
            "One": (3, [(None, self.u8)]),
            "Two": (4, [(None, self.u8), (None, self.u8)]),
            "Named": (255, [("x", self.u8)]),
            "Unit": (5, [(None, self.unit)]),
        }
        self.enum = t.enum("Thing", **variants)
        self.option = t.option(self.u8)
        self.option_unit = t.option(self.unit)
        self.option_option = t.option(self.option)
        self.option_wrapped = t.option(t.struct((None, self.option)))
        self.option_named = t.option(t.struct(("x", self.option)))
        self.thrice = t.option(self.option_option)
        self.compact_u8, self.compact_u16 = t.compact(self.u8), t.compact(self.u16)
        self.compact_u32, self.compact_u64 = t.compact(self.u32), t.compact(self.u64)
        self.compact_u128 = t.compact(self.u128)
        self.compact_wrapper = t.compact(self.named_wrapper)
        self.compact_unit = t.compact(self.unit)
        lsb, msb = t.struct(path="bitvec::order::Lsb0"), t.struct(path="bitvec::order::Msb0")
        self.bits, self.bits_msb = t.bits(self.u8, lsb), t.bits(self.u8, msb)
        self.bits_wide, self.bits_wide_msb = t.bits(self.u32, lsb), t.bits(self.u16, msb)
        self.tree = t.struct(("kids", t.next + 1), path="Tree")
        t.sequence(self.tree)
        self.chain = t.enum("Chain", End=(0, []), More=(1, [(None, t.next)]))
        self.md = t.metadata()


SHAPES = Shapes()

GOOD: list[tuple[str, Value, str]] = [
    ("bool", True, "01"),
    ("bool", False, "00"),
    ("char", "ß", "df000000"),
    ("str", "", "00"),
    ("str", "Füße", "1846c3bcc39f65"),
    ("u8", 255, "ff"),
    ("u16", 258, "0201"),
    ("u32", 1, "01000000"),
    ("u64", (1 << 64) - 1, "ff" * 8),
    ("u128", 1, "01" + "00" * 15),
    ("u128", 1 << 127, "00" * 15 + "80"),
    ("u256", (1 << 256) - 1, "ff" * 32),
    ("i8", -1, "ff"),
    ("i64", -(1 << 63), "00" * 7 + "80"),
    ("i128", -2, "fe" + "ff" * 15),
    ("i256", -1, "ff" * 32),
    ("unit", (), ""),
    ("bytes", b"", "00"),
    ("bytes", b"\1\2", "080102"),
    ("hash", bytes(range(32)), bytes(range(32)).hex()),
    ("list", [1, 2], "0801000200"),
    ("array", [1, 2, 3], "010002000300"),
    ("units", [(), ()], "08"),
    ("empty", (), ""),
    ("wrapper", 7, "07000000"),
    ("named_wrapper", {"value": 7}, "0700000000000000"),
    ("pair", (1, True), "0101"),
    ("named", {"a": 1, "b": b"\2"}, "010402"),
    ("one_tuple", (9,), "09"),
    ("two_tuple", (9, "a"), "090461"),
    ("map", [(1, True), (2, False)], "0801010200"),
    ("set", [1], "040100"),
    ("enum", "Nothing", "00"),
    ("enum", {"One": 8}, "0308"),
    ("enum", {"Two": (8, 9)}, "040809"),
    ("enum", {"Named": {"x": 1}}, "ff01"),
    ("enum", {"Unit": ()}, "05"),
    ("option", None, "00"),
    ("option", 0, "0100"),
    ("option_unit", None, "00"),
    ("option_unit", (), "01"),
    ("option_option", None, "00"),
    ("option_option", {"Some": None}, "0100"),
    ("option_option", {"Some": 5}, "010105"),
    ("option_wrapped", None, "00"),
    ("option_wrapped", {"Some": None}, "0100"),
    ("option_wrapped", {"Some": 5}, "010105"),
    ("option_named", {"x": None}, "0100"),
    ("thrice", {"Some": {"Some": None}}, "010100"),
    ("thrice", {"Some": None}, "0100"),
    ("compact_u8", 63, "fc"),
    ("compact_u8", 64, "0101"),
    ("compact_u16", 16384, "02000100"),
    ("compact_u32", (1 << 30) - 1, "feffffff"),
    ("compact_u32", 1 << 30, "0300000040"),
    ("compact_u64", (1 << 64) - 1, "13" + "ff" * 8),
    ("compact_u128", 1 << 64, "17" + "00" * 8 + "01"),
    ("compact_u128", (1 << 128) - 1, "33" + "ff" * 16),
    ("compact_wrapper", 1, "04"),
    ("compact_unit", (), ""),
    ("bits", [], "00"),
    ("bits", [True, False, True], "0c05"),
    ("bits", [True] + [False] * 7 + [True], "240101"),
    ("bits_msb", [True, False, True], "0ca0"),
    ("bits_wide", [False] * 8 + [True], "2400010000"),
    ("bits_wide_msb", [True] + [False] * 15 + [True], "4400800080"),
    ("tree", {"kids": []}, "00"),
    ("tree", {"kids": [{"kids": []}, {"kids": [{"kids": []}]}]}, "08000400"),
    ("chain", {"More": {"More": "End"}}, "010100"),
]


@pytest.mark.parametrize(("kind", "value", "raw"), GOOD)
def test_shapes_are_the_same_both_ways(kind: str, value: Value, raw: str) -> None:
    md, type_id, data = SHAPES.md, getattr(SHAPES, kind), bytes.fromhex(raw)
    assert md.encode(type_id, value) == data
    decoded = md.decode(type_id, data)
    assert decoded == value
    assert type(decoded) is type(value)
    assert md.skip(type_id, b"\7" + data + b"\7", 1) == len(data) + 1
    assert md.decode_at(type_id, b"\7" + data + b"\7", 1) == (value, len(data) + 1)
    assert md.decode(type_id, data + b"\7", trailing=True) == value
    with pytest.raises(CodecError, match="1 bytes too many after the value"):
        md.decode(type_id, data + b"\7")


BAD_BYTES: list[tuple[str, str, str]] = [
    ("bool", "02", "bool is 2"),
    ("bool", "", "1 bytes wanted, 0 left"),
    ("char", "00d80000", "char is 0xd800"),
    ("char", "00001100", "char is 0x110000"),
    ("str", "04ff", "text is not UTF-8"),
    ("str", "0cedA080", "text is not UTF-8"),
    ("str", "08c3", "2 items of at least 1 bytes claimed, 1 bytes left"),
    ("u32", "010000", "4 bytes wanted, 3 left"),
    ("bytes", "feffffff", "claimed, 0 bytes left"),
    ("bytes", "03ffffffff" + "00" * 9, "4294967295 items"),
    ("bytes", "13" + "ff" * 8, "length does not fit 32 bits"),
    ("bytes", "fd", "2 bytes wanted, 1 left"),
    ("list", "0c00000000", "3 items of at least 2 bytes claimed, 4 bytes left"),
    ("units", "feffffff", "more than 65536 zero-sized items"),
    ("array", "0100", "6 bytes wanted, 2 left"),
    ("enum", "01", "no variant has index 1 at"),
    ("enum", "0400", "bytes wanted, [01] left at \\$.Two"),
    ("named", "01080a", "claimed, 1 bytes left at \\$.b, byte 1"),
    ("option", "02", "option is 2"),
    ("option_option", "0102", "option is 2 at \\$.Some, byte 1"),
    ("compact_u8", "0104", "does not fit 8 bits"),
    ("compact_u16", "02000400", "does not fit 16 bits"),
    ("compact_u32", "070000000001", "does not fit 32 bits"),
    ("compact_u64", "170000000000000000" + "01", "does not fit 64 bits"),
    ("compact_u128", "37" + "ff" * 17, "compact of 17 bytes"),
    ("compact_u128", "ff" + "ff" * 67, "compact of 67 bytes"),
    ("compact_u32", "0100", "not in its shortest form"),
    ("compact_u32", "fd00", "not in its shortest form"),
    ("compact_u32", "02000000", "not in its shortest form"),
    ("compact_u32", "fefd0000".replace("fefd", "feff"), "not in its shortest form"),
    ("compact_u32", "03ffffff3f", "not in its shortest form"),
    ("compact_u64", "07ffffffff00", "not in its shortest form"),
    ("compact_u128", "33" + "ff" * 15 + "00", "not in its shortest form"),
    ("bits", "2401", "2 bytes wanted, 1 left"),
    ("bits", "13" + "ff" * 8, "length does not fit 32 bits"),
    ("bits", "03ffffffff", "bytes wanted, 0 left"),
    ("tree", "0408000c", "claimed, 0 bytes left at \\$.kids\\[0\\].kids\\[1\\].kids"),
]


@pytest.mark.parametrize(("kind", "raw", "message"), BAD_BYTES)
def test_bad_bytes_are_refused_with_their_place(kind: str, raw: str, message: str) -> None:
    type_id = getattr(SHAPES, kind)
    for read in (SHAPES.md.decode, SHAPES.md.skip):
        with pytest.raises(CodecError, match=message):
            read(type_id, bytes.fromhex(raw))


WRONG: list[tuple[str, Any, str]] = [
    ("bool", 1, r"expected a bool, got int 1 at \$"),
    ("char", "ab", "expected a str of one character"),
    ("char", "\ud800", "expected a str of one character"),
    ("str", b"a", "expected a str, got bytes of 1"),
    ("str", "\ud800", "without lone surrogates"),
    ("u8", 256, "expected an int of 8 bits, got int 256"),
    ("u8", -1, "expected an int of 8 bits, not negative, got int -1"),
    ("u8", True, "expected an int of 8 bits, got True"),
    ("u8", None, "got None"),
    ("u8", 1.0, "got float"),
    ("u64", 1 << 64, "int of 64 bits"),
    ("u64", 1 << 20000, "got int of 20001 bits"),
    ("u128", 1 << 128, "unsigned int of 128 bits"),
    ("u128", "1", "unsigned int of 128 bits, got str '1'"),
    ("u256", -1, "unsigned int of 256 bits"),
    ("i8", 128, "signed int of 8 bits"),
    ("unit", None, "expected \\(\\), got None"),
    ("unit", (1,), "expected \\(\\), got tuple of 1"),
    ("bytes", "00", "expected bytes, got str '00'"),
    ("bytes", [1], "expected bytes, got list of 1 items"),
    ("hash", bytes(31), "expected 32 bytes, got bytes of 31"),
    ("hash", "0x00", "expected 32 bytes"),
    ("list", b"ab", "expected a list, got bytes of 2"),
    ("list", [1, 2, "x"], r"got str 'x' at \$\[2\]"),
    ("array", [1, 2], "expected a list of 3, got list of 2"),
    ("pair", (1,), "expected a tuple of 2"),
    ("pair", (1, 2), r"expected a bool, got int 2 at \$\[1\]"),
    ("named", {"a": 1}, r"nothing given at \$\.b"),
    ("named", {"a": 1, "b": b"", "c": 1}, r"unknown field c at \$"),
    ("named", (1, b""), "expected a dict of a, b, got tuple"),
    ("named", {"a": 1, "b": 2}, r"expected bytes, got int 2 at \$\.b"),
    ("enum", "Neither", "expected one of Nothing, One, Two, Named, Unit, got str 'Neither'"),
    ("enum", "One", "expected fields for 'One'"),
    ("enum", {"Nothing": 1}, "'Nothing' without fields"),
    ("enum", {"One": 1, "Two": (1, 2)}, "expected a variant"),
    ("enum", {3: 1}, "got int 3"),
    ("enum", {"Named": {"x": "y"}}, r"got str 'y' at \$\.Named\.x"),
    ("enum", {"Two": (1, 2, 3)}, r"expected a tuple of 2, got tuple of 3 items at \$\.Two"),
    ("option_option", 5, "expected None or {'Some': …}"),
    ("option_option", {"Some": "x"}, r"at \$\.Some"),
    ("compact_u8", 256, "int of 8 bits, not negative"),
    ("compact_u128", -1, "not negative"),
    ("compact_u128", 1 << 128, "int of 128 bits"),
    ("compact_wrapper", {"value": 1}, "expected an int"),
    ("bits", [1], "expected a bool as bit 0, got int 1"),
    ("bits", "101", "expected a list of bool"),
    ("units", [()] * 65537, "at most 65536"),
    ("map", {1: True}, "expected a list, got dict"),
    ("tree", {"kids": [{"kids": [{}]}]}, r"nothing given at \$\.kids\[0\]\.kids\[0\]\.kids"),
]


@pytest.mark.parametrize(
    ("kind", "value", "message"), WRONG, ids=[f"{kind}-{n}" for n, (kind, _, _) in enumerate(WRONG)]
)
def test_a_wrong_value_is_refused_with_its_place(kind: str, value: Any, message: str) -> None:
    with pytest.raises(CodecError, match=message):
        SHAPES.md.encode(getattr(SHAPES, kind), value)


def test_close_shapes_are_taken_too() -> None:
    md = SHAPES.md
    assert md.encode(SHAPES.bytes, bytearray(b"a")) == md.encode(SHAPES.bytes, memoryview(b"a"))
    assert md.encode(SHAPES.list, (1, 2)) == md.encode(SHAPES.list, [1, 2])
    assert md.encode(SHAPES.pair, [1, True]) == md.encode(SHAPES.pair, (1, True))
    assert md.encode(SHAPES.enum, {"Nothing": {}}) == md.encode(SHAPES.enum, {"Nothing": ()})


@pytest.mark.parametrize("data", ["00", None, 1, [1]])
def test_only_bytes_are_decoded(data: Any) -> None:
    with pytest.raises(CodecError, match="expected bytes"):
        SHAPES.md.decode(SHAPES.u8, data)


@pytest.mark.parametrize("offset", [-1, 3, 1 << 70])
def test_an_offset_outside_is_refused(offset: int) -> None:
    for read in (SHAPES.md.decode_at, SHAPES.md.skip):
        with pytest.raises(CodecError, match="lies outside of 2 bytes"):
            read(SHAPES.u8, b"\0\0", offset)


def test_nesting_has_a_limit_both_ways() -> None:
    md = SHAPES.md
    deep = b"\4" * 250 + b"\0"
    value = md.decode(SHAPES.tree, deep)
    assert md.encode(SHAPES.tree, value) == deep
    for count in (600, 1_000_000):
        for read in (md.decode, md.skip):
            with pytest.raises(CodecError, match="nest deeper than 512 levels") as caught:
                read(SHAPES.tree, b"\4" * count + b"\0")
            assert len(str(caught.value)) < 1000
        with pytest.raises(CodecError, match="nest deeper"):
            md.decode(SHAPES.chain, b"\1" * count + b"\0")
    endless: dict[str, list[Any]] = {"kids": []}
    endless["kids"].append(endless)
    with pytest.raises(CodecError, match="nest deeper than 512 levels"):
        md.encode(SHAPES.tree, endless)


def test_nested_lengths_cannot_each_claim_all_that_is_left() -> None:
    """A list within a list within … may say that it holds each of the bytes that remain."""
    data = bytes(compact(1 << 20) * 400) + bytes(1 << 20)
    with pytest.raises(CodecError):
        SHAPES.md.decode(SHAPES.tree, data)


def test_zero_sized_items_are_counted_over_the_whole_value() -> None:
    t = Types()
    nothing = t.struct(("a", t.tuple()), ("b", t.struct()))
    lists = t.sequence(t.sequence(nothing))
    huge = t.array(nothing, 0xFFFFFFFF)
    row = nothing
    for _ in range(40):
        row = t.struct(("a", row), ("b", row))
    md = t.metadata()
    fits = compact(2) + compact(100) + compact(200)
    assert len(md.decode(lists, fits)[1]) == 200
    assert md.encode(lists, md.decode(lists, fits)) == fits
    for type_id, data in (
        (lists, compact(1000) + compact(60_000) * 1000),
        (huge, b""),
        (row, b""),
    ):
        with pytest.raises(CodecError, match="zero-sized"):
            md.decode(type_id, data)


def endless_struct(t: Types) -> int:
    return t.struct(("a", t.next))


def endless_wrapper(t: Types) -> int:
    return t.struct((None, t.next))


def endless_tuple(t: Types) -> int:
    return t.tuple(t.next, t.next)


def endless_array(t: Types) -> int:
    return t.array(t.next, 2)


def endless_compact(t: Types) -> int:
    return t.compact(t.struct(("a", t.next)))


def endless_ring(t: Types) -> int:
    t.struct(("a", t.next + 1))
    return t.tuple(t.next - 1)


def dangling(t: Types) -> int:
    return t.sequence(999)


def compact_text(t: Types) -> int:
    return t.compact(t.primitive("str"))


def same_index(t: Types) -> int:
    return t.enum("", A=(1, []), B=(1, []))


def same_field(t: Types) -> int:
    return t.struct(("a", t.primitive("u8")), ("a", t.next - 1))


def half_named(t: Types) -> int:
    return t.struct(("a", t.primitive("u8")), (None, t.next - 1))


def odd_bits(t: Types) -> int:
    return t.bits(t.primitive("u128"), t.struct(path="Lsb0"))


def odd_order(t: Types) -> int:
    return t.bits(t.primitive("u8"), t.struct(path="Big"))


def deep_types(t: Types) -> int:
    part = t.primitive("u8")
    for _ in range(20_000):
        part = t.struct(("a", part))
    return part


def deep_wrappers(t: Types) -> int:
    part = t.primitive("u8")
    for _ in range(20_000):
        part = t.struct((None, part))
    return part


@pytest.mark.parametrize(
    "make",
    [
        endless_struct, endless_wrapper, endless_tuple, endless_array, endless_compact,
        endless_ring, dangling, compact_text, same_index, same_field, half_named, odd_bits,
        odd_order, deep_types, deep_wrappers,
    ],
)  # fmt: skip
def test_types_that_make_no_sense_are_refused(make: Any) -> None:
    t = Types()
    type_id = make(t)
    fine = t.primitive("u8")
    md: Metadata = t.metadata()
    for _ in range(2):
        with pytest.raises(CodecError):
            md.decode(type_id, bytes(100))
        with pytest.raises(CodecError):
            md.encode(type_id, 0)
    assert md.decode(fine, b"\1") == 1
    with pytest.raises(CodecError):
        md.prepare()


def test_an_enum_without_variants_has_no_value() -> None:
    t = Types()
    void = t.enum("Void")
    md = t.metadata()
    with pytest.raises(CodecError, match="no variant has index 0"):
        md.decode(void, b"\0")
    with pytest.raises(CodecError):
        md.encode(void, "Any")


def test_huge_arrays_claim_nothing() -> None:
    t = Types()
    u8 = t.primitive("u8")
    part = t.array(u8, 0xFFFFFFFF)
    for _ in range(5):
        part = t.array(part, 0xFFFFFFFF)
    md = t.metadata()
    for read in (md.decode, md.skip):
        with pytest.raises(CodecError, match="bytes wanted, 100 left"):
            read(part, bytes(100))
