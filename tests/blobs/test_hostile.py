"""Whatever a node or a worker sends: a value that encodes back to it, or a CodecError."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prbkit import blobs
from prbkit.errors import CodecError
from tests.hostile import CLAIMS, changed, little_memory, settle

from .model import Chain

BOTH: list[tuple[Callable[..., Any], Callable[..., bytes], bool]] = [
    (blobs.decode_sync_header_req, blobs.sync_header_req, True),
    (blobs.decode_sync_para_header_req, blobs.sync_para_header_req, True),
    (blobs.decode_sync_combined_headers_req, blobs.sync_combined_headers_req, True),
    (blobs.decode_dispatch_block_req, blobs.dispatch_block_req, False),
    (blobs.decode_genesis_info, blobs.genesis_info, True),
    (blobs.decode_storage_state, blobs.storage_state, False),
    (blobs.decode_authority_set_change, blobs.authority_set_change, True),
    (blobs.decode_headers, blobs.encode_headers, False),
    (blobs.decode_headers_to_sync, blobs.headers_to_sync, False),
    (blobs.decode_proof, blobs.encode_proof, False),
    (blobs.decode_egress, blobs.encode_egress, False),
    (blobs.decode_origin, blobs.encode_origin, False),
    (blobs.decode_signed_message, blobs.encode_signed_message, False),
    (blobs.decode_storage_changes, blobs.encode_storage_changes, True),
    (blobs.WorkerRegistrationInfo.decode, blobs.WorkerRegistrationInfo.encode, False),
    (blobs.decode_attestation, blobs.encode_attestation, False),
    (blobs.decode_attestation_report, blobs.encode_attestation_report, False),
]

CHAIN = Chain.make(0, [(2, 1, True), (3, 2, False)])
ATTESTATION = blobs.SgxIas(b"report", b"signature", b"certificate")
COLLATERAL = blobs.DcapCollateral(("a", "b", "c", "d", "e", "f", "g"), (b"1", b"2"))
INFO = blobs.WorkerRegistrationInfo(
    1, bytes(16), b"\1" * 32, b"\2" * 32, b"\3" * 32, (4, 1), b"\4" * 32, 2004, 2
)
SAMPLES = [
    blobs.headers_to_sync([(CHAIN.relay[1], None), (CHAIN.relay[2], b"justification")]),
    blobs.sync_combined_headers_req(
        [(CHAIN.relay[1], b"j")], ([(b"k" * 32, 1)], 2, [b"node"]), CHAIN.para[:2], [b"n"]
    ),
    blobs.dispatch_block_req([(CHAIN.para[1], CHAIN.changes[1])]),
    blobs.genesis_info(CHAIN.relay[0], [(b"k" * 32, 1)], 1, [b"node"]),
    blobs.encode_storage_changes([(b"k", None), (b"l", b"v")], [(b"child", [(b"a", b"b")])]),
    blobs.encode_egress(
        [
            (
                {"Worker": b"w" * 32},
                [
                    {
                        "message": {
                            "sender": {"Pallet": b"p"},
                            "destination": b"^x",
                            "payload": b"1",
                        },
                        "sequence": 5,
                        "signature": b"s" * 64,
                    }
                ],
            ),
            ("Gatekeeper", []),
        ]
    ),
    INFO.encode(),
    blobs.encode_attestation(ATTESTATION),
    blobs.encode_attestation_report(ATTESTATION),
    blobs.encode_attestation_report(blobs.SgxDcap(b"quote", COLLATERAL)),
]


def both_ways(data: bytes) -> None:
    for decode, encode, spread in BOTH:
        try:
            value = decode(data)
        except CodecError:
            continue
        assert (encode(*value) if spread else encode(value)) == data, decode


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    both_ways(data)


@settings(max_examples=300)
@given(st.sampled_from(SAMPLES), st.integers(0, 10**6), st.binary(max_size=4), st.booleans())
def test_samples_with_bytes_changed(sample: bytes, at: int, with_: bytes, cut: bool) -> None:
    at %= len(sample)
    both_ways(sample[:at] + with_ + (b"" if cut else sample[at + len(with_) :]))


@pytest.mark.parametrize(
    "length", [b"\xfe\xff\xff\xff", b"\3\xff\xff\xff\xff", b"\x13" + b"\xff" * 8]
)
def test_a_length_that_is_not_there_allocates_nothing(length: bytes) -> None:
    for decode, _, _ in BOTH:
        for data in (length, bytes(16) + length, length + bytes(100)):
            with contextlib.suppress(CodecError):
                decode(data)


def test_lengths_in_a_longer_form_than_needed_are_refused() -> None:
    for data in (b"\1\0", b"\2\0\0\0", b"\3\0\0\0\0"):
        with pytest.raises(CodecError, match="shortest form"):
            blobs.decode_proof(data)


def test_registration_info_of_both_versions() -> None:
    v1 = INFO.encode()[:-8]
    decoded = blobs.WorkerRegistrationInfo.decode(v1)
    assert decoded.para_id is None
    assert decoded.encode() == v1
    assert blobs.WorkerRegistrationInfo.decode(INFO.encode()) == INFO


def test_attestation_reports() -> None:
    for report in (None, ATTESTATION, blobs.SgxDcap(b"q"), blobs.SgxDcap(b"q", COLLATERAL)):
        encoded = blobs.encode_attestation_report(report)
        assert blobs.decode_attestation_report(encoded) == report


@pytest.mark.parametrize(
    "origin", ["Worker", "Nobody", {"Worker": b"short"}, {"Gatekeeper": b""}, {}, {"A": b""}]
)
def test_origins_that_are_none(origin: Any) -> None:
    with pytest.raises(CodecError):
        blobs.encode_origin(origin)


# --- JSON ----------------------------------------------------------------------------------------

HASH = "0x" + "ab" * 32
HEADER: dict[str, Any] = {
    "parentHash": HASH,
    "number": "0x1f",
    "stateRoot": HASH,
    "extrinsicsRoot": HASH,
    "digest": {"logs": ["0x08"]},
}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=4).map(lambda b: "0x" + b.hex()),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


def test_a_header_as_text_or_object_with_its_number_as_hex_or_not() -> None:
    scale = blobs.header_from_json(HEADER)
    assert blobs.header_from_json(json.dumps(HEADER)) == scale
    assert blobs.header_from_json(json.dumps(HEADER).encode()) == scale
    assert blobs.header_from_json(HEADER | {"number": 31}) == scale
    upper = HEADER | {"stateRoot": "0x" + "AB" * 32}
    assert blobs.header_from_json(upper) == scale


@pytest.mark.parametrize(
    ("member", "value", "says"),
    [
        ("parentHash", HASH[:-2], "31 bytes, not 32"),
        ("parentHash", HASH[2:], "begins with 0x"),
        ("stateRoot", "0x" + "zz" * 32, "hex digits"),
        ("stateRoot", "0x" + "é" * 32, "hex"),
        ("extrinsicsRoot", None, "NoneType"),
        ("number", "0x100000000", "over 32 bits"),
        ("number", -1, "over 32 bits"),
        ("number", 1.5, "neither"),
        ("number", True, "neither"),
        ("number", "31", "neither"),
        ("number", "0x_1", "neither"),
        ("number", "0xg", "not hex"),
        ("digest", [], "no JSON object"),
        ("digest", {}, "no logs"),
        ("digest", {"logs": ["0x"]}, "digest item"),
        ("digest", {"logs": ["0x0800"]}, "left over"),
        ("digest", {"logs": ["0x07"]}, "index 7"),
        ("digest", {"logs": ["0x0446524e4b"]}, "cut off"),
    ],
)
def test_wrong_headers_are_refused_by_name(member: str, value: Any, says: str) -> None:
    with pytest.raises(CodecError, match=says):
        blobs.header_from_json(HEADER | {member: value})
    without = {k: v for k, v in HEADER.items() if k != member}
    with pytest.raises(CodecError, match=member):
        blobs.header_from_json(without)


def test_storage_changes_in_both_forms() -> None:
    given_ = {
        "mainStorageChanges": [["0x01", None], ["0x", "0xff"]],
        "childStorageChanges": [["0x6b", [["0x02", "0x"]]]],
    }
    scale = blobs.storage_changes_from_json(given_)
    main, children = blobs.decode_storage_changes(scale)
    assert main == [(b"\1", None), (b"", b"\xff")]
    assert children == [(b"k", [(b"\2", b"")])]
    for same in (json.dumps(given_), "0x" + scale.hex(), json.dumps("0x" + scale.hex())):
        assert blobs.storage_changes_from_json(same) == scale
    for bad in ("0x" + scale.hex() + "00", "0x" + scale.hex()[:-2], "0x0", "{", "[]", "7", ""):
        with pytest.raises(CodecError):
            blobs.storage_changes_from_json(bad)


@settings(max_examples=200)
@given(JSON, st.sampled_from(["mainStorageChanges", "childStorageChanges"]))
def test_any_json(value: Any, member: str) -> None:
    empty: dict[str, Any] = {"mainStorageChanges": [], "childStorageChanges": []}
    for given_ in (value, empty | {member: value}, empty | {member: [value]}):
        with contextlib.suppress(CodecError):
            blobs.storage_changes_from_json(given_)
    for name in HEADER:
        with contextlib.suppress(CodecError):
            blobs.header_from_json(HEADER | {name: value})
    with contextlib.suppress(CodecError):
        blobs.header_from_json(value)


# --- structure-aware -----------------------------------------------------------------------------

DOCUMENTS = [
    *(segment.encode() for segment in CHAIN.segments),
    blobs.Genesis(2004, 17, b"info", b"state").encode(),
    CHAIN.index(len(CHAIN.segments), len(CHAIN.para)).slice(0, 0),
]
CHANGES = {"mainStorageChanges": [["0x01", None]], "childStorageChanges": [["0x6b", []]]}


@given(changed(SAMPLES))
def test_changed_samples(data: bytes) -> None:
    both_ways(data)


@pytest.mark.parametrize("sample", SAMPLES, ids=range(len(SAMPLES)))
def test_what_begins_a_sample_is_never_taken_for_it(sample: bytes) -> None:
    accepted = [decode for decode, _, _ in BOTH if settle(decode, sample, error=CodecError)]
    assert accepted
    for decode in accepted:
        if decode == blobs.WorkerRegistrationInfo.decode:
            continue  # version 1 begins version 2
        for end in range(len(sample)):
            with pytest.raises(CodecError):
                decode(sample[:end])


@given(changed(DOCUMENTS))
def test_changed_documents_are_read_or_refused(data: bytes) -> None:
    segment = settle(blobs.RelaySegment.decode, data, error=CodecError)
    if segment is not None:
        assert segment.encode() == data
        settle(segment.headers, error=CodecError)
        settle(segment.proof_nodes, error=CodecError)
        settle(segment.authority_set_change, error=CodecError)
    genesis = settle(blobs.Genesis.decode, data, error=CodecError)
    assert genesis is None or genesis.encode() == data
    settle(blobs.CommittedIndex.decode, data, error=CodecError)
    index = CHAIN.index(1, 1)
    before = index.slice(0, 0)
    if settle(index.extend, data, error=CodecError) is None:
        assert index.slice(0, 0) == before


@pytest.mark.parametrize("claim", CLAIMS)
def test_claimed_lengths_take_no_memory(claim: bytes) -> None:
    decoders = [decode for decode, _, _ in BOTH]
    decoders += [blobs.RelaySegment.decode, blobs.Genesis.decode, blobs.CommittedIndex.decode]
    with little_memory():
        for sample in [*SAMPLES, *DOCUMENTS]:
            for at in range(0, len(sample), 1 + len(sample) // 60):
                data = sample[:at] + claim + sample[at + 1 :]
                for decode in decoders:
                    settle(decode, data, error=CodecError)


@given(
    changed([json.dumps(HEADER).encode(), json.dumps(CHANGES).encode()])
    | st.text(st.characters(), max_size=30)
    | st.binary(max_size=30).map(lambda raw: "0x" + raw.hex())
)
def test_any_text_as_json(text: str | bytes) -> None:
    header = settle(blobs.header_from_json, text, error=CodecError)
    assert header is None or settle(blobs.check_header, header) is None
    changes = settle(blobs.storage_changes_from_json, text, error=CodecError)
    if changes is not None:
        assert blobs.encode_storage_changes(*blobs.decode_storage_changes(changes)) == changes


@pytest.mark.parametrize(
    "text", ["[" * 200_000, '{"a":' * 200_000, '"0x' + "0" * 10**6, "9" * 10**6]
)
def test_deep_or_long_json_is_refused(text: str) -> None:
    for read in (blobs.header_from_json, blobs.storage_changes_from_json):
        for given_ in (text, text.encode()):
            with pytest.raises(CodecError):
                read(given_)


@pytest.mark.parametrize(
    "bad", ["0x\ud800", "\ud800\ud800", "0x" + "\u0661" * 64, "0x" + "é" * 32], ids=range(4)
)
def test_text_that_is_no_hex_is_refused_wherever_it_stands(bad: str) -> None:
    for member in ("parentHash", "number", "stateRoot", "extrinsicsRoot"):
        with pytest.raises(CodecError):
            blobs.header_from_json(HEADER | {member: bad})
    with pytest.raises(CodecError):
        blobs.header_from_json(HEADER | {"digest": {"logs": [bad]}})
    for pair in ([bad, None], ["0x", bad]):
        with pytest.raises(CodecError):
            blobs.storage_changes_from_json(CHANGES | {"mainStorageChanges": [pair]})
    with pytest.raises(CodecError):
        blobs.storage_changes_from_json(bad)
    number = "0x\u0661"
    with pytest.raises(CodecError):
        blobs.header_from_json(HEADER | {"number": number})
