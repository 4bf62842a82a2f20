"""All blobs that PRB v2 made of a chain come out of our documents byte for byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prbkit.blobs import CommittedIndex, RelaySegment, encode_headers
from prbkit.blobs.prb2 import (
    Key,
    Range,
    dispatch_blob,
    dry_ranges,
    para_batch,
    parse_key,
    sync_blob,
    windows,
)
from prbkit.light import decode_authorities

from .data import load, unhex


@pytest.fixture(scope="module")
def chain(data_dir: Path) -> Any:
    return load(data_dir / "prb2" / "chain.json.gz")


@pytest.fixture(scope="module")
def store(data_dir: Path) -> dict[str, bytes]:
    return {k: unhex(v) for k, v in load(data_dir / "prb2" / "store.json.gz").items()}


@pytest.fixture(scope="module")
def segments(chain: Any) -> list[RelaySegment]:
    found, headers = [], []
    for before, block in zip(chain["relay"], chain["relay"][1:], strict=False):
        headers.append(unhex(block["header"]))
        if block["justification"] is None:
            continue
        change = None
        if block["set_id"] != before["set_id"]:
            authorities = decode_authorities(unhex(block["authorities"]), versioned=True)
            proof = [unhex(node) for node in block["authority_proof"]]
            change = (authorities, block["set_id"], proof)
        found.append(
            RelaySegment.make(
                headers,
                set_id=before["set_id"],
                justification=unhex(block["justification"]),
                para_number=block["para_number"],
                proof=[unhex(node) for node in block["para_proof"]],
                change=change,
            )
        )
        headers = []
    return found


@pytest.fixture(scope="module")
def index(chain: Any, segments: list[RelaySegment]) -> CommittedIndex:
    index = CommittedIndex(chain["relay_genesis_number"] + 1)
    for s in segments:
        index.add_segment(
            s.first,
            s.last,
            set_id=s.set_id,
            para_number=s.para_number,
            size=s.body_size,
            tail_size=s.tail_size,
        )
    return index


def test_every_blob_of_a_run_of_prb2(
    chain: Any, store: dict[str, bytes], segments: list[RelaySegment], index: CommittedIndex
) -> None:
    para = [unhex(block["header"]) for block in chain["para"]]
    changes = [unhex(block["storage_changes"]) for block in chain["para"]]
    by_last = {s.last: RelaySegment.decode(s.encode()) for s in segments}
    made: dict[str, bytes] = {}

    def sync(wanted: Range) -> bytes:
        parts = [by_last[e.last] for e in index.segments(wanted.relay_first, wanted.relay_last)]
        headers = para[wanted.para_first : wanted.para_last + 1]
        return sync_blob(wanted, parts, encode_headers(headers))

    for wanted in dry_ranges(index):
        made[wanted.dry_key] = sync(wanted)
        assert parse_key(wanted.dry_key) == Key("dry", range=wanted)
    for wanted in windows(index):
        made[wanted.window_key] = sync(wanted)
        assert parse_key(wanted.window_key) == Key("window_blob", range=wanted)
    last = len(para) - 1
    for number in range(1, last + 1):
        made[f"dryParaBlock:{number}"] = dispatch_blob(
            number, number, para[number : number + 1], changes[number : number + 1]
        )
        if batch := para_batch(number, last):
            first, end = batch
            made[f"rangeParaBlock:buffer:{number}"] = dispatch_blob(
                first, end, para[first : end + 1], changes[first : end + 1]
            )
    prefixes = ("drySyncHeader", "blobRange:", "dryParaBlock", "rangeParaBlock:buffer")
    theirs = {key: value for key, value in store.items() if key.startswith(prefixes)}
    assert len(theirs) == 177
    assert made == theirs


def test_keys() -> None:
    assert parse_key("genesis:2004:pb") == Key("genesis", 2004)
    assert parse_key("drySyncHeader:1:2:-1:-1") == Key("dry", range=Range(1, 2, -1, -1))
    assert parse_key("LAST_COMMITTED_PARA_BLOCK") == Key("last_para")
    for text in ["", "para:01:pb", "para:1", "para:-1:pb", "window:99999999999:pb", "parent:1:pb "]:
        assert parse_key(text) is None, text
