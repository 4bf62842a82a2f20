"""pallet_sudo: one account may call as root."""

from __future__ import annotations

from prbkit.testing.devnet.dispatch import (
    BASE_WEIGHT,
    ROOT,
    Args,
    Context,
    Origin,
    Signed,
    call,
    call_of,
    ensure_signed,
    lookup,
    weight_of,
)

__all__: list[str] = []


def _weight(args: Args) -> int:
    return BASE_WEIGHT + weight_of(*call_of(args["call"]))


def _ensure_sudo(ctx: Context, origin: Origin) -> None:
    who = ensure_signed(origin)
    ctx.ensure(ctx.get("Sudo", "Key") == who, "Sudo", "RequireSudo")


@call("Sudo", "sudo", weight=_weight)
def sudo(ctx: Context, origin: Origin, args: Args) -> bool:
    _ensure_sudo(ctx, origin)
    ctx.deposit("Sudo", "Sudid", sudo_result=ctx.attempt(ROOT, args["call"]))
    return True


@call("Sudo", "sudo_as", weight=_weight)
def sudo_as(ctx: Context, origin: Origin, args: Args) -> bool:
    _ensure_sudo(ctx, origin)
    result = ctx.attempt(Signed(lookup(args["who"])), args["call"])
    ctx.deposit("Sudo", "SudoAsDone", sudo_result=result)
    return True


@call("Sudo", "set_key")
def set_key(ctx: Context, origin: Origin, args: Args) -> bool:
    _ensure_sudo(ctx, origin)
    old = ctx.get("Sudo", "Key")
    ctx.put("Sudo", "Key", lookup(args["new"]))
    ctx.deposit("Sudo", "KeyChanged", old_sudoer=old)
    return True
