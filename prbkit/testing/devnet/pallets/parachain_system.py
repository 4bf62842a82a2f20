"""cumulus_pallet_parachain_system: which relay block a para block builds on."""

from __future__ import annotations

from typing import Any

from prbkit.testing.devnet.dispatch import Args, Context, Origin, call, ensure_none
from prbkit.testing.devnet.runtime import ParaInherents

__all__ = ["inherent", "initialize"]

MAX_POV_SIZE = 5 << 20


def initialize(ctx: Context) -> None:
    """Forget the former block's validation data."""
    ctx.kill("ParachainSystem", "ValidationData")


def inherent(inherents: ParaInherents) -> tuple[str, str, dict[str, Any]]:
    """Return the call that brings the validation data."""
    data = {
        "validation_data": {
            "parent_head": inherents.parent_head,
            "relay_parent_number": inherents.relay_parent_number,
            "relay_parent_storage_root": inherents.relay_parent_storage_root,
            "max_pov_size": MAX_POV_SIZE,
        },
        "relay_chain_state": {"trie_nodes": sorted(set(inherents.relay_state_proof))},
        "downward_messages": [],
        "horizontal_messages": [],
    }
    return "ParachainSystem", "set_validation_data", {"data": data}


@call("ParachainSystem", "set_validation_data", mandatory=True)
def set_validation_data(ctx: Context, origin: Origin, args: Args) -> bool:
    ensure_none(origin)
    data = args["data"]
    relay_number = data["validation_data"]["relay_parent_number"]
    last = ctx.get("ParachainSystem", "LastRelayChainBlockNumber")
    if relay_number <= last:
        raise ValueError(f"relay parent {relay_number} does not follow {last}")
    ctx.put("ParachainSystem", "ValidationData", data["validation_data"])
    ctx.put("ParachainSystem", "LastRelayChainBlockNumber", relay_number)
    ctx.put("ParachainSystem", "RelayStateProof", data["relay_chain_state"])
    return True
