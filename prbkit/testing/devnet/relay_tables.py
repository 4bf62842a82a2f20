"""The relay chain's metadata: GRANDPA's authorities and the parachains' heads.

Names and indexes are Kusama's. There is no BABE, no staking and no availability: sets of
authorities rotate by plan, and a parachain's head is what the block's author brings.
"""

from __future__ import annotations

from prbkit.testing.devnet.descriptions import Pallet, TypeBook
from prbkit.testing.devnet.metadata import build
from prbkit.testing.devnet.runtime import RuntimeVersion
from prbkit.testing.devnet.tables import (
    COMMON_EXTENSIONS,
    COMMON_TYPES,
    balances,
    system,
    timestamp,
    transaction_payment,
)

__all__ = ["relay_metadata"]

TYPES = """
struct sp_consensus_grandpa::app::Public as GrandpaPublic(ed25519::Public)
struct polkadot_parachain_primitives::primitives::Id(u32)
struct polkadot_parachain_primitives::primitives::HeadData(Vec<u8>)
alias ed25519::Public = [u8; 32]
alias AuthorityId = GrandpaPublic
alias AuthorityList = Vec<(AuthorityId, u64)>
alias SessionIndex = u32
alias SetId = u64
alias ParaId = Id
"""

SESSION = Pallet(
    name="Session",
    index=8,
    crate="pallet_session::pallet",
    storage="CurrentIndex: Default SessionIndex",
    events="NewSession(session_index: SessionIndex)",
)

GRANDPA = Pallet(
    name="Grandpa",
    index=10,
    crate="pallet_grandpa::pallet",
    storage="""
        CurrentSetId: Default SetId
        SetIdSession: Optional Twox64Concat SetId => SessionIndex
        Authorities: Default WeakBoundedVec<(AuthorityId, u64), S>
    """,
    events="NewAuthorities(authority_set: AuthorityList)",
)

PARAS = Pallet(
    name="Paras",
    index=56,
    crate="polkadot_runtime_parachains::paras::pallet",
    storage="""
        Parachains: Default Vec<ParaId>
        Heads: Optional Twox64Concat ParaId => HeadData  # SCALE of the newest included header.
    """,
    calls="3 force_note_new_head(para: ParaId, new_head: HeadData)  # Notes a para head.",
    events="3 NewHeadNoted(ParaId)",
)


def relay_metadata(version: RuntimeVersion, *, ss58_prefix: int, minimum_period: int) -> bytes:
    """Return the relay chain's metadata; `minimum_period` in milliseconds."""
    pallets = [
        system(version, ss58_prefix),
        timestamp(2, minimum_period),
        balances(4),
        SESSION,
        GRANDPA,
        transaction_payment(33),
        PARAS,
    ]
    book = TypeBook(COMMON_TYPES, TYPES)
    return build("prbkit_devnet_relay_runtime", book, pallets, COMMON_EXTENSIONS)
