"""PRB v2's messages on pools and workers, from and to what the inventory and the loops know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import SecretStr

from prbkit.errors import InventoryError
from prbkit.interfaces import Pool, PoolSpec, Ref, Worker, WorkerSpec
from prbkit.scale import ss58
from prbkit.wire import walkie

from .control import WorkerReport

__all__ = [
    "new_pool",
    "new_worker",
    "pool_changes",
    "pool_list",
    "ref_of",
    "worker_changes",
    "worker_list",
    "worker_state",
]

PHALA, POLKADOT = 30, 0
"""SS58 prefixes of PRB v2's two spellings of an account."""


def ref_of(identity: Any) -> Ref:
    """What a PoolOrWorkerQueryIdentity names."""
    which = identity.WhichOneof("identity")
    if which is None:
        raise InventoryError("an item says neither uuid, name nor pid")
    return Ref(**{which: getattr(identity, which)})


def new_pool(pool: Any) -> PoolSpec:
    """A prb.db.Pool of CreatePool. PRB v2 takes a pool that doesn't say `enabled` as disabled."""
    return PoolSpec(
        pid=pool.pid,
        name=pool.name,
        enabled=pool.enabled,
        sync_only=pool.sync_only,
        operator=_secret(pool),
        owner=pool.real_phala_ss58 or None,
    )


def pool_changes(pool: Any) -> PoolSpec:
    """A prb.db.Pool of UpdatePool, which is whole but for an operator that stays as it is."""
    if pool.deleted:
        return PoolSpec(deleted=True)
    return PoolSpec(
        pid=pool.pid,
        name=pool.name or None,
        enabled=pool.enabled,
        sync_only=pool.sync_only,
        operator=_secret(pool),
        owner=pool.real_phala_ss58,
    )


def new_worker(worker: Any) -> WorkerSpec:
    """A prb.db.Worker of CreateWorker."""
    return WorkerSpec(
        pid=worker.pid,
        name=worker.name,
        endpoint=worker.endpoint,
        stake=_stake(worker.stake),
        enabled=worker.enabled,
        sync_only=worker.sync_only,
    )


def worker_changes(worker: Any) -> WorkerSpec:
    """A prb.db.Worker of UpdateWorker, which is whole."""
    if worker.deleted:
        return WorkerSpec(deleted=True)
    return WorkerSpec(
        pid=worker.pid,
        name=worker.name or None,
        endpoint=worker.endpoint or None,
        stake=_stake(worker.stake) if worker.stake else None,
        enabled=worker.enabled,
        sync_only=worker.sync_only,
    )


def pool_list(pools: Sequence[Pool]) -> walkie.PoolList:
    return walkie.PoolList(pools=[_pool(pool) for pool in pools])


def worker_list(workers: Sequence[Worker]) -> walkie.WorkerList:
    return walkie.WorkerList(workers=[_worker(worker) for worker in workers])


def worker_state(worker: Worker, report: WorkerReport) -> walkie.WorkerState:
    """Heights here are the last done; GetInfo's are the next wanted."""
    account = report.session_account
    return walkie.WorkerState(
        status=walkie.WorkerState.Status.Value(report.state),
        parent_header_synched_to=report.next_relay - 1,
        para_header_synched_to=report.next_para - 1,
        para_block_dispatched_to=report.next_block - 1,
        initialized=report.initialized,
        worker=_worker(worker),
        public_key=f"0x{report.public_key}" if report.public_key else "",
        last_message=report.message,
        session_info_json=report.session,
        worker_account_id=ss58.encode(bytes.fromhex(account), PHALA) if account else "",
    )


def _pool(pool: Pool) -> walkie.Pool:
    account = walkie.FullAccount()
    if pool.operator is not None:
        account.ss58_phala = ss58.encode(pool.operator, PHALA)
        account.ss58_polkadot = ss58.encode(pool.operator, POLKADOT)
    return walkie.Pool(
        uuid=pool.uuid,
        owner=account,
        pid=pool.pid,
        name=pool.name,
        enabled=pool.enabled,
        real_phala_ss58="" if pool.owner is None else ss58.encode(pool.owner, PHALA),
        sync_only=pool.sync_only,
    )


def _worker(worker: Worker) -> walkie.Worker:
    return walkie.Worker(
        uuid=worker.uuid,
        pid=worker.pid,
        name=worker.name,
        endpoint=worker.endpoint,
        enabled=worker.enabled,
        stake=str(worker.stake),
        sync_only=worker.sync_only,
    )


def _secret(pool: Any) -> SecretStr | None:
    text = pool.owner.mnemonic or pool.owner.polkadot_json
    return SecretStr(text) if text else None


def _stake(text: str) -> int:
    text = text or "0"
    if not (text.isascii() and text.isdecimal() and len(text) <= 40):
        raise InventoryError("a stake is not a decimal number of base units")
    return int(text)
