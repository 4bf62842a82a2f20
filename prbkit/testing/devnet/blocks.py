"""Headers and blocks as the devnet's chains keep them, in SCALE and as a node's JSON shows them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prbkit.testing import layouts

__all__ = [
    "Block",
    "Changes",
    "Header",
    "blake2_256",
    "compact",
    "digest_item",
    "encode_changes",
    "opaque",
]

Changes = Mapping[bytes, bytes | None]
"""What a block wrote: key to new value, None where it was deleted."""

compact = layouts.compact.write
"""SCALE Compact of an unsigned integer."""
opaque = layouts.blob.write
"""SCALE Bytes: compact length, then the data."""

_ENGINE_ITEMS = {"consensus": 4, "seal": 5, "pre_runtime": 6}


def blake2_256(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()


def digest_item(kind: str, engine: bytes, payload: bytes) -> bytes:
    """SCALE DigestItem of an engine: `consensus`, `seal` or `pre_runtime`."""
    return bytes((_ENGINE_ITEMS[kind],)) + engine + opaque(payload)


def encode_changes(changes: Changes) -> bytes:
    """SCALE StorageChanges, without child tries: the devnet's pallets write none."""
    out = [compact(len(changes))]
    for key, value in changes.items():
        out.append(opaque(key))
        out.append(b"\x00" if value is None else b"\x01" + opaque(value))
    out.append(b"\x00")
    return b"".join(out)


@dataclass(frozen=True, slots=True)
class Header:
    """A Substrate header; `logs` are SCALE digest items, the seal included."""

    parent_hash: bytes
    number: int
    state_root: bytes
    extrinsics_root: bytes
    logs: tuple[bytes, ...] = ()

    def encode(self) -> bytes:
        return b"".join(
            (
                self.parent_hash,
                compact(self.number),
                self.state_root,
                self.extrinsics_root,
                compact(len(self.logs)),
                *self.logs,
            )
        )

    def json(self) -> dict[str, Any]:
        """Give the header as `chain_getHeader` answers it."""
        return {
            "parentHash": "0x" + self.parent_hash.hex(),
            "number": hex(self.number),
            "stateRoot": "0x" + self.state_root.hex(),
            "extrinsicsRoot": "0x" + self.extrinsics_root.hex(),
            "digest": {"logs": ["0x" + log.hex() for log in self.logs]},
        }


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A block that was executed: what a node stores of it.

    `extrinsics` stand with their compact length each. `spec_version` is that of the code that
    its state holds, hence that of the metadata which reads this state. `link` ties the two
    chains: for a para block the number of its relay parent, for a relay block the hash of the
    para block whose head its state includes (empty: none yet).
    """

    header: Header
    extrinsics: tuple[bytes, ...]
    changes: Changes
    spec_version: int = 0
    link: bytes = b""
    encoded: bytes = field(init=False)
    hash: bytes = field(init=False)

    def __post_init__(self) -> None:
        encoded = self.header.encode()
        object.__setattr__(self, "encoded", encoded)
        object.__setattr__(self, "hash", blake2_256(encoded))

    @property
    def number(self) -> int:
        return self.header.number

    @property
    def parent_hash(self) -> bytes:
        return self.header.parent_hash

    def json(self) -> dict[str, Any]:
        """Give the block as `chain_getBlock` answers it, without justifications."""
        return {
            "header": self.header.json(),
            "extrinsics": ["0x" + extrinsic.hex() for extrinsic in self.extrinsics],
        }
