"""pallet_timestamp: the block's time, set by its author."""

from __future__ import annotations

from prbkit.testing.devnet.dispatch import Args, Context, Origin, call, ensure_none

__all__ = ["finalize"]


@call("Timestamp", "set", mandatory=True)
def set_time(ctx: Context, origin: Origin, args: Args) -> None:
    ensure_none(origin)
    now, last = args["now"], ctx.now_ms
    least = ctx.md.constant("Timestamp", "MinimumPeriod")
    if last and now < last + least:
        raise ValueError(f"block time {now} ms is less than {least} ms after {last} ms")
    ctx.put("Timestamp", "Now", now)
    ctx.put("Timestamp", "DidUpdate", True)


def finalize(ctx: Context) -> None:
    """Refuse a block without a time."""
    if not ctx.take("Timestamp", "DidUpdate"):
        raise ValueError("a block must set its time")
