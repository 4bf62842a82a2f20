"""Every layout against the bytes that polkadot.js makes of it, and back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prbkit import blobs
from prbkit.blobs import layouts
from prbkit.errors import CodecError
from prbkit.light import Header
from prbkit.scale import Metadata

from .data import load, unhex


@pytest.fixture(scope="module")
def vectors(data_dir: Path) -> Any:
    return load(data_dir / "vectors" / "polkadotjs.json.gz")


def maybe(text: str | None) -> bytes | None:
    return None if text is None else unhex(text)


def relay(items: list[Any]) -> list[tuple[bytes, bytes | None]]:
    return [(blobs.header_from_json(i["header"]), maybe(i["justification"])) for i in items]


def nodes(proof: list[str]) -> list[bytes]:
    return [unhex(node) for node in proof]


def authorities(items: list[Any]) -> list[tuple[bytes, int]]:
    return [(unhex(public), weight) for public, weight in items]


def change(item: Any) -> Any:
    if item is None:
        return None
    found = item["authoritySet"]
    return authorities(found["list"]), found["id"], nodes(item["authorityProof"])


def shape(value: Any) -> Any:
    """Turn JSON with hex texts into the value shapes, as far as messages need it."""
    if isinstance(value, str):
        return unhex(value) if value.startswith("0x") else value
    if isinstance(value, list):
        return [shape(item) for item in value]
    if isinstance(value, dict):
        if value in ({"Gatekeeper": None}, {"Reserved": None}):
            return next(iter(value))
        return {name: shape(item) for name, item in value.items()}
    return value


COUNTS = {
    "headers": 60,
    "header_to_sync": 20,
    "genesis_info": 5,
    "storage_state": 5,
    "sync_combined_headers": 20,
    "sync_header": 6,
    "storage_changes": 20,
    "dispatch_block": 12,
    "egress_messages": 12,
}


def test_there_are_as_many_cases_as_known(vectors: Any) -> None:
    """The other sections are those of tests/scale/test_vectors.py."""
    elsewhere = {"calls", "storage_keys", "signing_payloads"}
    assert {name: len(cases) for name, cases in vectors.items() if name not in elsewhere} == COUNTS


DECODERS: dict[str, Callable[[bytes], Any]] = {
    "headers": blobs.check_header,
    "header_to_sync": lambda data: blobs.decode_headers_to_sync(b"\4" + data),
    "genesis_info": blobs.decode_genesis_info,
    "storage_state": blobs.decode_storage_state,
    "sync_combined_headers": blobs.decode_sync_combined_headers_req,
    "sync_header": blobs.decode_sync_header_req,
    "storage_changes": blobs.decode_storage_changes,
    "dispatch_block": blobs.decode_dispatch_block_req,
    "egress_messages": blobs.decode_egress,
}


@pytest.mark.parametrize("section", COUNTS)
def test_every_case_cut_off_or_lengthened_is_refused(vectors: Any, section: str) -> None:
    decode = DECODERS[section]
    for case in vectors[section]:
        scale = unhex(case["scale"])
        decode(scale)
        for end in range(0, len(scale), 1 + len(scale) // 500):
            with pytest.raises(CodecError):
                decode(scale[:end])
        with pytest.raises(CodecError):
            decode(scale + b"\0")


def test_headers(vectors: Any) -> None:
    for case in vectors["headers"]:
        scale = blobs.header_from_json(case["json"])
        assert scale == unhex(case["scale"])
        assert blobs.header_hash(scale) == unhex(case["blake2_256"])
        blobs.check_header(scale)
        header, given = Header.decode(scale), case["json"]
        assert header.parent_hash == unhex(given["parentHash"])
        assert header.number == int(str(given["number"]), 0)
        assert header.state_root == unhex(given["stateRoot"])
        assert header.extrinsics_root == unhex(given["extrinsicsRoot"])
        assert list(header.logs) == [unhex(log) for log in given["digest"]["logs"]]


def test_header_to_sync(vectors: Any) -> None:
    for case in vectors["header_to_sync"]:
        pair = relay([case])[0]
        assert blobs.header_to_sync(*pair) == unhex(case["scale"])
        assert layouts.decode_headers_to_sync(b"\4" + unhex(case["scale"])) == [pair]


def test_genesis_info(vectors: Any) -> None:
    for case in vectors["genesis_info"]:
        given = case["input"]
        header = blobs.header_from_json(given["header"])
        found = given["authoritySet"]
        args = (header, authorities(found["list"]), found["id"], nodes(given["proof"]))
        assert blobs.genesis_info(*args) == unhex(case["scale"])
        assert blobs.decode_genesis_info(unhex(case["scale"])) == args


def test_storage_state(vectors: Any) -> None:
    for case in vectors["storage_state"]:
        pairs = [(unhex(key), unhex(value)) for key, value in case["pairs"]]
        assert blobs.storage_state(pairs) == unhex(case["scale"])
        assert blobs.decode_storage_state(unhex(case["scale"])) == pairs


def test_sync_requests(vectors: Any) -> None:
    for case in vectors["sync_combined_headers"]:
        given, scale = case["input"], unhex(case["scale"])
        args = (
            relay(given["relaychainHeaders"]),
            change(given["authoritySetChange"]),
            [blobs.header_from_json(header) for header in given["parachainHeaders"]],
            nodes(given["proof"]),
        )
        assert blobs.sync_combined_headers_req(*args) == scale
        assert blobs.decode_sync_combined_headers_req(scale) == args
        alone = blobs.sync_para_header_req(args[2], args[3])
        assert scale.endswith(alone)
        assert blobs.decode_sync_para_header_req(alone) == (args[2], args[3])
    for case in vectors["sync_header"]:
        given, scale = case["input"], unhex(case["scale"])
        both = (relay(given["headers"]), change(given["authoritySetChange"]))
        assert blobs.sync_header_req(*both) == scale
        assert blobs.decode_sync_header_req(scale) == both


def test_storage_changes(vectors: Any) -> None:
    for case in vectors["storage_changes"]:
        scale = unhex(case["scale"])
        assert blobs.storage_changes_from_json(case["json"]) == scale
        assert blobs.storage_changes_from_json(case["scale"]) == scale
        assert blobs.encode_storage_changes(*blobs.decode_storage_changes(scale)) == scale


def test_dispatch_block(vectors: Any) -> None:
    for case in vectors["dispatch_block"]:
        pairs = [
            (
                blobs.header_from_json(block["blockHeader"]),
                blobs.storage_changes_from_json(block["storageChanges"]),
            )
            for block in case["input"]
        ]
        assert blobs.dispatch_block_req(pairs) == unhex(case["scale"])
        assert blobs.decode_dispatch_block_req(unhex(case["scale"])) == pairs


def test_egress_messages(vectors: Any) -> None:
    for case in vectors["egress_messages"]:
        scale = unhex(case["scale"])
        egress = blobs.decode_egress(scale)
        assert [[origin, messages] for origin, messages in egress] == shape(case["input"])
        assert blobs.encode_egress(egress) == scale


def test_messages_of_the_real_runtime(data_dir: Path) -> None:
    cases = load(data_dir / "runtime" / "mq_messages.json")["items"]
    assert cases
    for case in cases:
        scale = unhex(case["signedMessage"])
        signed = blobs.decode_signed_message(scale)
        assert blobs.encode_signed_message(signed) == scale
        made = blobs.signed_bytes(signed["message"], signed["sequence"])
        assert made == unhex(case["signedBytes"])
        assert signed["signature"] == unhex(case["signature"])


def test_an_attestation_of_intel_as_the_runtime_reads_it(data_dir: Path) -> None:
    found = load(data_dir / "attestation" / "ias_attestation.json")
    report = blobs.SgxIas(
        found["raReport"].encode(), found["signature"].encode(), found["rawSigningCert"].encode()
    )
    md = Metadata.parse((data_dir / "metadata" / "rhala_1241_v14.scale").read_bytes())
    calls = md.variants(md.pallet("PhalaRegistry").calls)
    fields = {field.name: field.type_id for field in calls["register_worker"].fields}
    value = {
        "SgxIas": {
            "ra_report": report.ra_report,
            "signature": report.signature,
            "raw_signing_cert": report.raw_signing_cert,
        }
    }
    encoded = blobs.encode_attestation(report)
    assert md.encode(fields["attestation"], value) == encoded
    assert blobs.decode_attestation(encoded) == report
    info = blobs.WorkerRegistrationInfo(
        1, bytes(16), b"\1" * 32, b"\2" * 32, b"\3" * 32, (4, 1), b"\4" * 32, None, None
    )
    read = md.decode(fields["pruntime_info"], info.encode())
    assert (read["pubkey"], read["operator"], read["features"]) == (b"\1" * 32, b"\4" * 32, [4, 1])
    assert md.encode(fields["pruntime_info"], read) == info.encode()
