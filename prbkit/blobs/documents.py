"""What the data provider stores, each byte once: relay segments and the genesis.

Documents begin with a version byte and are read with every length checked. A para header and a
para block's storage changes are stored as their plain SCALE.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import zstandard

from prbkit._native import core
from prbkit.blobs.layouts import (
    AuthoritySetChange,
    authority_set_change,
    decode_authority_set_change,
    decode_proof,
    encode_proof,
)
from prbkit.errors import CodecError

__all__ = [
    "CHANGES_PREFIX",
    "GENESIS_KEY",
    "MAX_DOCUMENT",
    "PARA_PREFIX",
    "RELAY_PREFIX",
    "Genesis",
    "RelaySegment",
    "changes_key",
    "compress",
    "decompress",
    "key_number",
    "para_key",
    "relay_key",
]

VERSION = 1

MAX_DOCUMENT = 512 << 20
"""Bytes that a decompressed document may have: pRuntime takes no genesis state beyond 500 MiB."""

GENESIS_KEY = b"genesis"
RELAY_PREFIX = b"relay/"
PARA_PREFIX = b"para/"
CHANGES_PREFIX = b"changes/"


@dataclass(frozen=True, slots=True)
class RelaySegment:
    """Consecutive relay headers that end at a justified block, and all that proves them.

    `body` is the SCALE HeaderToSync (without justification) of each block first … last, one after
    the other, as a request holds them. `justification` is SCALE, by authority set `set_id`.
    `change` is the SCALE AuthoritySetChange where the last header schedules one, else None.
    `para_number` is the number of the para head that the state of block `last` includes (None: it
    includes none), `proof` the SCALE StorageProof of it.
    """

    first: int
    last: int
    set_id: int
    justification: bytes
    body: bytes
    para_number: int | None
    proof: bytes
    change: bytes | None = None

    @classmethod
    def make(
        cls,
        headers: Sequence[bytes],
        *,
        set_id: int,
        justification: bytes,
        para_number: int | None,
        proof: Sequence[bytes],
        change: AuthoritySetChange | None = None,
    ) -> RelaySegment:
        """Make a segment of SCALE headers, in order; raises CodecError if they are not."""
        if not headers:
            raise CodecError("a relay segment has headers")
        first = core.header_number(headers[0])
        body = b"".join(part for header in headers for part in (header, b"\0"))
        core.check_relay_body(body, first, len(headers))
        return cls(
            first=first,
            last=first + len(headers) - 1,
            set_id=set_id,
            justification=justification,
            body=body,
            para_number=para_number,
            proof=encode_proof(proof),
            change=None if change is None else authority_set_change(*change),
        )

    @property
    def body_size(self) -> int:
        """Bytes that the headers take in a request."""
        return len(self.body)

    @property
    def tail_size(self) -> int:
        """Bytes that a request takes besides, if this segment is its last: proof and all."""
        return len(self.justification) + len(self.proof) + len(self.change or b"")

    def headers(self) -> list[bytes]:
        """Return the SCALE headers."""
        walker = core.Walker(self.body, "relay headers")
        headers = []
        for _ in range(self.first, self.last + 1):
            headers.append(walker.header())
            walker.option()
        return headers

    def proof_nodes(self) -> list[bytes]:
        """Return the trie nodes of the proof."""
        return decode_proof(self.proof)

    def authority_set_change(self) -> AuthoritySetChange | None:
        """Return the change that the last header schedules, read: (authorities, set id, proof)."""
        return None if self.change is None else decode_authority_set_change(self.change)

    def encode(self) -> bytes:
        """Return the document's bytes."""
        return b"".join(
            [
                bytes([VERSION]),
                _u32(self.first),
                _u32(self.last),
                self.set_id.to_bytes(8, "little"),
                b"\0" if self.para_number is None else b"\1" + _u32(self.para_number),
                b"\0" if self.change is None else b"\1" + _blob(self.change),
                _blob(self.proof),
                _blob(self.justification),
                _blob(self.body),
            ]
        )

    @classmethod
    def decode(cls, data: bytes) -> RelaySegment:
        """Read a document; raises CodecError unless it is exactly one, its headers in order."""
        walker = core.Walker(data, "relay segment")
        _version(walker)
        first, last, set_id = walker.u32(), walker.u32(), walker.u64()
        if last < first:
            walker.refuse(f"a segment from {first} to {last}")
        para_number = walker.u32() if walker.option() else None
        change = walker.blob() if walker.option() else None
        proof, justification, body = walker.blob(), walker.blob(), walker.blob()
        walker.done()
        core.check_relay_body(body, first, last - first + 1)
        decode_proof(proof)
        if change is not None:
            decode_authority_set_change(change)
        return cls(first, last, set_id, justification, body, para_number, proof, change)


@dataclass(frozen=True, slots=True)
class Genesis:
    """What a worker is initialised with.

    `relay_number` is the relay block that `info` (SCALE GenesisBlockInfo) starts from: the one
    before the block that para block 1 builds on. `state` is the parachain's genesis as SCALE
    StorageState.
    """

    para_id: int
    relay_number: int
    info: bytes
    state: bytes

    def encode(self) -> bytes:
        """Return the document's bytes."""
        return b"".join(
            [
                bytes([VERSION]),
                _u32(self.para_id),
                _u32(self.relay_number),
                _blob(self.info),
                _blob(self.state),
            ]
        )

    @classmethod
    def decode(cls, data: bytes) -> Genesis:
        """Read a document; raises CodecError unless it is exactly one."""
        walker = core.Walker(data, "genesis document")
        _version(walker)
        genesis = cls(walker.u32(), walker.u32(), walker.blob(), walker.blob())
        walker.done()
        return genesis


def relay_key(last: int) -> bytes:
    """Store key of the relay segment that ends at a block; keys sort as the numbers do."""
    return RELAY_PREFIX + last.to_bytes(4, "big")


def para_key(number: int) -> bytes:
    """Store key of a para header."""
    return PARA_PREFIX + number.to_bytes(4, "big")


def changes_key(number: int) -> bytes:
    """Store key of a para block's storage changes."""
    return CHANGES_PREFIX + number.to_bytes(4, "big")


def key_number(key: bytes) -> int:
    """Return the block number that a key of one of the three kinds above ends with."""
    return int.from_bytes(key[-4:], "big")


class _Zstd(threading.local):
    """Compression contexts of one thread: they must not be shared between threads."""

    def __init__(self) -> None:
        self.compressors: dict[tuple[int, int], zstandard.ZstdCompressor] = {}
        self.decompressors: dict[int, zstandard.ZstdDecompressor] = {}


_zstd = _Zstd()


def compress(
    data: bytes, *, level: int = 3, dictionary: zstandard.ZstdCompressionDict | None = None
) -> bytes:
    """Compress a document to one zstd frame that tells its size."""
    key = (level, id(dictionary))
    compressor = _zstd.compressors.get(key)
    if compressor is None:
        compressor = zstandard.ZstdCompressor(level=level, dict_data=dictionary)
        _zstd.compressors[key] = compressor
    return compressor.compress(data)


def decompress(
    data: bytes,
    *,
    limit: int = MAX_DOCUMENT,
    dictionary: zstandard.ZstdCompressionDict | None = None,
) -> bytes:
    """Decompress one zstd frame, whose size must be told and at most `limit` bytes."""
    try:
        size = zstandard.frame_content_size(data)
        if not 0 <= size <= limit:
            raise CodecError(f"a compressed document says that it has {size} bytes")
        decompressor = _zstd.decompressors.get(id(dictionary))
        if decompressor is None:
            decompressor = zstandard.ZstdDecompressor(dict_data=dictionary)
            _zstd.decompressors[id(dictionary)] = decompressor
        return decompressor.decompress(data, allow_extra_data=False)
    except (zstandard.ZstdError, MemoryError) as error:
        raise CodecError(f"a document cannot be decompressed: {error}") from error


def _version(walker: core.Walker) -> None:
    if (version := walker.u8()) != VERSION:
        walker.refuse(f"version {version} is not known: this document is of a newer prbkit")


def _u32(value: int) -> bytes:
    return value.to_bytes(4, "little")


def _blob(value: bytes) -> bytes:
    return core.compact(len(value)) + value
