"""What a devnet is made of: fixed by its settings and seed, the same on every machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from prbkit.testing.devnet.accounts import dev_account
from prbkit.testing.devnet.blocks import blake2_256
from prbkit.testing.devnet.faults import Faults
from prbkit.testing.devnet.para import PHA, ParaSettings, PoolSettings

__all__ = ["DEV_POOL", "DEV_POOL_OPERATOR", "DevnetConfig"]


DEV_POOL_OPERATOR = "//Bob"
DEV_POOL = PoolSettings(owner=dev_account("Bob").public, stake=500_000 * PHA)
"""Pool 0 of a devnet, with stake enough for hundreds of workers."""


def _para() -> ParaSettings:
    return ParaSettings(pools=(DEV_POOL,))


@dataclass(frozen=True, slots=True, kw_only=True)
class DevnetConfig:
    """Settings of a `Devnet`.

    - `seed`: makes keys, and with the other settings all hashes.
    - `block_time`: seconds from one relay block to the next; 0: blocks are made only by
      `Devnet.produce`.
    - `host`, `relay_port`, `para_port`: where to listen; port 0 takes any that is free.
    - `relay_chain`, `para_chain`: what `system_chain` says. PRB v2 picks its types by the
      latter.
    - `para_id`: the parachain's id.
    - `history`: relay blocks that are made before anyone may ask.
    - `validators`: members of a GRANDPA set.
    - `set_period`: every so many relay blocks one schedules the next set.
    - `justification_period`: every so many relay blocks one keeps its justification.
    - `finality_lag`: how many blocks finality is behind.
    - `backing_delay`: relay blocks from a para block's relay parent to the one that includes it.
    - `relay_state_version`: 1 for tries as on Kusama and Polkadot, 0 for older ones. The
      parachain's is 0, as Khala's and Phala's.
    - `genesis_time`: Unix milliseconds of block 0; block n's timestamp is `slot` ms times n
      later, whatever the clock says.
    - `slot`: milliseconds of a relay block on chain.
    - `para`: how the parachain is set up: pools (by default `DEV_POOL`), accounts, attestation,
      challenges, a runtime upgrade. Its `para_id`, `block_time_ms` and relay genesis follow from
      the settings here.
    - `relay_upgrade_at`: the relay block that upgrades the relay runtime, None: never.
    - `relay_faults`, `para_faults`: how the two first endpoints misbehave from the start.
    - `data_dir`: where the chains are kept; a devnet that is started again on it goes on with
      them. None: in memory only.
    """

    seed: int = 0
    block_time: float = 0.0
    host: str = "127.0.0.1"
    relay_port: int = 0
    para_port: int = 0
    relay_chain: str = "Kusama Local Testnet"
    para_chain: str = "Khala Local Testnet"
    para_id: int = 2004
    history: int = 0
    validators: int = 4
    set_period: int = 40
    justification_period: int = 8
    finality_lag: int = 2
    backing_delay: int = 2
    relay_state_version: int = 1
    genesis_time: int = 1_700_000_000_000
    slot: int = 6000
    para: ParaSettings = field(default_factory=_para)
    relay_upgrade_at: int | None = None
    data_dir: Path | None = None
    relay_faults: Faults = field(default_factory=Faults)
    para_faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        for name in ("validators", "set_period", "justification_period", "slot"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        for name in ("block_time", "history", "finality_lag"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
        if self.backing_delay < 1:
            raise ValueError("backing_delay must be at least 1")

    @property
    def seed_bytes(self) -> bytes:
        return blake2_256(b"prbkit devnet %d" % self.seed)

    def fingerprint(self) -> dict[str, object]:
        """Give the settings that a chain keeps for life.

        What its genesis states follow from besides these shows in their hashes.
        """
        return {
            "seed": self.seed,
            "validators": self.validators,
            "set_period": self.set_period,
            "genesis_time": self.genesis_time,
            "slot": self.slot,
            "upgrades": [self.relay_upgrade_at, self.para.upgrade_at],
        }
