"""The smallest runtimes that a network runs on: what a node's own tests need and no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prbkit._native import core
from prbkit.light import encode_authorities
from prbkit.testing.devnet.blocks import blake2_256
from prbkit.testing.devnet.config import DevnetConfig
from prbkit.testing.devnet.grandpa import authority_set
from prbkit.testing.devnet.network import Runtimes
from prbkit.testing.devnet.runtime import (
    DIGEST_ITEM,
    Consensus,
    Executed,
    Head,
    InvalidTransaction,
    ParaInherents,
    RelayInherents,
    RuntimeVersion,
    State,
    UndecodableExtrinsic,
    Validity,
)
from prbkit.testing.layouts import blob, u32


def key(pallet: str, item: str, suffix: bytes = b"") -> bytes:
    return core.twox_128(pallet.encode()) + core.twox_128(item.encode()) + suffix


def heads_key(para_id: int) -> bytes:
    raw = u32.write(para_id)
    return key("Paras", "Heads", core.twox_64(raw) + raw)


SET_ID = key("Grandpa", "CurrentSetId")
AUTHORITIES = key("Grandpa", "Authorities")
NUMBER = key("System", "Number")


def transaction(account: int, nonce: int, tip: int = 0, *, valid: bool = True) -> bytes:
    return blob.write(bytes((account, nonce, tip, valid)))


@dataclass(frozen=True)
class TinyRuntime:
    """Keeps numbers, nonces, GRANDPA's sets and para heads, in a block's state."""

    config: DevnetConfig
    role: str
    seed: bytes = b""
    metadata: bytes = b"meta\x0e"
    upgrade: Any = None

    @property
    def version(self) -> RuntimeVersion:
        state_version = self.config.relay_state_version if self.role == "relay" else 0
        return RuntimeVersion("tiny", "tiny", 1, 1, 1, (), 1, state_version)

    def _set(self, set_id: int) -> list[tuple[bytes, int]]:
        voters = authority_set(self.config.seed_bytes, set_id, self.config.validators)
        return list(voters.authorities)

    def genesis(self) -> dict[bytes, bytes]:
        pairs = {NUMBER: u32.write(0), b"long": bytes(100), b":seed": self.seed or b"none"}
        if self.role == "relay":
            pairs[SET_ID] = bytes(8)
            pairs[AUTHORITIES] = encode_authorities(self._set(0))
        return pairs

    def validate(self, state: State, extrinsic: bytes, tip: Head) -> Validity:
        if len(extrinsic) != 5:
            raise UndecodableExtrinsic("five bytes")
        _, account, nonce, priority, valid = extrinsic
        if not valid:
            raise InvalidTransaction("BadProof")
        now = self._nonce(state, account)
        if nonce < now:
            raise InvalidTransaction("Stale")
        requires = (bytes((account, nonce - 1)),) if nonce > now else ()
        return Validity(priority, requires, (bytes((account, nonce)),), 64)

    def _nonce(self, state: State, account: int) -> int:
        return int.from_bytes(state.get(b"nonce%d" % account, b""), "little")

    def fee(self, state: State, extrinsic: bytes) -> tuple[int, int]:
        return (1, 1)

    def execute_block(
        self,
        state: State,
        number: int,
        parent_hash: bytes,
        inherents: RelayInherents | ParaInherents,
        extrinsics: Sequence[bytes],
    ) -> Executed:
        changes: dict[bytes, bytes | None] = {
            NUMBER: u32.write(number),
            b"parent": parent_hash,
            b"hash%d" % number: blake2_256(parent_hash),
            b"hash%d" % (number - 5): None,
            b"time": inherents.timestamp_ms.to_bytes(8, "little"),
        }
        logs = [b"\x06" + b"tiny" + blob.write(u32.write(number))]
        scheduled = None
        if isinstance(inherents, RelayInherents):
            for para_id, head in inherents.para_heads.items():
                changes[heads_key(para_id)] = blob.write(head)
            if number % self.config.set_period == 0:
                set_id = int.from_bytes(state[SET_ID], "little") + 1
                scheduled = self._set(set_id)
                changes[SET_ID] = set_id.to_bytes(8, "little")
                changes[AUTHORITIES] = encode_authorities(scheduled)
                change = b"\1" + encode_authorities(scheduled) + u32.write(0)
                logs.append(DIGEST_ITEM.write(Consensus(b"FRNK", change)))
        included: list[bytes] = []
        refused: list[tuple[bytes, InvalidTransaction | UndecodableExtrinsic]] = []
        nonces: dict[int, int] = {}
        for extrinsic in extrinsics:
            _, account, nonce, _, _ = extrinsic
            if nonce != nonces.setdefault(account, self._nonce(state, account)):
                refused.append((extrinsic, InvalidTransaction("Stale")))
                continue
            nonces[account] = nonce + 1
            changes[b"nonce%d" % account] = bytes((nonce + 1,))
            included.append(extrinsic)
        bare = blob.write(b"\x04time" + u32.write(number))
        return Executed(changes, logs, [bare, *included], [], refused, scheduled)


def tiny(config: DevnetConfig) -> Runtimes:
    return TinyRuntime(config, "relay"), lambda genesis: TinyRuntime(config, "para", genesis)
