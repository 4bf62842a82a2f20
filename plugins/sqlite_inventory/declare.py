"""What an inventory should hold, and the changes that make it so: pure, but for reading secrets.

A declaration comes from a TOML file (`read_declaration`) or from another bridge's data (`prb2`,
`prb3`). A pool is known by its pid, a worker by its name. An operator that a declaration does not
name stays as it is, since no inventory can show it.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from prbkit.errors import ConfigError, InventoryError
from prbkit.interfaces import Pool, PoolSpec, Ref, Worker, WorkerSpec
from prbkit.scale import ss58

from .validate import check_pool, check_worker, owner_account, stake_of

__all__ = [
    "Change",
    "DeclaredPool",
    "DeclaredWorker",
    "Operator",
    "Plan",
    "check_declaration",
    "make_plan",
    "read_declaration",
]

MOST_BYTES = 16 * 2**20
PHALA = 30


@dataclass(frozen=True, slots=True)
class DeclaredWorker:
    """A worker as it should be; `stake` in base units."""

    name: str
    endpoint: str
    stake: int = 0
    enabled: bool = True
    sync_only: bool = False


@dataclass(frozen=True, slots=True)
class DeclaredPool:
    """A pool as it should be; `operator` None leaves the one that is there."""

    pid: int
    name: str
    enabled: bool = True
    sync_only: bool = False
    owner: bytes | None = None
    operator: SecretStr | None = None
    workers: tuple[DeclaredWorker, ...] = ()


@dataclass(frozen=True, slots=True)
class Operator:
    """A new operator of a pool: the account it signs for, and its URI."""

    account: bytes
    uri: SecretStr


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a diff: `fields` has (before, after) of each field that changes."""

    kind: str
    what: str
    name: str
    fields: Mapping[str, tuple[Any, Any]]

    def as_json(self) -> dict[str, Any]:
        fields = {name: {"from": old, "to": new} for name, (old, new) in self.fields.items()}
        return {"kind": self.kind, "what": self.what, "name": self.name, "fields": fields}


@dataclass(frozen=True, slots=True)
class Plan:
    """A diff and the calls that carry it out, each list in one call, in this order."""

    changes: list[Change] = field(default_factory=list)
    pools_added: list[PoolSpec] = field(default_factory=list)
    pools_changed: list[tuple[Ref, PoolSpec]] = field(default_factory=list)
    workers_removed: list[tuple[Ref, WorkerSpec]] = field(default_factory=list)
    workers_changed: list[tuple[Ref, WorkerSpec]] = field(default_factory=list)
    workers_added: list[WorkerSpec] = field(default_factory=list)
    pools_removed: list[tuple[Ref, PoolSpec]] = field(default_factory=list)


# --- the file


def read_declaration(path: Path) -> list[DeclaredPool]:
    """Read a file of ``[[pools]]`` with ``[[pools.workers]]``.

    An operator is given by `operator_file` (relative to the file), `operator_env`, or as a signer
    URI in `operator`. Raises `ConfigError` that names the place.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ConfigError(f"over {MOST_BYTES} bytes", where=str(path))
        tree = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path)) from None
    except (ValueError, RecursionError) as error:  # TOML, UTF-8, and numbers of 4300 digits
        raise ConfigError(f"not TOML: {error}", where=str(path)) from None
    _known(tree, {"pools"}, str(path))
    pools = [
        _pool(table, f"{path}: pools[{at}]", path.parent)
        for at, table in enumerate(_tables(tree, "pools", str(path)))
    ]
    return check_declaration(pools, str(path))


def check_declaration(pools: Sequence[DeclaredPool], where: str) -> list[DeclaredPool]:
    """Refuse what no inventory can hold, before anything is changed."""
    seen: set[tuple[str, Any]] = set()
    for pool in pools:
        names: list[tuple[str, Any]] = [("pid", pool.pid), ("pool's name", pool.name)]
        try:
            check_pool(PoolSpec(pid=pool.pid, name=pool.name), new=True)
            for worker in pool.workers:
                check_worker(_worker_spec(worker, pool.pid), new=True)
                names.append(("worker's name", worker.name))
        except InventoryError as error:
            raise ConfigError(error.message, where=where, hint=error.hint) from None
        for name in names:
            if name in seen:
                raise ConfigError(f"the {name[0]} {name[1]!r} stands there twice", where=where)
            seen.add(name)
    return list(pools)


def _pool(table: Mapping[str, Any], where: str, folder: Path) -> DeclaredPool:
    fields = {"pid": int, "name": str, "enabled": bool, "sync_only": bool}
    extra = {"owner", "operator", "operator_file", "operator_env", "workers"}
    _known(table, fields.keys() | extra, where)
    try:
        owner = owner_account(_typed(table, "owner", str, where) or "")
    except InventoryError as error:
        raise ConfigError(error.message, where=where, hint=error.hint) from None
    return DeclaredPool(
        **_fields(table, fields, ("pid", "name"), where),
        owner=owner,
        operator=_secret(table, where, folder),
        workers=tuple(
            _worker(worker, f"{where}.workers[{at}]")
            for at, worker in enumerate(_tables(table, "workers", where))
        ),
    )


def _worker(table: Mapping[str, Any], where: str) -> DeclaredWorker:
    fields = {"name": str, "endpoint": str, "enabled": bool, "sync_only": bool}
    _known(table, fields.keys() | {"stake"}, where)
    stake = table.get("stake", 0)
    if isinstance(stake, bool) or not isinstance(stake, (int, str)):
        raise ConfigError("a stake is a number or a text", where=f"{where}.stake")
    try:
        units = stake_of(stake)
    except InventoryError as error:
        raise ConfigError(error.message, where=f"{where}.stake", hint=error.hint) from None
    return DeclaredWorker(**_fields(table, fields, ("name", "endpoint"), where), stake=units)


def _secret(table: Mapping[str, Any], where: str, folder: Path) -> SecretStr | None:
    given = [name for name in ("operator", "operator_file", "operator_env") if name in table]
    if not given:
        return None
    if len(given) > 1:
        raise ConfigError(f"give one of {' and '.join(given)}", where=where)
    [name] = given
    if not isinstance(table[name], str):
        raise ConfigError("is no text", where=f"{where}.{name}")
    if name == "operator":
        text = table[name]
    elif name == "operator_env":
        text = os.environ.get(table[name], "")
    else:
        try:
            text = (folder / Path(table[name]).expanduser()).read_text("utf-8")
        except OSError as error:
            raise ConfigError(
                f"the operator's file cannot be read: {error.strerror}", where=f"{where}.{name}"
            ) from None
        except UnicodeDecodeError:
            raise ConfigError("the operator's file is no text", where=f"{where}.{name}") from None
    if not text.strip():
        raise ConfigError("the operator's secret is empty", where=f"{where}.{name}")
    return SecretStr(text.strip())


def _known(table: Mapping[str, Any], names: set[str], where: str) -> None:
    for name in table.keys() - names:
        raise ConfigError(
            f"unknown key {name!r}", where=where, hint=f"known are {', '.join(sorted(names))}"
        )


def _tables(table: Mapping[str, Any], name: str, where: str) -> Sequence[Mapping[str, Any]]:
    found = table.get(name, [])
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise ConfigError(f"{name} is no list of tables", where=where)
    return found


def _typed(table: Mapping[str, Any], name: str, kind: type, where: str) -> Any:
    value = table.get(name)
    # A bool is an int to Python, and none to the person who wrote `pid = true`.
    if value is not None and type(value) is not kind:
        raise ConfigError(f"is no {kind.__name__}", where=f"{where}.{name}")
    return value


def _fields(
    table: Mapping[str, Any], kinds: Mapping[str, type], needed: Sequence[str], where: str
) -> dict[str, Any]:
    for name in needed:
        if name not in table:
            raise ConfigError("missing, and it is needed", where=f"{where}.{name}")
    return {name: _typed(table, name, kinds[name], where) for name in kinds if name in table}


# --- the difference


def make_plan(
    declared: Sequence[DeclaredPool],
    pools: Sequence[Pool],
    workers: Sequence[Worker],
    *,
    operators: Mapping[int, Operator],
    remove: bool,
) -> Plan:
    """Tell what must change for an inventory to hold what is declared.

    :param operators: the operators that change, by pid.
    :param remove: whether what is not declared goes.
    """
    plan = Plan()
    _plan_pools(plan, declared, pools, operators, remove)
    _plan_workers(plan, declared, workers, remove)
    return plan


def _plan_pools(
    plan: Plan,
    declared: Sequence[DeclaredPool],
    pools: Sequence[Pool],
    operators: Mapping[int, Operator],
    remove: bool,
) -> None:
    known = {pool.pid: pool for pool in pools}
    for wanted in declared:
        operator = operators.get(wanted.pid)
        spec = PoolSpec(
            pid=wanted.pid,
            name=wanted.name,
            enabled=wanted.enabled,
            sync_only=wanted.sync_only,
            owner=_address(wanted.owner) or "",
            operator=None if operator is None else operator.uri,
        )
        pool = known.get(wanted.pid)
        fields = _difference(_pool_view(pool), _pool_view(wanted))
        if operator is not None:
            before = None if pool is None else _address(pool.operator)
            fields["operator"] = (before, _address(operator.account))
        if pool is None:
            plan.changes.append(Change("add", "pool", wanted.name, fields))
            plan.pools_added.append(replace(spec, owner=spec.owner or None))
        elif fields:
            plan.changes.append(Change("change", "pool", pool.name, fields))
            plan.pools_changed.append((Ref(uuid=pool.uuid), spec))
    for pool in pools if remove else ():
        if pool.pid not in {wanted.pid for wanted in declared}:
            fields = _difference(_pool_view(pool), {})
            plan.changes.append(Change("remove", "pool", pool.name, fields))
            plan.pools_removed.append((Ref(uuid=pool.uuid), PoolSpec(deleted=True)))


def _plan_workers(
    plan: Plan,
    declared: Sequence[DeclaredPool],
    workers: Sequence[Worker],
    remove: bool,
) -> None:
    wanted = {worker.name: (worker, pool.pid) for pool in declared for worker in pool.workers}
    known = {worker.name: worker for worker in workers}
    for name, (want, pid) in wanted.items():
        worker = known.get(name)
        view = {**_worker_view(want), "pid": pid}
        fields = _difference({} if worker is None else _worker_view(worker), view)
        if worker is None:
            plan.changes.append(Change("add", "worker", name, fields))
            plan.workers_added.append(_worker_spec(want, pid))
        elif fields:
            plan.changes.append(Change("change", "worker", name, fields))
            plan.workers_changed.append((Ref(uuid=worker.uuid), _worker_spec(want, pid)))
    for name, worker in known.items() if remove else ():
        if name not in wanted:
            fields = _difference(_worker_view(worker), {})
            plan.changes.append(Change("remove", "worker", name, fields))
            plan.workers_removed.append((Ref(uuid=worker.uuid), WorkerSpec(deleted=True)))


def _worker_spec(worker: DeclaredWorker, pid: int) -> WorkerSpec:
    return WorkerSpec(
        pid=pid,
        name=worker.name,
        endpoint=worker.endpoint,
        stake=worker.stake,
        enabled=worker.enabled,
        sync_only=worker.sync_only,
    )


def _pool_view(pool: Pool | DeclaredPool | None) -> dict[str, Any]:
    if pool is None:
        return {}
    names = ("pid", "name", "enabled", "sync_only")
    return {**{name: getattr(pool, name) for name in names}, "owner": _address(pool.owner)}


def _worker_view(worker: Worker | DeclaredWorker) -> dict[str, Any]:
    view = {name: getattr(worker, name) for name in ("name", "endpoint", "enabled", "sync_only")}
    view["stake"] = str(worker.stake)
    if isinstance(worker, Worker):
        view["pid"] = worker.pid
    return view


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: (before.get(name), after.get(name))
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    }


def _address(account: bytes | None) -> str | None:
    return None if account is None else ss58.encode(account, PHALA)
