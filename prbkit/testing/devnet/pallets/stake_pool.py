"""phala stake pools v2, with the base pools and wrapped balances they stand on.

A share of a pool is kept as what it is worth; the tokens that stand for shares on Phala are
counted (``NextNftId``) and announced, but not kept.
"""

from __future__ import annotations

from typing import Any

from prbkit._native import core
from prbkit.testing.devnet.dispatch import (
    Args,
    Context,
    DispatchFailed,
    Origin,
    call,
    ensure_signed,
)
from prbkit.testing.devnet.pallets import assets, balances, computation
from prbkit.testing.devnet.para_tables import (
    MAX_POOL_WORKERS,
    MIN_CONTRIBUTION,
    WRAPPED_ACCOUNT,
)
from prbkit.testing.layouts import u64

__all__ = ["genesis", "session_account"]

NAME = "PhalaStakePoolv2"
_FIRST_COLLECTION = 10_000


def session_account(pid: int, pubkey: bytes) -> bytes:
    """Return the account that stands for a worker in a pool."""
    return _sub_account(b"spm/", pid, pubkey)


def _sub_account(prefix: bytes, pid: int, key: bytes) -> bytes:
    return (prefix + core.blake2b_256(u64.write(pid) + key))[:32]


def genesis(ctx: Context) -> None:
    """Create wrapped PHA and the pools that the settings ask for."""
    assets.genesis(ctx, ctx.settings.sudo)
    ctx.put("PhalaBasePool", "CollectionIndex", _FIRST_COLLECTION)
    for wanted in ctx.settings.pools:
        pool = _create(ctx, wanted.owner)
        if wanted.stake:
            issued = ctx.get("Balances", "TotalIssuance")
            ctx.put("Balances", "TotalIssuance", issued + wanted.stake)
            balances.deposit(ctx, WRAPPED_ACCOUNT, wanted.stake)
            assets.mint(ctx, wanted.owner, wanted.stake)
            _contribute(ctx, wanted.owner, pool, wanted.stake)


# ------------------------------------------------------------------------------------------- pools


def _pool(ctx: Context, pid: int) -> dict[str, Any]:
    found = ctx.get("PhalaBasePool", "Pools", pid)
    if found is None:
        ctx.fail("PhalaBasePool", "PoolDoesNotExist")
    if "StakePool" not in found:
        ctx.fail("PhalaBasePool", "PoolTypeNotMatch")
    pool: dict[str, Any] = found["StakePool"]
    return pool


def _owned_pool(ctx: Context, pid: int, who: bytes) -> dict[str, Any]:
    pool = _pool(ctx, pid)
    ctx.ensure(pool["basepool"]["owner"] == who, NAME, "UnauthorizedPoolOwner")
    return pool


def _save(ctx: Context, pool: dict[str, Any]) -> None:
    ctx.put("PhalaBasePool", "Pools", pool["basepool"]["pid"], {"StakePool": pool})


def _create(ctx: Context, owner: bytes) -> dict[str, Any]:
    pid = ctx.get("PhalaBasePool", "PoolCount")
    ctx.put("PhalaBasePool", "PoolCount", pid + 1)
    cid = ctx.get("PhalaBasePool", "CollectionIndex")
    ctx.put("PhalaBasePool", "CollectionIndex", cid + 1)
    base = {
        "pid": pid,
        "owner": owner,
        "total_shares": 0,
        "total_value": 0,
        "withdraw_queue": [],
        "value_subscribers": [],
        "cid": cid,
        "pool_account_id": _sub_account(b"bp/", pid, owner),
    }
    pool: dict[str, Any] = {
        "basepool": base,
        "payout_commission": None,
        "cap": None,
        "workers": [],
        "cd_workers": [],
        "lock_account": _sub_account(b"sl/", pid, owner),
        "owner_reward_account": _sub_account(b"so/", pid, owner),
    }
    _save(ctx, pool)
    ctx.put("PhalaBasePool", "PoolCollections", cid, pid)
    ctx.deposit(
        NAME, "PoolCreated", owner=owner, pid=pid, cid=cid, pool_account_id=base["pool_account_id"]
    )
    return pool


def _contribute(ctx: Context, who: bytes, pool: dict[str, Any], amount: int) -> int:
    """Move wrapped PHA into a pool; return the shares that it buys at the pool's price."""
    base = pool["basepool"]
    shares, value = base["total_shares"], base["total_value"]
    ctx.ensure(not shares or value > 0, "PhalaBasePool", "PoolBankrupt")
    bought = amount * shares // value if shares else amount
    base["total_shares"], base["total_value"] = shares + bought, value + amount
    nft = ctx.get("PhalaBasePool", "NextNftId", base["cid"])
    ctx.put("PhalaBasePool", "NextNftId", base["cid"], nft + 1)
    ctx.deposit(
        "PhalaBasePool",
        "NftCreated",
        pid=base["pid"],
        cid=base["cid"],
        nft_id=nft,
        owner=who,
        shares=bought,
    )
    assets.transfer(ctx, who, base["pool_account_id"], amount)
    _save(ctx, pool)
    return int(bought)


@call("PhalaWrappedBalances", "wrap")
def wrap(ctx: Context, origin: Origin, args: Args) -> None:
    who, amount = ensure_signed(origin), args["amount"]
    balances.move(ctx, who, WRAPPED_ACCOUNT, amount, keep_alive=True)
    assets.mint(ctx, who, amount)
    ctx.deposit("PhalaWrappedBalances", "Wrapped", user=who, amount=amount)


@call(NAME, "create")
def create(ctx: Context, origin: Origin, args: Args) -> None:
    _create(ctx, ensure_signed(origin))


@call(NAME, "set_cap")
def set_cap(ctx: Context, origin: Origin, args: Args) -> None:
    pool = _owned_pool(ctx, args["pid"], ensure_signed(origin))
    fits = pool["basepool"]["total_value"] <= args["cap"]
    ctx.ensure(fits, NAME, "InadequateCapacity")
    _save(ctx, pool | {"cap": args["cap"]})
    ctx.deposit(NAME, "PoolCapacitySet", pid=args["pid"], cap=args["cap"])


@call(NAME, "contribute")
def contribute(ctx: Context, origin: Origin, args: Args) -> None:
    who, amount = ensure_signed(origin), args["amount"]
    if args["as_vault"] is not None:
        ctx.fail("PhalaBasePool", "PoolTypeNotMatch")
    pool = _pool(ctx, args["pid"])
    ctx.ensure(amount >= MIN_CONTRIBUTION, NAME, "InsufficientContribution")
    ctx.ensure(assets.balance(ctx, who) >= amount, NAME, "InsufficientBalance")
    shares = _contribute(ctx, who, pool, amount)
    cap = pool["cap"]
    fits = cap is None or pool["basepool"]["total_value"] <= cap
    ctx.ensure(fits, NAME, "StakeExceedsCapacity")
    ctx.deposit(
        NAME,
        "Contribution",
        pid=args["pid"],
        user=who,
        amount=amount,
        shares=shares,
        as_vault=None,
    )


# ----------------------------------------------------------------------------------------- workers


@call(NAME, "add_worker")
def add_worker(ctx: Context, origin: Origin, args: Args) -> None:
    who, pid, pubkey = ensure_signed(origin), args["pid"], args["pubkey"]
    worker = ctx.get("PhalaRegistry", "Workers", pubkey)
    if worker is None:
        ctx.fail(NAME, "WorkerNotRegistered")
    ctx.ensure(worker["operator"] == who, NAME, "UnauthorizedOperator")
    ctx.ensure(worker["initial_score"] is not None, NAME, "BenchmarkMissing")
    pool = _owned_pool(ctx, pid, who)
    ctx.ensure(pubkey not in pool["workers"], NAME, "WorkerExists")
    ctx.ensure(len(pool["workers"]) < MAX_POOL_WORKERS, NAME, "WorkersExceedLimit")
    session = session_account(pid, pubkey)
    try:
        computation.bind(ctx, session, pubkey)
    except DispatchFailed:
        ctx.fail(NAME, "FailedToBindSessionAndWorker")
    ctx.put(NAME, "SubAccountPreimages", session, (pid, pubkey))
    _save(ctx, pool | {"workers": [*pool["workers"], pubkey]})
    ctx.put(NAME, "WorkerAssignments", pubkey, pid)
    ctx.deposit(NAME, "PoolWorkerAdded", pid=pid, worker=pubkey, session=session)


def _forget_worker(ctx: Context, pubkey: bytes) -> None:
    """Take a worker off its pool's list."""
    pid = ctx.take(NAME, "WorkerAssignments", pubkey)
    pool = _pool(ctx, pid)
    _save(ctx, pool | {"workers": [each for each in pool["workers"] if each != pubkey]})
    ctx.deposit(NAME, "PoolWorkerRemoved", pid=pid, worker=pubkey)


@call(NAME, "remove_worker")
def remove_worker(ctx: Context, origin: Origin, args: Args) -> None:
    pid, pubkey = args["pid"], args["worker"]
    _owned_pool(ctx, pid, ensure_signed(origin))
    assigned = ctx.get(NAME, "WorkerAssignments", pubkey)
    ctx.ensure(assigned is not None, NAME, "WorkerDoesNotExist")
    ctx.ensure(assigned == pid, NAME, "WorkerInAnotherPool")
    session = session_account(pid, pubkey)
    info = ctx.get("PhalaComputation", "Sessions", session)
    if info is None:
        ctx.fail(NAME, "SessionDoesNotExist")
    ctx.ensure(info["state"] == "Ready", NAME, "WorkerIsNotReady")
    computation.unbind_session(ctx, session)
    _forget_worker(ctx, pubkey)


@call("PhalaComputation", "unbind")
def unbind(ctx: Context, origin: Origin, args: Args) -> None:
    computation.operated_worker(ctx, origin, args["session"])
    _forget_worker(ctx, computation.unbind_session(ctx, args["session"]))


def _start(ctx: Context, who: bytes, pid: int, pubkey: bytes, stake: int) -> None:
    pool = _owned_pool(ctx, pid, who)
    account = pool["basepool"]["pool_account_id"]
    ctx.ensure(assets.balance(ctx, account) >= stake, NAME, "InsufficientFreeStake")
    ctx.ensure(pubkey in pool["workers"], NAME, "WorkerDoesNotExist")
    computation.start_computing(ctx, session_account(pid, pubkey), stake)
    assets.transfer(ctx, account, pool["lock_account"], stake)
    ctx.deposit(NAME, "WorkingStarted", pid=pid, worker=pubkey, amount=stake)


def _stop(ctx: Context, who: bytes, pid: int, pubkey: bytes) -> None:
    pool = _owned_pool(ctx, pid, who)
    ctx.ensure(pubkey in pool["workers"], NAME, "WorkerDoesNotExist")
    ctx.ensure(pubkey not in pool["cd_workers"], NAME, "WorkerAlreadyStopped")
    computation.stop_computing(ctx, session_account(pid, pubkey))
    _save(ctx, pool | {"cd_workers": [*pool["cd_workers"], pubkey]})


def _reclaim(ctx: Context, pid: int, pubkey: bytes, *, check_cooldown: bool) -> int:
    session = session_account(pid, pubkey)
    stake = computation.reclaim(ctx, session, check_cooldown=check_cooldown)
    pool = _pool(ctx, pid)
    assets.transfer(ctx, pool["lock_account"], pool["basepool"]["pool_account_id"], stake)
    ctx.deposit(NAME, "WorkerReclaimed", pid=pid, worker=pubkey)
    _save(ctx, pool | {"cd_workers": [each for each in pool["cd_workers"] if each != pubkey]})
    return stake


@call(NAME, "start_computing")
def start_computing(ctx: Context, origin: Origin, args: Args) -> None:
    _start(ctx, ensure_signed(origin), args["pid"], args["worker"], args["stake"])


@call(NAME, "stop_computing")
def stop_computing(ctx: Context, origin: Origin, args: Args) -> None:
    _stop(ctx, ensure_signed(origin), args["pid"], args["worker"])


@call(NAME, "reclaim_pool_worker")
def reclaim_pool_worker(ctx: Context, origin: Origin, args: Args) -> None:
    ensure_signed(origin)
    _pool(ctx, args["pid"])
    _reclaim(ctx, args["pid"], args["worker"], check_cooldown=True)


@call(NAME, "restart_computing")
def restart_computing(ctx: Context, origin: Origin, args: Args) -> None:
    who, pid, pubkey = ensure_signed(origin), args["pid"], args["worker"]
    queue = _pool(ctx, pid)["basepool"]["withdraw_queue"]
    ctx.ensure(not queue, NAME, "WithdrawQueueNotEmpty")
    _stop(ctx, who, pid, pubkey)
    released = _reclaim(ctx, pid, pubkey, check_cooldown=False)
    ctx.ensure(args["stake"] > released, NAME, "CannotRestartWithLessStake")
    _start(ctx, who, pid, pubkey, args["stake"])
