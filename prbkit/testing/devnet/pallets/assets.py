"""pallet_assets, as far as wrapped PHA needs it."""

from __future__ import annotations

from typing import Any

from prbkit.testing.devnet.dispatch import Context
from prbkit.testing.devnet.pallets import system
from prbkit.testing.devnet.phala_tables import WPHA_ASSET

__all__ = ["balance", "genesis", "mint", "transfer"]


def genesis(ctx: Context, owner: bytes) -> None:
    """Create the asset that is wrapped PHA."""
    details = {
        "owner": owner,
        "issuer": owner,
        "admin": owner,
        "freezer": owner,
        "supply": 0,
        "deposit": 0,
        "min_balance": 1,
        "is_sufficient": True,
        "accounts": 0,
        "sufficients": 0,
        "approvals": 0,
        "status": "Live",
    }
    ctx.put("Assets", "Asset", WPHA_ASSET, details)


def balance(ctx: Context, who: bytes) -> int:
    """Return how much wrapped PHA an account has."""
    found = ctx.get("Assets", "Account", WPHA_ASSET, who)
    return int(found["balance"]) if found else 0


def mint(ctx: Context, who: bytes, amount: int) -> None:
    """Make wrapped PHA; what it stands for must have been put aside before."""
    _change(ctx, who, amount)
    details: dict[str, Any] = ctx.get("Assets", "Asset", WPHA_ASSET)
    ctx.put("Assets", "Asset", WPHA_ASSET, details | {"supply": details["supply"] + amount})
    ctx.deposit("Assets", "Issued", asset_id=WPHA_ASSET, owner=who, amount=amount)


def transfer(ctx: Context, source: bytes, dest: bytes, amount: int) -> None:
    """Move wrapped PHA."""
    ctx.ensure(balance(ctx, source) >= amount, "Assets", "BalanceLow")
    _change(ctx, source, -amount)
    _change(ctx, dest, amount)
    ctx.deposit(
        "Assets",
        "Transferred",
        **{"asset_id": WPHA_ASSET, "from": source, "to": dest, "amount": amount},
    )


def _change(ctx: Context, who: bytes, amount: int) -> None:
    """Change an account's balance; the asset keeps an account alive while it has some."""
    before = balance(ctx, who)
    after = before + amount
    if before == after:
        return
    if not before or not after:
        step = 1 if after else -1
        info = system.account(ctx, who)
        sufficients = info["sufficients"] + step
        if not before and not info["providers"] and not info["sufficients"]:
            ctx.deposit("System", "NewAccount", account=who)
        system.set_account(ctx, who, info | {"sufficients": sufficients})
        if not after and not info["providers"] and not sufficients:
            ctx.deposit("System", "KilledAccount", account=who)
        details: dict[str, Any] = ctx.get("Assets", "Asset", WPHA_ASSET)
        counts = {name: details[name] + step for name in ("accounts", "sufficients")}
        ctx.put("Assets", "Asset", WPHA_ASSET, details | counts)
    if after:
        entry = {"balance": after, "is_frozen": False, "reason": "Sufficient", "extra": ()}
        ctx.put("Assets", "Account", WPHA_ASSET, who, entry)
    else:
        ctx.kill("Assets", "Account", WPHA_ASSET, who)
