"""Headers, storage changes and requests beside polkadot.js, orjson and memcpy."""

from __future__ import annotations

import time

import orjson
import pytest

from prbkit.blobs import (
    assemble,
    check_storage_changes,
    header_from_json,
    header_hash,
    storage_changes_from_json,
    sync_combined_headers_req,
)
from tests.benchmarks import inputs
from tests.benchmarks.conftest import Compare
from tests.benchmarks.peers import Peer, PeerProcess
from tests.benchmarks.test_scale import here

pytestmark = pytest.mark.benchmark(timer=time.process_time)


def test_header_json(compare: Compare, header_texts: list[str], node_peer: PeerProcess) -> None:
    def ours() -> bytes:
        last = b""
        for text in header_texts:
            last = header_hash(header_from_json(text))
        return last

    compare(
        "header JSON text to SCALE and hash",
        ours,
        node_peer.peer("headers", "polkadot.js", ours().hex()),
        faster=40,
        calls=40,
        peer_calls=5,
        scale=len(header_texts),
        rounds=25,
    )


def test_storage_changes_json(compare: Compare) -> None:
    text = orjson.dumps(inputs.storage_changes())
    compare(
        "storage changes of 300 pairs, JSON to SCALE",
        lambda: storage_changes_from_json(text),
        _orjson(text),
        within=2,
        calls=50,
        peer_calls=50,
        rounds=25,
    )


def test_storage_changes_hex(compare: Compare) -> None:
    text = orjson.dumps(inputs.storage_changes())
    hex_form = "0x" + storage_changes_from_json(text).hex()
    compare(
        "the same, hex to SCALE",
        lambda: storage_changes_from_json(hex_form),
        _orjson(text),
        within=2,
        calls=50,
        peer_calls=50,
        rounds=25,
    )


def test_storage_changes_walk(compare: Compare) -> None:
    text = orjson.dumps(inputs.storage_changes())
    scale = storage_changes_from_json(text)
    compare(
        "the same, length walk of the SCALE",
        lambda: check_storage_changes(scale),
        _orjson(text),
        within=0.1,
        calls=500,
        peer_calls=50,
        rounds=25,
    )


def test_assemble_from_documents(compare: Compare, header_texts: list[str]) -> None:
    made = inputs.combined(header_from_json(header_texts[0]))
    request = assemble(made.request, made.segments, made.para_vec)
    compare(
        "SyncCombinedHeadersReq, 3,600 relay and 1,800 para headers, from documents",
        lambda: assemble(made.request, made.segments, made.para_vec),
        _memcpy(request),
        within=2,
        calls=20,
        peer_calls=20,
        rounds=41,
    )


def test_assemble_from_para_headers(compare: Compare, header_texts: list[str]) -> None:
    made = inputs.combined(header_from_json(header_texts[0]))
    request = assemble(made.request, made.segments, made.para)
    assert request == assemble(made.request, made.segments, made.para_vec)
    compare(
        "the same, each para header by itself",
        lambda: assemble(made.request, made.segments, made.para),
        _memcpy(request),
        within=2,
        calls=20,
        peer_calls=20,
        rounds=41,
    )


def test_assemble_from_headers(compare: Compare, header_texts: list[str]) -> None:
    made = inputs.combined(header_from_json(header_texts[0]))
    last = made.segments[-1]
    relay = [*((header, None) for header in made.relay[:-1]), (made.relay[-1], last.justification)]
    proof = last.proof_nodes()
    request = sync_combined_headers_req(relay, None, made.para, proof)
    assert request == assemble(made.request, made.segments, made.para)
    compare(
        "the same, each relay and para header by itself",
        lambda: sync_combined_headers_req(relay, None, made.para, proof),
        _memcpy(request),
        calls=20,
        peer_calls=20,
        rounds=41,
    )


def _orjson(text: bytes) -> Peer:
    return here(f"orjson.loads {orjson.__version__}", lambda: orjson.loads(text))


def _memcpy(data: bytes) -> Peer:
    view = memoryview(bytearray(len(data)))

    def copy() -> None:
        view[:] = data

    return here("memcpy", copy)
