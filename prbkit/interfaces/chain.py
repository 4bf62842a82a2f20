"""Contracts of chain sources: one chain, seen through its endpoints."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from prbkit.interfaces.base import Lifetime, Role

__all__ = [
    "Block",
    "ChainInfo",
    "ChainSource",
    "EndpointHealth",
    "FinalityProof",
    "Head",
    "RuntimeVersion",
]


@dataclass(frozen=True, slots=True)
class Head:
    """A block, by number and hash (32 bytes)."""

    number: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class ChainInfo:
    """What a chain says of itself.

    `name` is `system_chain`; `genesis_hash` is that of block 0; `properties` is
    `system_properties` as JSON gave it.
    """

    name: str
    genesis_hash: bytes
    node_name: str = ""
    node_version: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EndpointHealth:
    """How an endpoint of a chain does; None for what is not known (yet).

    `trouble` says why it is not `well`. `head` is its newest finalized block, `lag` by how many
    blocks the best of the endpoints is ahead of it, `latency` its time to answer in seconds.
    `archive`: it has all states; `proves_finality`, `storage_changes`: it has
    ``grandpa_proveFinality``, ``pha_getStorageChanges``; `allows_unsafe`: it answers unsafe calls.
    `score` goes from 0 (not to be used) to 1.
    """

    url: str
    well: bool
    trouble: str | None = None
    head: int | None = None
    lag: int | None = None
    latency: float | None = None
    archive: bool | None = None
    proves_finality: bool | None = None
    storage_changes: bool | None = None
    allows_unsafe: bool | None = None
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class RuntimeVersion:
    """`state_getRuntimeVersion`, the part that signing and decoding need."""

    spec_name: str
    spec_version: int
    transaction_version: int


@dataclass(frozen=True, slots=True)
class FinalityProof:
    """An answer of `grandpa_proveFinality(n)`.

    `hash` is the block F that `justification` (SCALE) finalizes; `headers` are the SCALE headers
    n + 1 … F, empty where F is n or below.
    """

    hash: bytes
    justification: bytes
    headers: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Block:
    """A block: SCALE header, opaque extrinsics (each with its compact length), justifications.

    `justifications` maps the four-byte engine id (``FRNK`` for GRANDPA) to raw bytes, which may
    be anything: chains that are not GRANDPA use that id too.
    """

    header: bytes
    extrinsics: Sequence[bytes]
    justifications: Mapping[bytes, bytes] = field(default_factory=dict)


class ChainSource(Lifetime, Protocol):
    """One chain, seen through one or several endpoints.

    Nothing it returns is trusted: the data provider verifies headers, justifications and proofs.
    It must still refuse what is not of the right shape. Every method has a deadline of its own
    (the plugin's settings); `at` is a block hash (None: the best finalized block). Safe to call
    from many tasks at once: requests are pipelined.

    What is raised is a `prbkit.errors.SourceError` whose `where` is the endpoint's URL:
    `SourceDisconnected` and `SourceTimeout` (tried again by the caller), `WrongChain`,
    `BlockNotFound` for an unknown `at` or number, `StateDiscarded` for a pruned state,
    `RpcError` for what the node refuses (code -32601: it lacks the method).
    """

    url: str
    role: Role

    def views(self) -> Sequence[ChainSource]:
        """One source for each endpoint, which asks that endpoint alone; the well ones first.

        For who must know whose answer it is (to refuse a node that lies). A source of one
        endpoint may give itself. Views share their source's life.
        """
        ...

    def health(self) -> Sequence[EndpointHealth]:
        """How each endpoint does, in the settings' order; of what is known, without asking."""
        ...

    async def chain(self) -> ChainInfo: ...

    async def finalized_head(self) -> Head: ...

    def finalized_heads(self) -> AsyncIterator[Head]:
        """Yield each newest finalized head, numbers rising; numbers may be skipped.

        Ends only by being closed. A lost connection is made anew; the next head says how far the
        chain has got, and the caller fetches what lies between.
        """
        ...

    async def block_hash(self, number: int) -> bytes | None:
        """Hash of the block of that number on the best chain, None if there is none yet."""
        ...

    async def header(self, at: bytes) -> bytes:
        """SCALE header of a block."""
        ...

    async def headers(self, first: int, last: int) -> Sequence[bytes]:
        """SCALE headers first … last (both included) of the best chain, in order."""
        ...

    async def block(self, at: bytes) -> Block: ...

    async def finality_proof(self, after: int) -> FinalityProof | None:
        """`grandpa_proveFinality(after)`; None where the node lacks the call or has no proof."""
        ...

    async def storage(self, key: bytes, at: bytes | None = None) -> bytes | None: ...

    async def storage_many(
        self, keys: Sequence[bytes], at: bytes | None = None
    ) -> Sequence[bytes | None]:
        """Values in the order of `keys`."""
        ...

    async def keys(self, prefix: bytes, at: bytes | None = None) -> Sequence[bytes]: ...

    async def pairs(
        self, prefix: bytes = b"", at: bytes | None = None
    ) -> Sequence[tuple[bytes, bytes]]:
        """All (key, value) under a prefix, sorted by key."""
        ...

    async def read_proof(self, keys: Sequence[bytes], at: bytes) -> Sequence[bytes]:
        """Trie nodes, in the node's order."""
        ...

    async def storage_changes(self, first: int, last: int) -> Sequence[bytes]:
        """SCALE StorageChanges of the blocks first … last (both included), in order.

        Parachain only (`pha_getStorageChanges`).
        """
        ...

    async def metadata(self, at: bytes | None = None) -> bytes:
        """Metadata bytes, V14 or V15, as `prbkit.scale.Metadata.decode` takes them."""
        ...

    async def runtime_version(self, at: bytes | None = None) -> RuntimeVersion: ...

    async def account_nonce(self, account: bytes) -> int:
        """Next nonce of an account id (32 bytes), the node's pool counted in."""
        ...

    async def submit(self, extrinsic: bytes) -> bytes:
        """Hand a signed extrinsic to the node; its hash. Raises `TransactionRejected`."""
        ...

    async def pending_extrinsics(self) -> Sequence[bytes]:
        """What lies in the node's pool, each with its compact length."""
        ...

    async def rpc(self, method: str, params: Sequence[Any]) -> Any:
        """Any other JSON-RPC call, JSON in and JSON out."""
        ...
