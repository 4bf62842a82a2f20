"""frame_system: accounts as far as they exist, remarks, raw storage, and a block's frame."""

from __future__ import annotations

from typing import Any

from prbkit._native import core
from prbkit.testing.devnet.dispatch import (
    Args,
    Context,
    DispatchFailed,
    Origin,
    call,
    ensure_root,
    ensure_signed,
)
from prbkit.testing.devnet.tables import BLOCK_HASH_COUNT

__all__ = ["account", "finalize", "initialize", "kill_account", "set_account"]

#: Cleared when a block begins or ends, so that no block sees a former one's.
_TRANSIENT = ("ExtrinsicCount", "AllExtrinsicsLen", "ExecutionPhase")


def account(ctx: Context, who: bytes) -> dict[str, Any]:
    """Return the AccountInfo of `who`, also where there is none."""
    info: dict[str, Any] = ctx.get("System", "Account", who)
    return info


def set_account(ctx: Context, who: bytes, info: dict[str, Any]) -> None:
    """Store an AccountInfo, or delete one that nothing keeps alive."""
    if info["providers"] or info["sufficients"] or info["nonce"]:
        ctx.put("System", "Account", who, info)
    else:
        ctx.kill("System", "Account", who)


def initialize(ctx: Context, parent_hash: bytes, logs: list[Any]) -> None:
    """Begin a block: number, parent, digest; no event of the former one is left."""
    ctx.put("System", "ExecutionPhase", "Initialization")
    ctx.put("System", "Number", ctx.number)
    ctx.put("System", "Digest", {"logs": logs})
    ctx.put("System", "ParentHash", parent_hash)
    ctx.put("System", "BlockHash", ctx.number - 1, parent_hash)
    ctx.kill("System", "BlockWeight")
    ctx.kill("System", "Events")
    ctx.kill("System", "EventCount")


def finalize(ctx: Context) -> None:
    """End a block: events, and the block hash that is too old now. The genesis hash stays."""
    for item in _TRANSIENT:
        ctx.kill("System", item)
    ctx.storage.write(
        ctx.md.storage_key("System", "Events"),
        core.compact(len(ctx.events)) + b"".join(ctx.events),
    )
    ctx.put("System", "EventCount", len(ctx.events))
    outdated = ctx.number - BLOCK_HASH_COUNT - 1
    if outdated > 0:
        ctx.kill("System", "BlockHash", outdated)


@call("System", "remark")
def remark(ctx: Context, origin: Origin, args: Args) -> None:
    ensure_signed(origin)


@call("System", "remark_with_event")
def remark_with_event(ctx: Context, origin: Origin, args: Args) -> None:
    who = ensure_signed(origin)
    ctx.deposit("System", "Remarked", sender=who, hash=core.blake2b_256(args["remark"]))


@call("System", "set_storage")
def set_storage(ctx: Context, origin: Origin, args: Args) -> None:
    ensure_root(origin)
    for key, value in args["items"]:
        ctx.storage.write(key, value)


@call("System", "kill_storage")
def kill_storage(ctx: Context, origin: Origin, args: Args) -> None:
    ensure_root(origin)
    for key in args["keys"]:
        ctx.storage.write(key, None)


def kill_account(ctx: Context, who: bytes, info: dict[str, Any]) -> None:
    """Take an account's last provider away; refused while something else relies on it."""
    if info["consumers"]:
        raise DispatchFailed("ConsumerRemaining")
    ctx.kill("System", "Account", who)
    ctx.deposit("System", "KilledAccount", account=who)
