"""The SCALE layouts that pRuntime consumes: encoders that splice, decoders that refuse the rest.

Headers and storage changes go in and come out as SCALE bytes. Each decoder takes exactly what the
encoder of the same name makes: ``encode(*decode(x)) == x``, and anything else, bytes left over
included, is a CodecError.
"""

from __future__ import annotations

from collections.abc import Sequence

from prbkit._native import core

__all__ = [
    "AuthoritySetChange",
    "RelayHeaders",
    "authority_set_change",
    "decode_authority_set_change",
    "decode_dispatch_block_req",
    "decode_genesis_info",
    "decode_headers",
    "decode_headers_to_sync",
    "decode_proof",
    "decode_storage_state",
    "decode_sync_combined_headers_req",
    "decode_sync_header_req",
    "decode_sync_para_header_req",
    "dispatch_block_req",
    "encode_headers",
    "encode_proof",
    "genesis_info",
    "header_to_sync",
    "headers_to_sync",
    "storage_state",
    "sync_combined_headers_req",
    "sync_header_req",
    "sync_para_header_req",
]

Authorities = Sequence[tuple[bytes, int]]
"""(ed25519 public key, weight) of each."""

AuthoritySetChange = tuple[Authorities, int, Sequence[bytes]]
"""(authorities, set id, storage proof of both)."""

RelayHeaders = Sequence[tuple[bytes, bytes | None]]
"""(SCALE header, SCALE justification or None) of each."""

HEADER_MIN = 98
"""A header of block 0 to 63 without a digest: no header is shorter."""


def header_to_sync(header: bytes, justification: bytes | None = None) -> bytes:
    """HeaderToSync: a header and, where it has one, its justification."""
    if justification is None:
        return header + b"\0"
    return b"".join([header, b"\1", core.compact(len(justification)), justification])


def headers_to_sync(relay: RelayHeaders) -> bytes:
    """Vec<HeaderToSync>."""
    return core.headers_to_sync(relay)


def decode_headers_to_sync(data: bytes) -> list[tuple[bytes, bytes | None]]:
    """Read a Vec<HeaderToSync>."""
    walker = core.Walker(data, "headers to sync")
    relay = _relay(walker)
    walker.done()
    return relay


def encode_headers(headers: Sequence[bytes]) -> bytes:
    """Vec<Header>."""
    return core.splice([core.compact(len(headers)), list(headers)])


def decode_headers(data: bytes) -> list[bytes]:
    """Read a Vec<Header>."""
    return core.split_headers(data)


def encode_proof(proof: Sequence[bytes]) -> bytes:
    """StorageProof: Vec<Bytes>."""
    parts = [core.compact(len(proof))]
    for node in proof:
        parts += [core.compact(len(node)), node]
    return b"".join(parts)


def decode_proof(data: bytes) -> list[bytes]:
    """Read a StorageProof."""
    walker = core.Walker(data, "storage proof")
    proof = walker.blobs()
    walker.done()
    return proof


def authority_set_change(authorities: Authorities, set_id: int, proof: Sequence[bytes]) -> bytes:
    """AuthoritySetChange: the new set and the proof of it."""
    return _authority_set(authorities, set_id) + encode_proof(proof)


def decode_authority_set_change(data: bytes) -> AuthoritySetChange:
    """Read an AuthoritySetChange."""
    walker = core.Walker(data, "authority set change")
    change = _change(walker)
    walker.done()
    return change


def genesis_info(
    header: bytes, authorities: Authorities, set_id: int, proof: Sequence[bytes]
) -> bytes:
    """GenesisBlockInfo: a relay header, the authority set in force there, and its proof."""
    return b"".join([header, _authority_set(authorities, set_id), encode_proof(proof)])


def decode_genesis_info(data: bytes) -> tuple[bytes, Authorities, int, list[bytes]]:
    """Read a GenesisBlockInfo: (header, authorities, set id, proof)."""
    walker = core.Walker(data, "genesis info")
    header = walker.header()
    authorities, set_id, proof = _change(walker)
    walker.done()
    return header, authorities, set_id, list(proof)


def storage_state(pairs: Sequence[tuple[bytes, bytes]]) -> bytes:
    """StorageState: Vec<(key, value)>."""
    parts = [core.compact(len(pairs))]
    for key, value in pairs:
        parts += [core.compact(len(key)), key, core.compact(len(value)), value]
    return b"".join(parts)


def decode_storage_state(data: bytes) -> list[tuple[bytes, bytes]]:
    """Read a StorageState."""
    walker = core.Walker(data, "storage state")
    pairs = [(walker.blob(), walker.blob()) for _ in range(walker.count(least=2))]
    walker.done()
    return pairs


def sync_header_req(headers: RelayHeaders, change: AuthoritySetChange | None = None) -> bytes:
    """SyncHeaderReq."""
    return headers_to_sync(headers) + _optional_change(change)


def decode_sync_header_req(
    data: bytes,
) -> tuple[list[tuple[bytes, bytes | None]], AuthoritySetChange | None]:
    """Read a SyncHeaderReq: (relay headers, change or None)."""
    walker = core.Walker(data, "SyncHeaderReq")
    relay = _relay(walker)
    change = _change(walker) if walker.option() else None
    walker.done()
    return relay, change


def sync_para_header_req(headers: Sequence[bytes], proof: Sequence[bytes]) -> bytes:
    """SyncParachainHeaderReq."""
    return encode_headers(headers) + encode_proof(proof)


def decode_sync_para_header_req(data: bytes) -> tuple[list[bytes], list[bytes]]:
    """Read a SyncParachainHeaderReq: (para headers, proof)."""
    walker = core.Walker(data, "SyncParachainHeaderReq")
    headers = _headers(walker)
    proof = walker.blobs()
    walker.done()
    return headers, proof


def sync_combined_headers_req(
    relay: RelayHeaders,
    change: AuthoritySetChange | None,
    para: Sequence[bytes],
    proof: Sequence[bytes],
) -> bytes:
    """SyncCombinedHeadersReq."""
    return core.splice(
        [
            core.headers_to_sync(relay),
            _optional_change(change),
            core.compact(len(para)),
            list(para),
            encode_proof(proof),
        ]
    )


def decode_sync_combined_headers_req(
    data: bytes,
) -> tuple[list[tuple[bytes, bytes | None]], AuthoritySetChange | None, list[bytes], list[bytes]]:
    """Read a SyncCombinedHeadersReq: (relay headers, change or None, para headers, proof)."""
    walker = core.Walker(data, "SyncCombinedHeadersReq")
    relay = _relay(walker)
    change = _change(walker) if walker.option() else None
    para = _headers(walker)
    proof = walker.blobs()
    walker.done()
    return relay, change, para, proof


def dispatch_block_req(blocks: Sequence[tuple[bytes, bytes]]) -> bytes:
    """DispatchBlockReq (and prpc's Blocks): Vec of (header, storage changes)."""
    parts = [core.compact(len(blocks))]
    for header, changes in blocks:
        parts += [header, changes]
    return b"".join(parts)


def decode_dispatch_block_req(data: bytes) -> list[tuple[bytes, bytes]]:
    """Read a DispatchBlockReq: (SCALE header, SCALE storage changes) of each block."""
    walker = core.Walker(data, "DispatchBlockReq")
    blocks = [
        (walker.header(), walker.storage_changes())
        for _ in range(walker.count(least=HEADER_MIN + 2))
    ]
    walker.done()
    return blocks


def _authority_set(authorities: Authorities, set_id: int) -> bytes:
    parts = [core.compact(len(authorities))]
    for public, weight in authorities:
        parts += [public, weight.to_bytes(8, "little")]
    return b"".join([*parts, set_id.to_bytes(8, "little")])


def _optional_change(change: AuthoritySetChange | None) -> bytes:
    return b"\0" if change is None else b"\1" + authority_set_change(*change)


def _relay(walker: core.Walker) -> list[tuple[bytes, bytes | None]]:
    return [
        (walker.header(), walker.blob() if walker.option() else None)
        for _ in range(walker.count(least=HEADER_MIN + 1))
    ]


def _headers(walker: core.Walker) -> list[bytes]:
    return [walker.header() for _ in range(walker.count(least=HEADER_MIN))]


def _change(walker: core.Walker) -> AuthoritySetChange:
    authorities = [(walker.take(32), walker.u64()) for _ in range(walker.count(least=40))]
    return authorities, walker.u64(), walker.blobs()
