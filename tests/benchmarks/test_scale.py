"""The codec beside bt-decode and cyscale."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

import pytest

from prbkit.scale import Metadata
from tests.benchmarks import inputs
from tests.benchmarks.conftest import Compare
from tests.benchmarks.peers import Peer, PeerProcess

pytestmark = pytest.mark.benchmark(timer=time.process_time)

PEERS = pytest.mark.parametrize(
    ("prefix", "name"), [("bt", "bt-decode"), ("cy", "cyscale")], ids=["bt-decode", "cyscale"]
)


def here(name: str, call: Callable[[], object]) -> Peer:
    """A peer in this process."""

    def run(count: int) -> float:
        start = time.process_time()
        for _ in range(count):
            call()
        return time.process_time() - start

    return Peer(name, run)


@PEERS
def test_decode_events(
    compare: Compare, metadata: Metadata, python_peer: PeerProcess, prefix: str, name: str
) -> None:
    data = inputs.events(metadata)
    assert len(metadata.decode_events(data)) == inputs.RECORDS
    peer = python_peer.peer(f"{prefix}_decode_events", name, str(inputs.RECORDS))
    compare(
        "3,000 event records to objects",
        lambda: metadata.decode_events(data),
        peer,
        faster=30,
        calls=10,
        rounds=9,
    )


@PEERS
def test_decode_events_as_a_value(
    compare: Compare, metadata: Metadata, python_peer: PeerProcess, prefix: str, name: str
) -> None:
    data, kind = inputs.events(metadata), inputs.events_type(metadata)
    assert metadata.decode(kind, data) == inputs.records()
    peer = python_peer.peer(f"{prefix}_decode_events", name, str(inputs.RECORDS))
    compare(
        "3,000 event records to dicts",
        lambda: metadata.decode(kind, data),
        peer,
        faster=30,
        calls=10,
        rounds=9,
    )


@pytest.mark.parametrize("how", ["decode", "decode_events"])
def test_skip_events(compare: Compare, metadata: Metadata, how: str) -> None:
    data, kind = inputs.events(metadata), inputs.events_type(metadata)
    assert metadata.skip(kind, data) == len(data)
    calls = {
        "decode": lambda: metadata.decode(kind, data),
        "decode_events": lambda: metadata.decode_events(data),
    }
    compare(
        "skip 3,000 event records",
        lambda: metadata.skip(kind, data),
        here(f"prbkit's {how}", calls[how]),
        faster=20,
        calls=100,
        peer_calls=5,
        rounds=25,
    )


@pytest.mark.parametrize(
    ("prefix", "name", "faster"),
    [("bt", "bt-decode", 1), ("cy", "cyscale", 100)],
    ids=["bt-decode", "cyscale"],
)
def test_metadata(
    compare: Compare,
    metadata: Metadata,
    python_peer: PeerProcess,
    prefix: str,
    name: str,
    faster: float,
) -> None:
    raw = metadata.raw

    def ours() -> None:
        md = Metadata.decode(raw)
        md.prepare()
        assert md.storage_item("System", "Account").docs

    compare(
        "metadata V15: decode, every plan, one item's docs",
        ours,
        python_peer.peer(f"{prefix}_metadata", name),
        faster=faster,
        calls=5,
        peer_calls=5 if prefix == "bt" else 1,
        rounds=25 if prefix == "bt" else 5,
    )


def test_encode_events(compare: Compare, metadata: Metadata, python_peer: PeerProcess) -> None:
    records, kind = inputs.records(), inputs.events_type(metadata)
    digest = hashlib.blake2b(metadata.encode(kind, records), digest_size=32).hexdigest()
    compare(
        "encode 3,000 event records",
        lambda: metadata.encode(kind, records),
        python_peer.peer("cy_encode_events", "cyscale", digest),
        faster=30,
        calls=10,
        rounds=5,
    )


def test_encode_batch(compare: Compare, metadata: Metadata, python_peer: PeerProcess) -> None:
    calls = inputs.batch_calls()

    def ours() -> bytes:
        return metadata.call("Utility", "force_batch", calls=calls)

    compare(
        "force_batch of 100 calls",
        ours,
        python_peer.peer(
            "cy_encode_batch", "cyscale", hashlib.blake2b(ours(), digest_size=32).hexdigest()
        ),
        faster=30,
        calls=50,
        peer_calls=5,
    )
