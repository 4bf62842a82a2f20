"""The relay chain's runtime: what finalizes the parachain's heads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from prbkit.testing.devnet.accounts import DEV_NAMES, dev_account
from prbkit.testing.devnet.dispatch import Context
from prbkit.testing.devnet.executive import Executive
from prbkit.testing.devnet.genesis import COMMON_APIS, base_genesis, code
from prbkit.testing.devnet.pallets import grandpa, paras, timestamp
from prbkit.testing.devnet.relay_tables import relay_metadata
from prbkit.testing.devnet.runtime import RelayInherents, RuntimeVersion
from prbkit.testing.devnet.storage import Storage
from prbkit.testing.layouts import u8, u32, u64

__all__ = ["RelayRuntime", "RelaySettings"]

_GRANDPA_API = (bytes.fromhex("ed99c5acb25eedf5"), 3)
_REGISTERED = (paras,)
_SECONDARY_PLAIN = 2


def _endowed() -> Mapping[bytes, int]:
    return {dev_account(name).public: 10**18 for name in DEV_NAMES}


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """How the relay chain is set up.

    :param authorities: ed25519 public keys of all who may be GRANDPA authorities.
    :param set_size: how many of them are at a time.
    :param rotate_every: a block whose number is a multiple of this schedules the next set; 0
        never.
    :param state_version: trie layout, 1 as on Polkadot and Kusama.
    :param upgrade_at: block whose children follow the next spec version, None for none.
    """

    authorities: tuple[bytes, ...]
    set_size: int = 4
    rotate_every: int = 20
    spec_name: str = "prbkit-relay"
    spec_version: int = 1_000_000
    transaction_version: int = 25
    state_version: int = 1
    ss58_prefix: int = 2
    block_time_ms: int = 6_000
    endowed: Mapping[bytes, int] = field(default_factory=_endowed)
    upgrade_at: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.set_size <= len(self.authorities):
            raise ValueError(f"a set of {self.set_size} out of {len(self.authorities)} authorities")

    def authority_set(self, set_id: int) -> list[tuple[bytes, int]]:
        """Return the authorities of a set with their weights: a window over all keys."""
        keys = self.authorities
        return [(keys[(set_id + at) % len(keys)], 1) for at in range(self.set_size)]

    def set_id(self, number: int) -> int:
        """Return the id of the set that block `number`'s state holds."""
        return number // self.rotate_every if self.rotate_every else 0


class RelayRuntime(Executive[RelayInherents]):
    """The rules of the relay chain under `settings`."""

    def __init__(self, settings: RelaySettings, *, upgraded: bool = False) -> None:
        self.settings = settings
        self._upgraded = upgraded
        version = RuntimeVersion(
            spec_name=settings.spec_name,
            impl_name="prbkit",
            authoring_version=2,
            spec_version=settings.spec_version + upgraded,
            impl_version=0,
            apis=(*COMMON_APIS, _GRANDPA_API),
            transaction_version=settings.transaction_version,
            state_version=settings.state_version,
        )
        metadata = relay_metadata(
            version,
            ss58_prefix=settings.ss58_prefix,
            minimum_period=settings.block_time_ms // 2,
        )
        super().__init__(metadata, version, settings)

    @cached_property
    def upgrade(self) -> tuple[int, RelayRuntime] | None:
        """The block that turns to the next rules, and those."""
        if self._upgraded or self.settings.upgrade_at is None:
            return None
        return self.settings.upgrade_at, RelayRuntime(self.settings, upgraded=True)

    def genesis(self) -> dict[bytes, bytes]:
        """Return the genesis state. No parachain has a head yet."""
        ctx = Context(Storage(self.md, {}), 0, self.settings)
        base_genesis(ctx, self.version, self.settings.endowed)
        grandpa.genesis(ctx, self.settings.authority_set(0))
        return {key: value for key, value in ctx.storage.changes.items() if value is not None}

    def inherents(self, inherents: RelayInherents) -> list[tuple[str, str, dict[str, Any]]]:
        heads = sorted(inherents.para_heads.items())
        return [
            ("Timestamp", "set", {"now": inherents.timestamp_ms}),
            *(
                ("Paras", "force_note_new_head", {"para": para, "new_head": head})
                for para, head in heads
            ),
        ]

    def pre_runtime(self, inherents: RelayInherents) -> list[Any]:
        """Return BABE's digest of a secondary slot: the author's index and the slot."""
        slot = inherents.timestamp_ms // self.settings.block_time_ms
        author = slot % self.settings.set_size
        claim = u8.write(_SECONDARY_PLAIN) + u32.write(author) + u64.write(slot)
        return [{"PreRuntime": (b"BABE", claim)}]

    def on_initialize(self, ctx: Context) -> None:
        """Nothing on the relay chain comes before the first extrinsic."""

    def on_finalize(self, ctx: Context) -> list[Any]:
        timestamp.finalize(ctx)
        logs = []
        authorities = self.scheduled_authorities(ctx.number)
        if authorities is not None:
            logs += grandpa.rotate(ctx, authorities)
        if self.upgrade is not None and self.upgrade[0] == ctx.number:
            ctx.storage.write(b":code", code(self.upgrade[1].version))
            ctx.deposit("System", "CodeUpdated")
            logs.append("RuntimeEnvironmentUpdated")
        return logs

    def scheduled_authorities(self, number: int) -> list[tuple[bytes, int]] | None:
        every = self.settings.rotate_every
        if not every or number % every:
            return None
        return self.settings.authority_set(self.settings.set_id(number))
