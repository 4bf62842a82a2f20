"""pallet_balances: transfers, reserves, and the fees that are paid from them."""

from __future__ import annotations

from typing import Any

from prbkit.testing.devnet.dispatch import (
    Args,
    Context,
    Origin,
    call,
    ensure_root,
    ensure_signed,
    lookup,
)
from prbkit.testing.devnet.pallets import system
from prbkit.testing.devnet.tables import EXISTENTIAL_DEPOSIT

__all__ = ["deposit", "move", "reserve", "unreserve", "withdraw"]


def _store(ctx: Context, who: bytes, info: dict[str, Any], free: int) -> None:
    """Set the free balance of an account, which lives and dies by it."""
    data = info["data"] | {"free": free}
    alive = free + data["reserved"] >= EXISTENTIAL_DEPOSIT
    if alive and not info["providers"]:
        ctx.put("System", "Account", who, info | {"providers": 1, "data": data})
        ctx.deposit("System", "NewAccount", account=who)
        ctx.deposit("Balances", "Endowed", account=who, free_balance=free)
    elif not alive and info["providers"]:
        system.kill_account(ctx, who, info)
        if free:
            issued = ctx.get("Balances", "TotalIssuance")
            ctx.put("Balances", "TotalIssuance", issued - free)
            ctx.deposit("Balances", "DustLost", account=who, amount=free)
    else:
        ctx.put("System", "Account", who, info | {"data": data})


def move(ctx: Context, source: bytes, dest: bytes, amount: int, *, keep_alive: bool) -> None:
    """Transfer free balance and leave the Transfer event."""
    if not amount or source == dest:
        return
    sender, receiver = system.account(ctx, source), system.account(ctx, dest)
    left = sender["data"]["free"] - amount
    ctx.ensure(left >= 0, "Balances", "InsufficientBalance")
    arrived = receiver["data"]["free"] + amount
    ctx.ensure(
        arrived + receiver["data"]["reserved"] >= EXISTENTIAL_DEPOSIT,
        "Balances",
        "ExistentialDeposit",
    )
    dies = left + sender["data"]["reserved"] < EXISTENTIAL_DEPOSIT
    ctx.ensure(not (dies and (keep_alive or sender["consumers"])), "Balances", "KeepAlive")
    _store(ctx, source, sender, left)
    _store(ctx, dest, receiver, arrived)
    ctx.deposit("Balances", "Transfer", **{"from": source, "to": dest, "amount": amount})


def withdraw(ctx: Context, who: bytes, amount: int) -> bool:
    """Take a fee off an account that stays alive; tell whether it could be paid."""
    info = system.account(ctx, who)
    left = info["data"]["free"] - amount
    if left < 0 or left + info["data"]["reserved"] < EXISTENTIAL_DEPOSIT:
        return False
    if amount:
        _store(ctx, who, info, left)
        ctx.deposit("Balances", "Withdraw", who=who, amount=amount)
    return True


def deposit(ctx: Context, who: bytes, amount: int) -> None:
    """Give what was withdrawn before to an account."""
    if amount:
        info = system.account(ctx, who)
        _store(ctx, who, info, info["data"]["free"] + amount)
        ctx.deposit("Balances", "Deposit", who=who, amount=amount)


def reserve(ctx: Context, who: bytes, amount: int) -> None:
    """Set free balance aside."""
    if not amount:
        return
    info = system.account(ctx, who)
    data = info["data"]
    ctx.ensure(data["free"] >= amount, "Balances", "InsufficientBalance")
    left = {"free": data["free"] - amount, "reserved": data["reserved"] + amount}
    ctx.ensure(left["free"] >= EXISTENTIAL_DEPOSIT, "Balances", "KeepAlive")
    ctx.put("System", "Account", who, info | {"data": data | left})
    ctx.deposit("Balances", "Reserved", who=who, amount=amount)


def unreserve(ctx: Context, who: bytes, amount: int) -> None:
    """Give reserved balance back."""
    info = system.account(ctx, who)
    data = info["data"]
    amount = min(amount, data["reserved"])
    if amount:
        back = {"free": data["free"] + amount, "reserved": data["reserved"] - amount}
        ctx.put("System", "Account", who, info | {"data": data | back})
        ctx.deposit("Balances", "Unreserved", who=who, amount=amount)


@call("Balances", "transfer")
def transfer(ctx: Context, origin: Origin, args: Args) -> None:
    who = ensure_signed(origin)
    move(ctx, who, lookup(args["dest"]), args["value"], keep_alive=False)


@call("Balances", "transfer_keep_alive")
def transfer_keep_alive(ctx: Context, origin: Origin, args: Args) -> None:
    who = ensure_signed(origin)
    move(ctx, who, lookup(args["dest"]), args["value"], keep_alive=True)


@call("Balances", "force_transfer")
def force_transfer(ctx: Context, origin: Origin, args: Args) -> None:
    ensure_root(origin)
    move(ctx, lookup(args["source"]), lookup(args["dest"]), args["value"], keep_alive=False)


@call("Balances", "transfer_all")
def transfer_all(ctx: Context, origin: Origin, args: Args) -> None:
    who = ensure_signed(origin)
    info = system.account(ctx, who)
    stays = args["keep_alive"] or info["consumers"]
    kept = max(EXISTENTIAL_DEPOSIT - info["data"]["reserved"], 0) if stays else 0
    amount = max(info["data"]["free"] - kept, 0)
    move(ctx, who, lookup(args["dest"]), amount, keep_alive=bool(stays))
