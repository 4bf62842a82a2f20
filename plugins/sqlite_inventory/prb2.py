"""Pools and workers of a PRB v2 lifecycle manager: its SQLite file and how it seals operators.

Tables ``pools`` and ``workers`` (Sequelize). ``encryptedOperator`` is a protobuf message {1 iv,
2 key, 3 ciphertext}: AES-256-CBC of the operator's polkadot-js export, which is not encrypted
itself, under a key wrapped with RSA-OAEP (SHA-1) for the manager's libp2p identity. PRB v2 keeps
no mnemonic: what comes out is the account's key.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from pydantic import SecretStr

from prbkit.errors import InventoryError
from prbkit.identity.peer_id import read_libp2p_key
from prbkit.scale import ss58

from .declare import DeclaredPool, DeclaredWorker, check_declaration
from .validate import owner_account

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

__all__ = ["find_files", "open_operator", "read_prb2", "seal_operator", "write_prb2"]

_OAEP = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303  PRB v2's
_BLOCK = 128
PHALA = 30

_SCHEMA = """
CREATE TABLE `pools` (`id` UUID PRIMARY KEY, `pid` INTEGER NOT NULL UNIQUE,
    `name` VARCHAR(255) NOT NULL UNIQUE, `proxiedAccountSs58` VARCHAR(255),
    `encryptedOperator` BLOB NOT NULL, `enabled` TINYINT(1) DEFAULT 1,
    `syncOnly` TINYINT(1) DEFAULT 0, `createdAt` DATETIME NOT NULL, `updatedAt` DATETIME NOT NULL);
CREATE TABLE `workers` (`id` UUID PRIMARY KEY, `name` VARCHAR(255) NOT NULL UNIQUE,
    `endpoint` VARCHAR(255) NOT NULL, `stake` VARCHAR(255) NOT NULL,
    `enabled` TINYINT(1) DEFAULT 1, `syncOnly` TINYINT(1) DEFAULT 0,
    `poolId` VARCHAR(255) REFERENCES `pools` (`id`) ON DELETE CASCADE ON UPDATE CASCADE,
    `createdAt` DATETIME NOT NULL, `updatedAt` DATETIME NOT NULL);
CREATE UNIQUE INDEX `pools_pid` ON `pools` (`pid`);
CREATE UNIQUE INDEX `pools_name` ON `pools` (`name`);
CREATE INDEX `pools_enabled` ON `pools` (`enabled`);
CREATE INDEX `workers_pool_id` ON `workers` (`poolId`);
CREATE UNIQUE INDEX `workers_name` ON `workers` (`name`);
CREATE INDEX `workers_enabled` ON `workers` (`enabled`);
"""


def find_files(path: Path, key: Path | None) -> tuple[Path, Path]:
    """The database and the identity: PRB v2 keeps both in one folder (``/var/data``)."""
    folder = path if path.is_dir() else path.parent
    database = path / "local.db" if path.is_dir() else path
    if key is not None:
        return database, key
    for name in ("keys/LIFECYCLE", "keys/id/LIFECYCLE"):
        if (folder / name).is_file():
            return database, folder / name
    raise InventoryError(
        "there is no key of a PRB v2 lifecycle manager",
        where=str(folder),
        hint="name its file (keys/id/LIFECYCLE) with --key; operators are sealed under it",
    )


def read_prb2(database: Path, key: Path) -> list[DeclaredPool]:
    """Read a lifecycle manager's database. Raises `InventoryError` and `IdentityError`."""
    private = read_libp2p_key(_read(key))
    with _reading(database) as connection:
        rows = connection.execute(
            "SELECT id, pid, name, enabled, syncOnly, proxiedAccountSs58, encryptedOperator"
            " FROM pools ORDER BY pid"
        ).fetchall()
        found = connection.execute(
            "SELECT poolId, name, endpoint, stake, enabled, syncOnly FROM workers ORDER BY name"
        ).fetchall()
    workers: dict[str, list[DeclaredWorker]] = {row[0]: [] for row in rows}
    for pool, name, endpoint, stake, enabled, sync_only in found:
        if pool not in workers:
            raise InventoryError(f"the worker {name!r} is in no pool", where=str(database))
        if not (str(stake).isascii() and str(stake).isdecimal() and len(str(stake)) <= 40):
            raise InventoryError(f"the worker {name!r} has no stake", where=str(database))
        workers[pool].append(
            DeclaredWorker(name, endpoint, int(stake), bool(enabled), bool(sync_only))
        )
    pools = [
        DeclaredPool(
            pid=pid,
            name=name,
            enabled=bool(enabled),
            sync_only=bool(sync_only),
            owner=owner_account(owner or ""),
            operator=SecretStr(open_operator(bytes(sealed), private, f"pool {pid}")),
            workers=tuple(workers[id_]),
        )
        for id_, pid, name, enabled, sync_only, owner, sealed in rows
    ]
    return check_declaration(pools, str(database))


def write_prb2(database: Path, key: Path, pools: Sequence[DeclaredPool]) -> None:
    """Make a new database that PRB v2 opens, its operators (exports) sealed under `key`.

    PRB v2 has no pool without an operator: one whose operator is None raises `InventoryError`.
    """
    public = read_libp2p_key(_read(key))
    try:
        os.close(os.open(database, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise InventoryError(
            f"cannot be made: {error.strerror}",
            where=str(database),
            hint="name a file that does not exist yet",
        ) from None
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " +00:00"
    try:
        with contextlib.closing(sqlite3.connect(database)) as connection, connection:
            connection.executescript(_SCHEMA)
            for pool in pools:
                if pool.operator is None:
                    raise InventoryError(f"pool {pool.pid} has no operator that can be written")
                id_ = str(uuid.uuid4())
                owner = "" if pool.owner is None else ss58.encode(pool.owner, PHALA)
                sealed = seal_operator(pool.operator.get_secret_value(), public)
                row = (id_, pool.pid, pool.name, owner, sealed, pool.enabled, pool.sync_only)
                _insert(connection, "pools", (*row, now, now))
                for worker in pool.workers:
                    made = (str(uuid.uuid4()), worker.name, worker.endpoint, str(worker.stake))
                    flags = (worker.enabled, worker.sync_only)
                    _insert(connection, "workers", (*made, *flags, id_, now, now))
    except BaseException as error:
        database.unlink(missing_ok=True)
        if isinstance(error, sqlite3.Error):
            raise InventoryError(f"SQLite failed: {error}", where=str(database)) from error
        raise


def _insert(connection: sqlite3.Connection, table: str, row: Sequence[object]) -> None:
    marks = ", ".join("?" for _ in row)
    connection.execute(f"INSERT INTO {table} VALUES ({marks})", row)  # noqa: S608  our own words


def open_operator(sealed: bytes, key: RSAPrivateKey, where: str) -> str:
    """The polkadot-js export in an ``encryptedOperator``. No error says anything of it."""
    fields = _fields(sealed, where)
    try:
        secret = key.decrypt(fields[2], _OAEP)
        cipher = Cipher(algorithms.AES(secret), modes.CBC(fields[1])).decryptor()
        padded = cipher.update(fields[3]) + cipher.finalize()
        unpadder = PKCS7(_BLOCK).unpadder()
        return (unpadder.update(padded) + unpadder.finalize()).decode()
    except (KeyError, ValueError):
        raise InventoryError(
            "the operator does not open", where=where, hint="is this the key it was sealed under?"
        ) from None


def seal_operator(text: str, key: RSAPrivateKey) -> bytes:
    """Make an ``encryptedOperator``."""
    secret, iv = os.urandom(32), os.urandom(16)
    padder = PKCS7(_BLOCK).padder()
    cipher = Cipher(algorithms.AES(secret), modes.CBC(iv)).encryptor()
    padded = padder.update(text.encode()) + padder.finalize()
    parts: Mapping[int, bytes] = {
        1: iv,
        2: key.public_key().encrypt(secret, _OAEP),
        3: cipher.update(padded) + cipher.finalize(),
    }
    return b"".join(
        bytes([number << 3 | 2]) + _varint(len(part)) + part for number, part in parts.items()
    )


def _fields(data: bytes, where: str) -> dict[int, bytes]:
    """The byte strings of a flat protobuf message."""
    fields: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        tag = data[at]
        length = shift = 0
        at += 1
        while at < len(data) and shift <= 28:
            length |= (data[at] & 0x7F) << shift
            shift += 7
            at += 1
            if data[at - 1] < 0x80:
                break
        if tag & 7 != 2 or length > len(data) - at:
            raise InventoryError("the sealed operator is damaged", where=where)
        fields[tag >> 3] = data[at : at + length]
        at += length
    return fields


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(64 * 1024)
    except OSError as error:
        raise InventoryError(f"cannot be read: {error.strerror}", where=str(path)) from None


@contextlib.contextmanager
def _reading(database: Path) -> Iterator[sqlite3.Connection]:
    if not database.is_file():
        raise InventoryError("there is no such database", where=str(database))
    try:
        # as_uri quotes what SQLite would take for its own parameters.
        with contextlib.closing(
            sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)
        ) as connection:
            yield connection
    except sqlite3.Error as error:
        raise InventoryError(f"not a database of PRB v2: {error}", where=str(database)) from error
