"""The parachain's runtime: the Phala-like chain that workers and pools live on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from prbkit.testing.devnet.accounts import DEV_NAMES, dev_account
from prbkit.testing.devnet.dispatch import Args, Context
from prbkit.testing.devnet.executive import Executive
from prbkit.testing.devnet.genesis import COMMON_APIS, base_genesis, code
from prbkit.testing.devnet.pallets import (
    computation,
    mq,
    parachain_system,
    proxy,
    registry,
    stake_pool,
    sudo,
    timestamp,
    utility,
)
from prbkit.testing.devnet.para_tables import para_metadata
from prbkit.testing.devnet.runtime import ParaInherents, RuntimeVersion
from prbkit.testing.devnet.storage import Storage

__all__ = ["PHA", "ParaRuntime", "ParaSettings", "PoolSettings"]

PHA = 10**12
#: Pallets that are reached through their calls alone.
_REGISTERED = (proxy, registry, stake_pool, sudo, utility)


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """A pool that is there from genesis on: its owner's account and the stake it holds."""

    owner: bytes
    stake: int


def _endowed() -> Mapping[bytes, int]:
    return {dev_account(name).public: 1_000_000 * PHA for name in DEV_NAMES}


@dataclass(frozen=True, slots=True)
class ParaSettings:
    """How the parachain is set up; balances in base units (10^12 are one PHA).

    :param block_time_ms: slot duration; two blocks lie at least half of it apart.
    :param relay_genesis_hashes: relay blocks that a worker may begin at.
    :param pools: made in genesis, numbered from 0.
    :param none_attestation: whether workers register without an attestation, as on test chains.
    :param metadata_hash: whether the extension CheckMetadataHash is there.
    :param benchmark_blocks: how long a worker's benchmark takes.
    :param cool_down_sec: how long a stopped worker cools down.
    :param challenges: whether each block challenges the computing workers for heartbeats.
    :param unresponsive_after_sec: with challenges, after which silence a worker is unresponsive.
    :param upgrade_at: block whose children follow the next spec version, None for none.
    """

    para_id: int = 2004
    spec_name: str = "prbkit-para"
    spec_version: int = 1241
    transaction_version: int = 6
    ss58_prefix: int = 30
    block_time_ms: int = 12_000
    endowed: Mapping[bytes, int] = field(default_factory=_endowed)
    sudo: bytes = field(default_factory=lambda: dev_account("Alice").public)
    relay_genesis_hashes: tuple[bytes, ...] = ()
    pools: tuple[PoolSettings, ...] = ()
    none_attestation: bool = True
    metadata_hash: bool = False
    benchmark_blocks: int = 2
    cool_down_sec: int = 604_800
    challenges: bool = False
    unresponsive_after_sec: int = 120
    upgrade_at: int | None = None


class ParaRuntime(Executive[ParaInherents]):
    """The rules of the parachain under `settings`."""

    def __init__(self, settings: ParaSettings | None = None, *, upgraded: bool = False) -> None:
        self.settings = settings = settings or ParaSettings()
        self._upgraded = upgraded
        version = RuntimeVersion(
            spec_name=settings.spec_name,
            impl_name="prbkit",
            authoring_version=1,
            spec_version=settings.spec_version + upgraded,
            impl_version=0,
            apis=COMMON_APIS,
            transaction_version=settings.transaction_version,
            state_version=0,
        )
        metadata = para_metadata(
            version,
            ss58_prefix=settings.ss58_prefix,
            minimum_period=settings.block_time_ms // 2,
            none_attestation=settings.none_attestation,
            metadata_hash=settings.metadata_hash,
            upgraded=upgraded,
        )
        super().__init__(metadata, version, settings)

    @cached_property
    def upgrade(self) -> tuple[int, ParaRuntime] | None:
        """The block that turns to the next rules, and those."""
        if self._upgraded or self.settings.upgrade_at is None:
            return None
        return self.settings.upgrade_at, ParaRuntime(self.settings, upgraded=True)

    def genesis(self) -> dict[bytes, bytes]:
        """Return the genesis state."""
        ctx = Context(Storage(self.md, {}), 0, self.settings)
        base_genesis(ctx, self.version, self.settings.endowed)
        ctx.put("ParachainInfo", "ParachainId", self.settings.para_id)
        ctx.put("Sudo", "Key", self.settings.sudo)
        registry.genesis(ctx)
        computation.genesis(ctx)
        stake_pool.genesis(ctx)
        return {key: value for key, value in ctx.storage.changes.items() if value is not None}

    def inherents(self, inherents: ParaInherents) -> list[tuple[str, str, dict[str, Any]]]:
        return [
            ("Timestamp", "set", {"now": inherents.timestamp_ms}),
            parachain_system.inherent(inherents),
        ]

    def pre_runtime(self, inherents: ParaInherents) -> list[Any]:
        slot = inherents.timestamp_ms // self.settings.block_time_ms
        return [{"PreRuntime": (b"aura", slot.to_bytes(8, "little"))}]

    def on_initialize(self, ctx: Context) -> None:
        parachain_system.initialize(ctx)
        mq.initialize(ctx)

    def on_finalize(self, ctx: Context) -> list[Any]:
        timestamp.finalize(ctx)
        computation.finalize(ctx)
        if self.upgrade is None or self.upgrade[0] != ctx.number:
            return []
        ctx.storage.write(b":code", code(self.upgrade[1].version))
        ctx.deposit("System", "CodeUpdated")
        return ["RuntimeEnvironmentUpdated"]

    def sequence_tags(
        self, ctx: Context, pallet: str, name: str, args: Args
    ) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
        return mq.sequence_tags(ctx, pallet, name, args)

    def check_sequence(self, ctx: Context, pallet: str, name: str, args: Args) -> None:
        mq.check_sequence(ctx, pallet, name, args)
