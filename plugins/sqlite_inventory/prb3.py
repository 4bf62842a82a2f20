"""Pools and workers of PRB v3, as the commands of its ``POST /wm/config``.

A file holds one command after another (JSON lines, or one JSON list): ``{"AddPool": {name, pid,
disabled, sync_only}}``, ``{"AddWorker": {…, gatekeeper}}``, ``{"SetPoolOperator": {pid, account,
account_type: "Seed" | "SecretKey", proxied_account_id}}``, their updates and removals. What
``GetAllPoolsWithWorkers`` and ``GetAllPoolOperators`` answer is read too; those answers name the
operators' accounts and hold no secret.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import orjson
from pydantic import SecretStr

from prbkit.errors import CodecError, InventoryError
from prbkit.scale import ss58

from .declare import DeclaredPool, DeclaredWorker, check_declaration
from .validate import owner_account, stake_of

__all__ = ["read_prb3", "secret_of_export", "write_prb3"]

_RECORD = (bytes.fromhex("3053020101300506032b657004220420"), bytes.fromhex("a123032100"))
"""What stands before the secret (64 bytes) and the public key (32) in a polkadot-js export."""
PHALA = 30


def read_prb3(text: bytes, where: str) -> list[DeclaredPool]:
    """Carry commands out, in order, on an empty inventory. Raises `InventoryError`."""
    state = _State(where)
    for at, command in enumerate(_commands(text, where), 1):
        try:
            state.take(command)
        except (KeyError, TypeError, ValueError, AttributeError):
            # Not the command itself: it may hold a secret.
            raise InventoryError(
                f"the command {at} is none of PRB v3's, or lacks a field", where=where
            ) from None
    return check_declaration(state.pools(), where)


def write_prb3(pools: Sequence[DeclaredPool], *, secrets: bool) -> bytes:
    """The commands, one a line, that make these pools in PRB v3.

    :param secrets: whether operators are set too; each must be a text that Substrate tools read
        (a mnemonic, a seed, a path) or a plain export.
    """
    lines: list[dict[str, Any]] = []
    for pool in pools:
        flags = {"disabled": not pool.enabled, "sync_only": pool.sync_only}
        lines.append({"AddPool": {"name": pool.name, "pid": pool.pid, **flags}})
        if secrets and pool.operator is not None:
            kind, account = _account(pool.operator.get_secret_value(), pool.pid)
            owner = None if pool.owner is None else ss58.encode(pool.owner, PHALA)
            lines.append(
                {
                    "SetPoolOperator": {
                        "pid": pool.pid,
                        "account": account,
                        "account_type": kind,
                        "proxied_account_id": owner,
                    }
                }
            )
        lines.extend(
            {
                "AddWorker": {
                    "name": worker.name,
                    "endpoint": worker.endpoint,
                    "stake": str(worker.stake),
                    "pid": pool.pid,
                    "disabled": not worker.enabled,
                    "sync_only": worker.sync_only,
                    "gatekeeper": False,
                }
            }
            for worker in pool.workers
        )
    return b"".join(orjson.dumps(line) + b"\n" for line in lines)


class _State:
    """What the commands have made so far."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._pools: dict[int, DeclaredPool] = {}
        self._workers: dict[str, tuple[DeclaredWorker, int]] = {}

    def pools(self) -> list[DeclaredPool]:
        return [
            replace(pool, workers=tuple(w for w, pid in self._workers.values() if pid == pool.pid))
            for pool in self._pools.values()
        ]

    def take(self, command: Any) -> None:
        match command:
            case str():
                return  # a query, such as "GetAllPools"
            case {"AddPool": fields} | {"UpdatePool": fields}:
                self._pool(fields)
            case {"RemovePool": {"pid": int(pid)}}:
                del self._pools[pid]
            case {"AddWorker": fields} | {"UpdateWorker": fields}:
                self._worker(fields, fields["pid"])
            case {"RemoveWorker": {"name": str(name)}}:
                del self._workers[name]
            case {"SetPoolOperator": fields}:
                self._operator(fields)
            case {"operator_account_id": str(), "pid": int(pid), **rest}:
                owner = owner_account(str(rest.get("proxied_account_id") or ""))
                self._pools[pid] = replace(self._pools[pid], owner=owner)
            case {"workers": list(workers), "pid": int(pid), **rest}:
                self._pool({**rest, "pid": pid})
                for worker in workers:
                    self._worker(worker, pid)
            case dict() if command.keys() <= {"GetPool", "GetPoolWithWorkers", "GetPoolOperator"}:
                return
            case _:
                raise ValueError("no such command")

    def _pool(self, fields: Any) -> None:
        before = self._pools.get(fields["pid"], DeclaredPool(fields["pid"], fields["name"]))
        enabled, sync_only = _flags(fields)
        self._pools[before.pid] = replace(
            before, name=fields["name"], enabled=enabled, sync_only=sync_only
        )

    def _worker(self, fields: Any, pid: int) -> None:
        if pid not in self._pools:
            raise InventoryError(f"a worker is in pool {pid}, which is not there")
        if fields.get("gatekeeper"):
            raise InventoryError(
                f"the worker {fields['name']!r} is a gatekeeper", hint="prbkit keeps none"
            )
        enabled, sync_only = _flags(fields)
        self._workers.pop(fields["name"], None)
        name = fields.get("new_name") or fields["name"]
        stake = stake_of(str(fields["stake"]))
        made = DeclaredWorker(name, fields["endpoint"], stake, enabled, sync_only)
        self._workers[name] = (made, pid)

    def _operator(self, fields: Any) -> None:
        pid = fields["pid"]
        match fields["account_type"]:
            case "Seed":
                uri = str(fields["account"])
            case "SecretKey":
                uri = _export_of(str(fields["account"]), pid)
            case _:
                raise ValueError("no such type of an account")
        owner = owner_account(fields.get("proxied_account_id") or "")
        self._pools[pid] = replace(self._pools[pid], operator=SecretStr(uri), owner=owner)


def _flags(fields: Any) -> tuple[bool, bool]:
    """Commands say `disabled`, answers `enabled`."""
    disabled = fields["disabled"] if "disabled" in fields else not fields.get("enabled", True)
    return not disabled, bool(fields.get("sync_only"))


def _commands(text: bytes, where: str) -> Iterable[Any]:
    try:
        whole = orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            return [orjson.loads(line) for line in text.splitlines() if line.strip()]
        except orjson.JSONDecodeError:
            raise InventoryError("neither JSON nor JSON lines", where=where) from None
    return whole if isinstance(whole, list) else [whole]


def _export_of(secret_hex: str, pid: int) -> str:
    """A plain polkadot-js export of a secret key in hex, expanded as ed25519 has it."""
    import sr25519

    try:
        secret = bytes.fromhex(secret_hex.removeprefix("0x"))
        public, _ = sr25519.pair_from_ed25519_secret_key(secret)
    except (ValueError, TypeError):
        raise InventoryError(f"the secret key of pool {pid} is none of 64 bytes") from None
    record = _RECORD[0] + secret + _RECORD[1] + bytes(public)
    export = {
        "encoded": base64.b64encode(record).decode(),
        "encoding": {"content": ["pkcs8", "sr25519"], "type": ["none"], "version": "3"},
        "address": ss58.encode(bytes(public), PHALA),
        "meta": {},
    }
    return orjson.dumps(export).decode()


def secret_of_export(text: str) -> bytes | None:
    """The secret key (64 bytes) in a plain sr25519 export, None where the text is none."""
    try:
        export = orjson.loads(text)
        encoding = export["encoding"]
        if "sr25519" not in encoding["content"] or "none" not in encoding["type"]:
            return None
        record = base64.b64decode(export["encoded"], validate=True)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None
    before, between = _RECORD
    end = len(before) + 64
    if not record.startswith(before) or record[end : end + len(between)] != between:
        return None
    return record[len(before) : end]


def _account(uri: str, pid: int) -> tuple[str, str]:
    if uri.lstrip().startswith("{"):
        secret = secret_of_export(uri)
        if secret is None:
            raise CodecError(f"the operator of pool {pid} is an export that PRB v3 cannot read")
        return "SecretKey", secret.hex()
    scheme = uri.partition(":")[0]
    if ":" in uri and scheme != "sr25519":
        raise CodecError(
            f"the operator of pool {pid} is a {scheme}: signer, which PRB v3 does not have",
            hint="export without secrets, and set the operator there",
        )
    return "Seed", uri.removeprefix("sr25519:")
