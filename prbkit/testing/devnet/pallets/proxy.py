"""pallet_proxy: accounts that act for others, each within its proxy type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prbkit.testing.devnet.dispatch import (
    BASE_WEIGHT,
    Args,
    CallFilter,
    Context,
    Origin,
    Signed,
    call,
    call_of,
    ensure_signed,
    lookup,
    weight_of,
)
from prbkit.testing.devnet.pallets import balances
from prbkit.testing.devnet.para_tables import (
    MAX_PROXIES,
    PROXY_DEPOSIT_BASE,
    PROXY_DEPOSIT_FACTOR,
)

__all__: list[str] = []

_POOL_CALLS = {
    "add_worker",
    "remove_worker",
    "start_computing",
    "stop_computing",
    "restart_computing",
    "reclaim_pool_worker",
    "create",
    "set_cap",
}


def _pool_manager(pallet: str, name: str, args: Args) -> bool:
    return (
        pallet == "Utility"
        or (pallet == "PhalaStakePoolv2" and name in _POOL_CALLS)
        or (pallet, name)
        in {
            ("PhalaRegistry", "register_worker"),
            ("PhalaRegistry", "register_worker_v2"),
            ("PhalaMq", "sync_offchain_message"),
        }
    )


#: What each proxy type lets through.
_FILTERS: Mapping[str, CallFilter] = {
    "Any": lambda pallet, name, args: True,
    "NonTransfer": lambda pallet, name, args: pallet != "Balances",
    "CancelProxy": lambda pallet, name, args: False,
    "Governance": lambda pallet, name, args: pallet == "Utility",
    "Collator": lambda pallet, name, args: False,
    "StakePoolManager": _pool_manager,
}


def _superset(wider: str, narrower: str) -> bool:
    return wider in (narrower, "Any")


def _filter(proxy_type: str) -> CallFilter:
    """Make the filter that a proxy's calls pass: its type's, and none that widens its rights."""

    def passes(pallet: str, name: str, args: Args) -> bool:
        if pallet == "Proxy" and name in ("add_proxy", "remove_proxy"):
            return _superset(proxy_type, args["proxy_type"]) and _FILTERS[proxy_type](
                pallet, name, args
            )
        if (pallet, name) == ("Proxy", "remove_proxies"):
            return proxy_type == "Any"
        return _FILTERS[proxy_type](pallet, name, args)

    return passes


def _weight(args: Args) -> int:
    return BASE_WEIGHT + weight_of(*call_of(args["call"]))


def _deposit(count: int) -> int:
    return PROXY_DEPOSIT_BASE + PROXY_DEPOSIT_FACTOR * count if count else 0


def _store(ctx: Context, who: bytes, proxies: list[dict[str, Any]], held: int) -> None:
    """Store an account's proxies with the deposit that they take."""
    wanted = _deposit(len(proxies))
    if wanted > held:
        balances.reserve(ctx, who, wanted - held)
    elif wanted < held:
        balances.unreserve(ctx, who, held - wanted)
    if proxies:
        proxies.sort(key=lambda each: (each["delegate"], _ORDER[each["proxy_type"]], each["delay"]))
        ctx.put("Proxy", "Proxies", who, (proxies, wanted))
    else:
        ctx.kill("Proxy", "Proxies", who)


_ORDER = {name: index for index, name in enumerate(_FILTERS)}


@call("Proxy", "proxy", weight=_weight)
def proxy(ctx: Context, origin: Origin, args: Args) -> None:
    who = ensure_signed(origin)
    real, wanted = lookup(args["real"]), args["force_proxy_type"]
    proxies, _ = ctx.get("Proxy", "Proxies", real)
    found = next(
        (
            each
            for each in proxies
            if each["delegate"] == who and wanted in (None, each["proxy_type"])
        ),
        None,
    )
    if found is None:
        ctx.fail("Proxy", "NotProxy")
    ctx.ensure(not found["delay"], "Proxy", "Unannounced")
    acting = Signed(real, (_filter(found["proxy_type"]),))
    ctx.deposit("Proxy", "ProxyExecuted", result=ctx.attempt(acting, args["call"]))


@call("Proxy", "add_proxy")
def add_proxy(ctx: Context, origin: Origin, args: Args) -> None:
    who = ensure_signed(origin)
    delegate = lookup(args["delegate"])
    ctx.ensure(delegate != who, "Proxy", "NoSelfProxy")
    entry = {
        "delegate": delegate,
        "proxy_type": args["proxy_type"],
        "delay": args["delay"],
    }
    proxies, held = ctx.get("Proxy", "Proxies", who)
    ctx.ensure(entry not in proxies, "Proxy", "Duplicate")
    ctx.ensure(len(proxies) < MAX_PROXIES, "Proxy", "TooMany")
    _store(ctx, who, [*proxies, entry], held)
    ctx.deposit(
        "Proxy",
        "ProxyAdded",
        delegator=who,
        delegatee=delegate,
        proxy_type=args["proxy_type"],
        delay=args["delay"],
    )


@call("Proxy", "remove_proxy")
def remove_proxy(ctx: Context, origin: Origin, args: Args) -> None:
    who = ensure_signed(origin)
    delegate = lookup(args["delegate"])
    entry = {
        "delegate": delegate,
        "proxy_type": args["proxy_type"],
        "delay": args["delay"],
    }
    proxies, held = ctx.get("Proxy", "Proxies", who)
    ctx.ensure(entry in proxies, "Proxy", "NotFound")
    _store(ctx, who, [each for each in proxies if each != entry], held)
    ctx.deposit(
        "Proxy",
        "ProxyRemoved",
        delegator=who,
        delegatee=delegate,
        proxy_type=args["proxy_type"],
        delay=args["delay"],
    )


@call("Proxy", "remove_proxies")
def remove_proxies(ctx: Context, origin: Origin, args: Args) -> None:
    who = ensure_signed(origin)
    _, held = ctx.get("Proxy", "Proxies", who)
    _store(ctx, who, [], held)
