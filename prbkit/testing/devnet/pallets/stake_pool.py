"""phala stake pools v2: the calls of pool owners and stakers, wrapped balances among them."""

from __future__ import annotations

from prbkit.testing.devnet.dispatch import (
    Args,
    Context,
    DispatchFailed,
    Origin,
    call,
    ensure_signed,
)
from prbkit.testing.devnet.pallets import assets, balances, computation, pools
from prbkit.testing.devnet.phala_tables import (
    MAX_POOL_WORKERS,
    MIN_CONTRIBUTION,
    SUBSIDY_ACCOUNT,
    WRAPPED_ACCOUNT,
)

__all__ = ["genesis", "session_account"]

NAME = "PhalaStakePoolv2"
_FIRST_COLLECTION = 10_000
#: What the subsidy pool can pay as rewards: a million PHA.
_SUBSIDY = 10**18


def session_account(pid: int, pubkey: bytes) -> bytes:
    """Return the account that stands for a worker in a pool."""
    return pools.sub_account(b"spm/", pid, pubkey)


def genesis(ctx: Context) -> None:
    """Create wrapped PHA and the pools that the settings ask for."""
    assets.genesis(ctx, ctx.settings.sudo)
    ctx.put("PhalaBasePool", "CollectionIndex", _FIRST_COLLECTION)
    _issue(ctx, SUBSIDY_ACCOUNT, _SUBSIDY)
    for wanted in ctx.settings.pools:
        pool = pools.create(ctx, wanted.owner)
        if wanted.stake:
            _issue(ctx, WRAPPED_ACCOUNT, wanted.stake)
            assets.mint(ctx, wanted.owner, wanted.stake)
            pools.contribute(ctx, wanted.owner, pool, wanted.stake)


def _issue(ctx: Context, who: bytes, amount: int) -> None:
    issued = ctx.get("Balances", "TotalIssuance")
    ctx.put("Balances", "TotalIssuance", issued + amount)
    balances.deposit(ctx, who, amount)


@call("PhalaWrappedBalances", "wrap")
def wrap(ctx: Context, origin: Origin, args: Args) -> None:
    who, amount = ensure_signed(origin), args["amount"]
    balances.move(ctx, who, WRAPPED_ACCOUNT, amount, keep_alive=True)
    assets.mint(ctx, who, amount)
    ctx.deposit("PhalaWrappedBalances", "Wrapped", user=who, amount=amount)


@call(NAME, "create")
def create(ctx: Context, origin: Origin, args: Args) -> None:
    pools.create(ctx, ensure_signed(origin))


@call(NAME, "set_cap")
def set_cap(ctx: Context, origin: Origin, args: Args) -> None:
    pool = pools.owned_pool(ctx, args["pid"], ensure_signed(origin))
    fits = pool["basepool"]["total_value"] <= args["cap"]
    ctx.ensure(fits, NAME, "InadequateCapacity")
    pools.save(ctx, pool | {"cap": args["cap"]})
    ctx.deposit(NAME, "PoolCapacitySet", pid=args["pid"], cap=args["cap"])


@call(NAME, "contribute")
def contribute(ctx: Context, origin: Origin, args: Args) -> None:
    who, amount = ensure_signed(origin), args["amount"]
    if args["as_vault"] is not None:
        ctx.fail("PhalaBasePool", "PoolTypeNotMatch")
    pool = pools.pool(ctx, args["pid"])
    ctx.ensure(amount >= MIN_CONTRIBUTION, NAME, "InsufficientContribution")
    ctx.ensure(assets.balance(ctx, who) >= amount, NAME, "InsufficientBalance")
    shares = pools.contribute(ctx, who, pool, amount)
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
    pool = pools.owned_pool(ctx, pid, who)
    ctx.ensure(pubkey not in pool["workers"], NAME, "WorkerExists")
    ctx.ensure(len(pool["workers"]) < MAX_POOL_WORKERS, NAME, "WorkersExceedLimit")
    session = session_account(pid, pubkey)
    try:
        computation.bind(ctx, session, pubkey)
    except DispatchFailed:
        ctx.fail(NAME, "FailedToBindSessionAndWorker")
    ctx.put(NAME, "SubAccountPreimages", session, (pid, pubkey))
    pools.save(ctx, pool | {"workers": [*pool["workers"], pubkey]})
    ctx.put(NAME, "WorkerAssignments", pubkey, pid)
    ctx.deposit(NAME, "PoolWorkerAdded", pid=pid, worker=pubkey, session=session)


def _forget_worker(ctx: Context, pubkey: bytes) -> None:
    """Take a worker off its pool's list."""
    pid = ctx.take(NAME, "WorkerAssignments", pubkey)
    pool = pools.pool(ctx, pid)
    pools.save(ctx, pool | {"workers": [each for each in pool["workers"] if each != pubkey]})
    ctx.deposit(NAME, "PoolWorkerRemoved", pid=pid, worker=pubkey)


@call(NAME, "remove_worker")
def remove_worker(ctx: Context, origin: Origin, args: Args) -> None:
    pid, pubkey = args["pid"], args["worker"]
    pools.owned_pool(ctx, pid, ensure_signed(origin))
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
    pool = pools.owned_pool(ctx, pid, who)
    account = pool["basepool"]["pool_account_id"]
    ctx.ensure(assets.balance(ctx, account) >= stake, NAME, "InsufficientFreeStake")
    ctx.ensure(pubkey in pool["workers"], NAME, "WorkerDoesNotExist")
    computation.start_computing(ctx, session_account(pid, pubkey), stake)
    assets.transfer(ctx, account, pool["lock_account"], stake)
    ctx.deposit(NAME, "WorkingStarted", pid=pid, worker=pubkey, amount=stake)


def _stop(ctx: Context, who: bytes, pid: int, pubkey: bytes) -> None:
    pool = pools.owned_pool(ctx, pid, who)
    ctx.ensure(pubkey in pool["workers"], NAME, "WorkerDoesNotExist")
    ctx.ensure(pubkey not in pool["cd_workers"], NAME, "WorkerAlreadyStopped")
    computation.stop_computing(ctx, session_account(pid, pubkey))
    pools.save(ctx, pool | {"cd_workers": [*pool["cd_workers"], pubkey]})


def _reclaim(ctx: Context, pid: int, pubkey: bytes, *, check_cooldown: bool) -> int:
    session = session_account(pid, pubkey)
    stake = computation.reclaim(ctx, session, check_cooldown=check_cooldown)
    pool = pools.pool(ctx, pid)
    assets.transfer(ctx, pool["lock_account"], pool["basepool"]["pool_account_id"], stake)
    ctx.deposit(NAME, "WorkerReclaimed", pid=pid, worker=pubkey)
    pools.save(ctx, pool | {"cd_workers": [each for each in pool["cd_workers"] if each != pubkey]})
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
    pools.pool(ctx, args["pid"])
    _reclaim(ctx, args["pid"], args["worker"], check_cooldown=True)


@call(NAME, "restart_computing")
def restart_computing(ctx: Context, origin: Origin, args: Args) -> None:
    who, pid, pubkey = ensure_signed(origin), args["pid"], args["worker"]
    queue = pools.pool(ctx, pid)["basepool"]["withdraw_queue"]
    ctx.ensure(not queue, NAME, "WithdrawQueueNotEmpty")
    _stop(ctx, who, pid, pubkey)
    released = _reclaim(ctx, pid, pubkey, check_cooldown=False)
    ctx.ensure(args["stake"] > released, NAME, "CannotRestartWithLessStake")
    _start(ctx, who, pid, pubkey, args["stake"])
