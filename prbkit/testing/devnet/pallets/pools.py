"""phala base pools: what pools hold, who has a share in it, and the rewards that they get.

A share of a pool is kept as what it is worth; the tokens that stand for shares on Phala are
counted (``NextNftId``) and announced, but not kept.
"""

from __future__ import annotations

from typing import Any

from prbkit._native import core
from prbkit.testing.devnet.dispatch import Context
from prbkit.testing.devnet.pallets import assets, balances
from prbkit.testing.devnet.phala_tables import SUBSIDY_ACCOUNT, WRAPPED_ACCOUNT
from prbkit.testing.layouts import u64

__all__ = ["contribute", "create", "owned_pool", "pool", "reward", "save", "sub_account"]

NAME = "PhalaStakePoolv2"
_PERMILL = 1_000_000


def sub_account(prefix: bytes, pid: int, key: bytes) -> bytes:
    """Return an account of a pool's: of its own, its owner's or a worker's, by the prefix."""
    return (prefix + core.blake2b_256(u64.write(pid) + key))[:32]


def pool(ctx: Context, pid: int) -> dict[str, Any]:
    """Return a stake pool; fail where there is none of that number."""
    found = ctx.get("PhalaBasePool", "Pools", pid)
    if found is None:
        ctx.fail("PhalaBasePool", "PoolDoesNotExist")
    if "StakePool" not in found:
        ctx.fail("PhalaBasePool", "PoolTypeNotMatch")
    stake_pool: dict[str, Any] = found["StakePool"]
    return stake_pool


def owned_pool(ctx: Context, pid: int, who: bytes) -> dict[str, Any]:
    """Return a stake pool; fail where it is another's."""
    found = pool(ctx, pid)
    ctx.ensure(found["basepool"]["owner"] == who, NAME, "UnauthorizedPoolOwner")
    return found


def save(ctx: Context, changed: dict[str, Any]) -> None:
    """Store a stake pool."""
    ctx.put("PhalaBasePool", "Pools", changed["basepool"]["pid"], {"StakePool": changed})


def create(ctx: Context, owner: bytes) -> dict[str, Any]:
    """Create a stake pool and return it."""
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
        "pool_account_id": sub_account(b"bp/", pid, owner),
    }
    made: dict[str, Any] = {
        "basepool": base,
        "payout_commission": None,
        "cap": None,
        "workers": [],
        "cd_workers": [],
        "lock_account": sub_account(b"sl/", pid, owner),
        "owner_reward_account": sub_account(b"so/", pid, owner),
    }
    save(ctx, made)
    ctx.put("PhalaBasePool", "PoolCollections", cid, pid)
    ctx.deposit(
        NAME, "PoolCreated", owner=owner, pid=pid, cid=cid, pool_account_id=base["pool_account_id"]
    )
    return made


def contribute(ctx: Context, who: bytes, to: dict[str, Any], amount: int) -> int:
    """Move wrapped PHA into a pool; return the shares that it buys at the pool's price."""
    base = to["basepool"]
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
    save(ctx, to)
    return int(bought)


def reward(ctx: Context, pubkey: bytes, amount: int) -> None:
    """Pay a worker's reward out of the subsidy pool, to its pool's owner and stakers."""
    pid = ctx.get(NAME, "WorkerAssignments", pubkey)
    if pid is None:
        ctx.deposit(NAME, "RewardDismissedNotInPool", worker=pubkey, amount=amount)
        return
    if not amount:
        return
    earning = pool(ctx, pid)
    balances.move(ctx, SUBSIDY_ACCOUNT, WRAPPED_ACCOUNT, amount, keep_alive=True)
    base = earning["basepool"]
    if not base["total_shares"]:
        ctx.deposit(NAME, "RewardDismissedNoShare", pid=pid, amount=amount)
        return
    to_owner = amount * (earning["payout_commission"] or 0) // _PERMILL
    to_stakers = amount - to_owner
    assets.mint(ctx, earning["owner_reward_account"], to_owner)
    assets.mint(ctx, base["pool_account_id"], to_stakers)
    base["total_value"] += to_stakers
    save(ctx, earning)
    ctx.deposit(NAME, "RewardReceived", pid=pid, to_owner=to_owner, to_stakers=to_stakers)
