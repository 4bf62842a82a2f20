"""Headers and blocks as the devnet's chains keep them, in SCALE and as a node's JSON shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prbkit._native import core
from prbkit.testing import layouts

__all__ = [
    "Block",
    "Changes",
    "Header",
    "blake2_256",
    "compact",
    "opaque",
]

Changes = Mapping[bytes, bytes | None]
"""What a block wrote: key to new value, None where it was deleted."""

blake2_256 = core.blake2b_256
compact = layouts.compact.write
"""SCALE Compact of an unsigned integer."""
opaque = layouts.blob.write
"""SCALE Bytes: compact length, then the data."""


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
