"""The runtimes that a devnet runs, made from its settings."""

from __future__ import annotations

from dataclasses import replace

from prbkit.testing.devnet.config import DevnetConfig
from prbkit.testing.devnet.grandpa import validators
from prbkit.testing.devnet.network import Runtimes
from prbkit.testing.devnet.para import ParaRuntime
from prbkit.testing.devnet.relay import RelayRuntime, RelaySettings

__all__ = ["runtimes"]


def runtimes(config: DevnetConfig) -> Runtimes:
    """Give the relay chain's rules, and the parachain's for a relay genesis hash."""
    relay = RelaySettings(
        authorities=validators(config.seed_bytes, config.validators),
        set_size=config.validators,
        rotate_every=config.set_period,
        state_version=config.relay_state_version,
        block_time_ms=config.slot,
        upgrade_at=config.relay_upgrade_at,
    )

    def para(relay_genesis: bytes) -> ParaRuntime:
        settings = replace(
            config.para,
            para_id=config.para_id,
            block_time_ms=config.slot * config.backing_delay,
            relay_genesis_hashes=(relay_genesis, *config.para.relay_genesis_hashes),
        )
        return ParaRuntime(settings)

    return RelayRuntime(relay), para
