"""The relay chain's paras: the newest head of each parachain."""

from __future__ import annotations

from prbkit.testing.devnet.dispatch import Args, Context, Origin, call, ensure_none

__all__: list[str] = []


@call("Paras", "force_note_new_head", mandatory=True)
def force_note_new_head(ctx: Context, origin: Origin, args: Args) -> None:
    """Take a head from the block's author, who stands for backing and availability here."""
    ensure_none(origin)
    para = args["para"]
    known = ctx.get("Paras", "Parachains")
    if para not in known:
        ctx.put("Paras", "Parachains", sorted([*known, para]))
    ctx.put("Paras", "Heads", para, args["new_head"])
    ctx.deposit_value("Paras", {"NewHeadNoted": para})
