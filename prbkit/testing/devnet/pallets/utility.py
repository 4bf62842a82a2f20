"""pallet_utility: batches, with events in the real runtime's order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prbkit.testing.devnet.dispatch import (
    BASE_WEIGHT,
    ROOT,
    Args,
    Context,
    DispatchFailed,
    Origin,
    Signed,
    call,
    call_of,
    weight_of,
)

__all__: list[str] = []


def _weight(args: Args) -> int:
    return BASE_WEIGHT + sum(weight_of(*call_of(each)) for each in args["calls"])


def _calls(ctx: Context, origin: Origin, args: Args) -> Sequence[Mapping[str, Any]]:
    if not isinstance(origin, Signed) and origin is not ROOT:
        raise DispatchFailed("BadOrigin")
    calls: Sequence[Mapping[str, Any]] = args["calls"]
    limit = ctx.md.constant("Utility", "batched_calls_limit")
    ctx.ensure(len(calls) <= limit, "Utility", "TooManyCalls")
    return calls


@call("Utility", "batch", weight=_weight)
def batch(ctx: Context, origin: Origin, args: Args) -> None:
    for index, each in enumerate(_calls(ctx, origin, args)):
        result = ctx.attempt(origin, each)
        if "Err" in result:
            ctx.deposit("Utility", "BatchInterrupted", index=index, error=result["Err"])
            return
        ctx.deposit("Utility", "ItemCompleted")
    ctx.deposit("Utility", "BatchCompleted")


@call("Utility", "batch_all", weight=_weight)
def batch_all(ctx: Context, origin: Origin, args: Args) -> None:
    for each in _calls(ctx, origin, args):
        pallet, name, inner = call_of(each)
        if (pallet, name) == ("Utility", "batch_all"):
            ctx.fail("System", "CallFiltered")
        ctx.dispatch(origin, pallet, name, inner)
        ctx.deposit("Utility", "ItemCompleted")
    ctx.deposit("Utility", "BatchCompleted")


@call("Utility", "force_batch", weight=_weight)
def force_batch(ctx: Context, origin: Origin, args: Args) -> None:
    failed = False
    for each in _calls(ctx, origin, args):
        result = ctx.attempt(origin, each)
        if "Err" in result:
            failed = True
            ctx.deposit("Utility", "ItemFailed", error=result["Err"])
        else:
            ctx.deposit("Utility", "ItemCompleted")
    ctx.deposit("Utility", "BatchCompletedWithErrors" if failed else "BatchCompleted")
