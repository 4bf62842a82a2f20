"""What C alone reads or joins is what the long way gives, or is left to the long way."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prbkit._native import core
from prbkit.blobs import encode_headers, header_from_json, headers_to_sync
from prbkit.errors import CodecError
from tests.blobs.data import load
from tests.blobs.model import Chain

HASH = "0x" + "5a" * 32
HEADER: dict[str, Any] = {
    "parentHash": HASH,
    "number": "0x1f",
    "stateRoot": HASH.upper().replace("0X", "0x"),
    "extrinsicsRoot": HASH,
    "digest": {"logs": ["0x08", "0x0446524e4b08abcd", "0x000c010203"]},
}
TEXT = orjson.dumps(HEADER)
CHAIN = Chain.make(0, [(2, 1, True), (3, 2, False)])


def agree(text: bytes) -> None:
    fast = core.header_from_text(text)
    if fast is not None:
        assert fast == core.header_from_json(orjson.loads(text))


def test_real_headers_take_the_fast_way(data_dir: Path) -> None:
    for entry in load(data_dir / "headers" / "sidecar_headers.json"):
        text = orjson.dumps(entry["header"])
        for form in (
            text,
            text.decode(),
            orjson.dumps(entry["header"], option=orjson.OPT_INDENT_2),
        ):
            scale = core.header_from_text(form)
            assert scale is not None
            assert "0x" + scale.hex() == entry["scale"]


@given(st.permutations(list(HEADER)))
def test_members_come_in_any_order(names: list[str]) -> None:
    text = orjson.dumps({name: HEADER[name] for name in names})
    assert core.header_from_text(text) == core.header_from_json(HEADER)


@pytest.mark.parametrize(
    "text",
    [
        TEXT + b"}",
        TEXT[:-1],
        TEXT[:-1] + b',"hash":"0x00"}',
        TEXT[:-1] + b',"number":"0x20"}',
        TEXT.replace(b'"0x1f"', b"31"),
        TEXT.replace(b'"0x1f"', b'"0x100000000"'),
        TEXT.replace(b"0x08", b"0x07"),
        TEXT.replace(b"0x08", b"0x0800"),
        TEXT.replace(b"0x08", b"0x"),
        TEXT.replace(b"parentHash", b"parentHas\\u0068"),
        TEXT.replace(b'["0x08",', b'["0x08",,'),
        TEXT.replace(b"5a5a", b"5g5a"),
        b"",
        b"{}",
        b"null",
    ],
)
def test_what_is_not_plain_is_left_to_the_parser(text: bytes) -> None:
    assert core.header_from_text(text) is None


def test_the_parser_takes_what_the_fast_way_leaves() -> None:
    scale = core.header_from_json(HEADER)
    assert header_from_json(TEXT.replace(b'"0x1f"', b"31")) == scale
    assert header_from_json(TEXT[:-1] + b',"hash":"0x00"}') == scale
    assert header_from_json(TEXT.replace(b"parentHash", b"parentHas\\u0068")) == scale
    with pytest.raises(CodecError, match="no JSON"):
        header_from_json(TEXT + b"}")


@settings(max_examples=500)
@given(st.data())
def test_a_changed_text_is_read_as_the_parser_reads_it(data: st.DataObject) -> None:
    text = bytearray(TEXT)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text) - 1))
        some = data.draw(st.sampled_from([b"", b" ", b"\n", b'"', b",", b"}", b"]", b"0", b"\xff"]))
        text[at : at + data.draw(st.integers(0, 2))] = some
    agree(bytes(text))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_as_the_parser_reads_them(text: bytes) -> None:
    agree(text)
    agree(b'{"parentHash":' + text)


PART = st.binary(max_size=40)


@given(
    st.lists(
        st.one_of(
            PART,
            st.lists(PART, max_size=5),
            st.tuples(PART, st.integers(0, 20), st.integers(0, 20)).filter(
                lambda part: part[1] <= part[2] <= len(part[0])
            ),
        ),
        max_size=20,
    )
)
def test_spliced_is_joined(parts: list[bytes | list[bytes] | tuple[bytes, int, int]]) -> None:
    flat = []
    for part in parts:
        match part:
            case tuple((whole, start, stop)):
                flat.append(whole[start:stop])
            case list():
                flat += part
            case _:
                flat.append(part)
    assert core.splice(parts) == b"".join(flat)


def test_much_is_spliced_too() -> None:
    rng = random.Random(1)
    parts = [rng.randbytes(rng.randrange(5000)) for _ in range(200)]
    views: list[Any] = [
        memoryview(part) if i % 3 else bytearray(part) for i, part in enumerate(parts)
    ]
    assert core.splice([*parts, views]) == b"".join(parts) * 2


@pytest.mark.parametrize(("start", "stop"), [(-1, 1), (2, 1), (0, 4), (4, 4)])
def test_a_part_outside_of_its_bytes_is_refused(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        core.splice([(b"abc", start, stop)])


def test_headers_to_sync_refuses_what_is_no_pair() -> None:
    assert headers_to_sync([]) == b"\0"
    with pytest.raises((TypeError, ValueError)):
        headers_to_sync([(b"a",)])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        headers_to_sync([("text", None)])  # type: ignore[list-item]


def test_a_vector_of_headers_is_checked() -> None:
    headers = CHAIN.para[1:4]
    vec = encode_headers(headers)
    core.check_headers(vec, 1, 3)
    for first, count in ((0, 3), (1, 2), (1, 4), (2, 3)):
        with pytest.raises(CodecError):
            core.check_headers(vec, first, count)
    for cut in range(len(vec)):
        with pytest.raises(CodecError):
            core.check_headers(vec[:cut], 1, 3)
    with pytest.raises(CodecError, match="left over"):
        core.check_headers(vec + b"\0", 1, 3)
