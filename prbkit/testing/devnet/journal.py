"""The devnet's memory on disk: an append-only file of what happened, in the order it happened.

Blocks are kept whole, with the changes of their state, so that a devnet comes up again without
executing anything, also when its runtime has changed since. Each record carries its length and
CRC; a record that a kill left torn is cut off, and with it nothing that anyone was told of, since
a block is written before it is announced.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import orjson

from prbkit.errors import ConfigError
from prbkit.testing.devnet.blocks import Block, Header
from prbkit.testing.layouts import Reader

__all__ = ["BlockRecord", "FinalityRecord", "Journal", "Record", "Role"]

_MAGIC = b"prbkit-devnet 1\n"
_HEAD = struct.Struct("<II")

Role = Literal["relay", "para"]


@dataclass(frozen=True, slots=True)
class BlockRecord:
    """A block came in, as the best one of its chain or on a fork."""

    role: Role
    block: Block
    best: bool


@dataclass(frozen=True, slots=True)
class FinalityRecord:
    """A relay block is final, by this justification if it keeps one."""

    hash: bytes
    justification: bytes | None


Record = BlockRecord | FinalityRecord


class Journal:
    """Reads what is there, then appends.

    :param fingerprint: settings that make the chain what it is; another chain's file is refused.
    """

    def __init__(self, path: Path, fingerprint: dict[str, object]) -> None:
        self._path = path
        self._fingerprint = orjson.dumps(fingerprint, option=orjson.OPT_SORT_KEYS)
        self._file: BinaryIO | None = None

    def open(self) -> Iterator[Record]:
        """Yield the records that are there, then stand ready to append.

        :raises ConfigError: where it is another devnet's, or one that still runs has it open.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch()
        file = self._path.open("r+b")
        try:
            # The lock goes with the process, however that ends.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            end = 0
            for at, payload in self._read(file):
                end = at
                if payload is not None:
                    yield _decode(payload)
        except BlockingIOError:
            file.close()
            raise ConfigError(
                "the data directory is in use by a devnet that runs",
                where=str(self._path),
                hint="stop that one, or take another data directory",
            ) from None
        except BaseException:
            file.close()
            raise
        self._file = file
        file.truncate(end)
        file.seek(end)
        if end == 0:
            file.write(_MAGIC)
            self._write(self._fingerprint)
            file.flush()

    def append(self, *records: Record) -> None:
        """Hand records to the operating system: they outlive this process from here on."""
        assert self._file is not None, "open() comes first"
        for record in records:
            self._write(_encode(record))
        self._file.flush()

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _write(self, payload: bytes) -> None:
        assert self._file is not None
        self._file.write(_HEAD.pack(len(payload), zlib.crc32(payload)) + payload)

    def _read(self, file: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
        """Yield where each whole record ends, and its bytes (None: the fingerprint)."""
        size = os.fstat(file.fileno()).st_size
        magic = file.read(len(_MAGIC))
        if magic != _MAGIC:
            if size < len(_MAGIC):
                return
            raise ConfigError("not a devnet journal", where=str(self._path))
        first = True
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            length, crc = _HEAD.unpack(head)
            if length > size - file.tell():
                return
            payload = file.read(length)
            if zlib.crc32(payload) != crc:
                return
            if first and payload != self._fingerprint:
                raise ConfigError(
                    f"the data directory holds another devnet: {payload.decode()}",
                    where=str(self._path),
                    hint="take another data directory, or the settings that it was made with",
                )
            yield file.tell(), None if first else payload
            first = False


def _chunk(data: bytes) -> bytes:
    return len(data).to_bytes(4, "little") + data


def _encode(record: Record) -> bytes:
    if isinstance(record, FinalityRecord):
        return b"F" + record.hash + (record.justification or b"")
    block = record.block
    header = block.header
    changes = [len(block.changes).to_bytes(4, "little")]
    for key, value in block.changes.items():
        changes.append(_chunk(key) + (b"\0" if value is None else b"\1" + _chunk(value)))
    return b"".join(
        (
            b"R" if record.role == "relay" else b"P",
            b"\1" if record.best else b"\0",
            header.parent_hash,
            header.number.to_bytes(4, "little"),
            header.state_root,
            header.extrinsics_root,
            block.spec_version.to_bytes(4, "little"),
            _chunk(block.link),
            len(header.logs).to_bytes(4, "little"),
            *(_chunk(log) for log in header.logs),
            len(block.extrinsics).to_bytes(4, "little"),
            *(_chunk(extrinsic) for extrinsic in block.extrinsics),
            *changes,
        )
    )


def _chunk_of(reader: Reader) -> bytes:
    return reader.take(reader.uint(4))


def _chunks_of(reader: Reader) -> tuple[bytes, ...]:
    return tuple(_chunk_of(reader) for _ in range(reader.uint(4)))


def _decode(payload: bytes) -> Record:
    if payload[:1] == b"F":
        return FinalityRecord(payload[1:33], payload[33:] or None)
    reader = Reader(payload)
    role: Role = "relay" if reader.take(1) == b"R" else "para"
    best = reader.take(1) == b"\1"
    parent, number = reader.take(32), reader.uint(4)
    state_root, extrinsics_root = reader.take(32), reader.take(32)
    spec_version, link = reader.uint(4), _chunk_of(reader)
    logs, extrinsics = _chunks_of(reader), _chunks_of(reader)
    changes: dict[bytes, bytes | None] = {}
    for _ in range(reader.uint(4)):
        key = _chunk_of(reader)
        changes[key] = _chunk_of(reader) if reader.take(1) == b"\1" else None
    header = Header(parent, number, state_root, extrinsics_root, logs)
    block = Block(header, extrinsics, changes, spec_version, link)
    return BlockRecord(role, block, best)
