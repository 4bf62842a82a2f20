"""What the benchmarks run over, made the same way each time."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from prbkit.blobs import (
    RelaySegment,
    SyncCombined,
    encode_headers,
    header_hash,
)
from prbkit.light import Commit, Header, Justification, Precommit, signing_message
from prbkit.scale import Metadata

RECORDS = 3_000
RELAY_HEADERS = 3_600
PARA_HEADERS = 1_800
SEGMENT = 100


def events_type(metadata: Metadata) -> int:
    """Type id of System.Events."""
    return metadata.storage_item("System", "Events").value


def records() -> list[dict[str, Any]]:
    """Balances.Transfer events in the shape that decoding gives, three an extrinsic."""
    rng = random.Random(3)
    return [
        {
            "phase": {"ApplyExtrinsic": i // 3},
            "event": {
                "Balances": {
                    "Transfer": {
                        "from": rng.randbytes(32),
                        "to": rng.randbytes(32),
                        "amount": rng.randrange(10**8, 10**16),
                    }
                }
            },
            "topics": [],
        }
        for i in range(RECORDS)
    ]


def events(metadata: Metadata) -> bytes:
    """SCALE of `records`."""
    return metadata.encode(events_type(metadata), records())


def transfers() -> list[tuple[bytes, int]]:
    """(account, amount) of the 100 calls of a batch."""
    rng = random.Random(4)
    return [(rng.randbytes(32), rng.randrange(10**8, 10**16)) for _ in range(100)]


def batch_calls() -> list[dict[str, Any]]:
    """`transfers` as calls."""
    return [
        {"Balances": {"transfer_keep_alive": {"dest": dest, "value": value}}}
        for dest, value in transfers()
    ]


def as_hex(value: Any) -> Any:
    """Replace bytes by 0x text, in depth: JSON carries no bytes."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, dict):
        return {name: as_hex(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [as_hex(part) for part in value]
    return value


def storage_changes() -> dict[str, Any]:
    """A block of pha_getStorageChanges: 300 pairs that make 80 KB of SCALE."""
    rng = random.Random(5)
    pairs = [["0x" + rng.randbytes(48).hex(), "0x" + rng.randbytes(218).hex()] for _ in range(300)]
    return {"mainStorageChanges": pairs, "childStorageChanges": []}


@dataclass(frozen=True, slots=True)
class Combined:
    """A request and the documents that it is spliced from."""

    request: SyncCombined
    segments: list[RelaySegment]
    relay: list[bytes]
    para: list[bytes]
    para_vec: bytes


def combined(pattern: bytes) -> Combined:
    """Documents of relay and para headers that have the digest of a real header."""
    rng = random.Random(6)
    logs = Header.decode(pattern).logs
    relay = _headers(rng, RELAY_HEADERS, 20_000_000, logs)
    para = _headers(rng, PARA_HEADERS, 5_000_000, logs)
    segments = []
    for start in range(0, RELAY_HEADERS, SEGMENT):
        segment = RelaySegment.make(
            relay[start : start + SEGMENT],
            set_id=5,
            justification=rng.randbytes(90_000),
            para_number=5_000_000 + (start + SEGMENT) // 2 - 1,
            proof=[rng.randbytes(500) for _ in range(8)],
        )
        segments.append(RelaySegment.decode(segment.encode()))
    request = SyncCombined(20_000_000, 20_000_000 + RELAY_HEADERS - 1, 5_000_000, 5_001_799)
    return Combined(request, segments, relay, para, encode_headers(para))


def _headers(rng: random.Random, count: int, first: int, logs: tuple[bytes, ...]) -> list[bytes]:
    made = []
    parent = bytes(32)
    for number in range(first, first + count):
        header = Header.make(
            parent_hash=parent,
            number=number,
            state_root=rng.randbytes(32),
            extrinsics_root=rng.randbytes(32),
            logs=logs,
        )
        made.append(header.scale)
        parent = header_hash(header.scale)
    return made


@dataclass(frozen=True, slots=True)
class Signed:
    """A justification by 900 authorities, and the signed message of its precommits."""

    encoded: bytes
    message: bytes
    commit: Commit
    authorities: list[tuple[bytes, int]]


def justification(authorities: int = 900) -> Signed:
    """Block 1000, round 7, set 5; every authority votes for the block itself."""
    rng = random.Random(7)
    keys = [Ed25519PrivateKey.from_private_bytes(rng.randbytes(32)) for _ in range(authorities)]
    target = rng.randbytes(32)
    message = signing_message(target, 1000, 7, 5)
    votes = [
        Precommit(target, 1000, key.sign(message), key.public_key().public_bytes_raw())
        for key in keys
    ]
    commit = Commit(target, 1000, tuple(votes))
    encoded = Justification(7, commit).encode()
    return Signed(encoded, message, commit, [(vote.id, 1) for vote in votes])
