"""The parachain's metadata, and the tables of the pallets beside Phala's that only it has."""

from __future__ import annotations

from dataclasses import replace

from prbkit.testing.devnet.descriptions import Extension, Pallet, TypeBook
from prbkit.testing.devnet.metadata import build
from prbkit.testing.devnet.phala_tables import (
    PHALA_BASE_POOL,
    PHALA_COMPUTATION,
    PHALA_MQ,
    PHALA_REGISTRY,
    PHALA_STAKE_POOL,
    PHALA_TYPES,
    PHALA_WRAPPED_BALANCES,
)
from prbkit.testing.devnet.runtime import RuntimeVersion
from prbkit.testing.devnet.tables import (
    COMMON_EXTENSIONS,
    COMMON_TYPES,
    balances,
    system,
    timestamp,
    transaction_payment,
)
from prbkit.testing.layouts import boolean, u32, u128

__all__ = [
    "MAX_PROXIES",
    "PROXY_DEPOSIT_BASE",
    "PROXY_DEPOSIT_FACTOR",
    "para_metadata",
]

BATCH_LIMIT = 10922
MAX_PROXIES = 32
PROXY_DEPOSIT_BASE = 550 * 10**9
PROXY_DEPOSIT_FACTOR = 330 * 10**9

TYPES = """
struct polkadot_parachain::primitives::Id(u32)
struct polkadot_parachain::primitives::HeadData(Vec<u8>)
struct polkadot_primitives::v2::PersistedValidationData <H: H256, N: u32> {
    parent_head: HeadData, relay_parent_number: N, relay_parent_storage_root: H, max_pov_size: u32
}
struct cumulus_primitives_parachain_inherent::ParachainInherentData {
    validation_data: PersistedValidationData, relay_chain_state: sp_trie::StorageProof,
    downward_messages: Vec<InboundDownwardMessage>,
    horizontal_messages: BTreeMap<ParaId, Vec<InboundHrmpMessage>>
}
struct sp_trie::storage_proof::StorageProof { trie_nodes: BTreeSet<Vec<u8>> }
struct polkadot_core_primitives::InboundDownwardMessage <BlockNumber: u32> {
    sent_at: BlockNumber, msg: DownwardMessage
}
struct polkadot_core_primitives::InboundHrmpMessage <BlockNumber: u32> {
    sent_at: BlockNumber, data: sp_std::vec::Vec<u8>
}
struct pallet_proxy::ProxyDefinition <
    AccountId: AccountId32, ProxyType: ProxyType, BlockNumber: u32
> {
    delegate: AccountId, proxy_type: ProxyType, delay: BlockNumber
}
enum prbkit_devnet_runtime::ProxyType {
    Any, NonTransfer, CancelProxy, Governance, Collator, StakePoolManager
}
struct pallet_assets::types::AssetDetails <
    Balance: u128, AccountId: AccountId32, DepositBalance: u128
> {
    owner: AccountId, issuer: AccountId, admin: AccountId, freezer: AccountId, supply: Balance,
    deposit: DepositBalance, min_balance: Balance, is_sufficient: bool, accounts: u32,
    sufficients: u32, approvals: u32, status: AssetStatus
}
enum pallet_assets::types::AssetStatus { Live, Frozen, Destroying }
struct pallet_assets::types::AssetAccount <Balance: u128, DepositBalance: u128, Extra: ()> {
    balance: Balance, is_frozen: bool, reason: ExistenceReason<DepositBalance>, extra: Extra
}
enum pallet_assets::types::ExistenceReason <Balance: u128> {
    Consumer, Sufficient, DepositHeld(Balance), DepositRefunded
}
alias ParaId = Id
alias sp_trie::StorageProof = StorageProof
alias RelayChainBlockNumber = u32
struct frame_metadata_hash_extension::CheckMetadataHash <T> { mode: Mode }
enum frame_metadata_hash_extension::Mode { Disabled, Enabled }
alias DownwardMessage = Vec<u8>
alias T::ProxyType = ProxyType
alias T::AssetId = u32
alias Vec<<T as Config>::RuntimeCall> = Vec<RuntimeCall>
"""

UTILITY = Pallet(
    name="Utility",
    index=3,
    crate="pallet_utility::pallet",
    calls="""
        0 batch(calls: Vec<<T as Config>::RuntimeCall>)  # Makes calls until one fails.
        2 batch_all(calls: Vec<<T as Config>::RuntimeCall>)  # Makes all calls or none.
        4 force_batch(calls: Vec<<T as Config>::RuntimeCall>)  # Makes all calls, failing or not.
    """,
    events="""
        BatchInterrupted(index: u32, error: DispatchError)
        BatchCompleted
        BatchCompletedWithErrors
        ItemCompleted
        ItemFailed(error: DispatchError)
    """,
    errors="TooManyCalls  # More calls than a batch may hold.",
    constants={"batched_calls_limit": ("u32", u32.write(BATCH_LIMIT))},
)

PROXY = Pallet(
    name="Proxy",
    index=5,
    crate="pallet_proxy::pallet",
    storage="""
        Proxies: Default Twox64Concat T::AccountId => (BoundedVec<ProxyDefinition, S>, u128)
    """,
    calls="""
        proxy(
            real: AccountIdLookupOf<T>, force_proxy_type: Option<T::ProxyType>,
            call: Box<<T as Config>::RuntimeCall>
        )  # Makes a call for an account that allowed it.
        add_proxy(
            delegate: AccountIdLookupOf<T>, proxy_type: T::ProxyType, delay: T::BlockNumber
        )  # Lets another account act for the sender.
        remove_proxy(
            delegate: AccountIdLookupOf<T>, proxy_type: T::ProxyType, delay: T::BlockNumber
        )  # Takes that back.
        remove_proxies  # Takes all of it back.
    """,
    events="""
        ProxyExecuted(result: DispatchResult)
        3 ProxyAdded(
            delegator: T::AccountId, delegatee: T::AccountId, proxy_type: T::ProxyType,
            delay: T::BlockNumber
        )
        4 ProxyRemoved(
            delegator: T::AccountId, delegatee: T::AccountId, proxy_type: T::ProxyType,
            delay: T::BlockNumber
        )
    """,
    errors="""
        TooMany  # The account has as many proxies as it may.
        NotFound  # There is no such proxy.
        NotProxy  # The sender is no proxy of that account.
        Unproxyable  # The proxy may not make this call.
        Duplicate  # The account is such a proxy already.
        NoPermission  # The call would widen what the proxy may do.
        Unannounced  # The call was not announced long enough before.
        NoSelfProxy  # An account can't be a proxy of itself.
    """,
    constants={
        "ProxyDepositBase": ("BalanceOf<T>", u128.write(PROXY_DEPOSIT_BASE)),
        "ProxyDepositFactor": ("BalanceOf<T>", u128.write(PROXY_DEPOSIT_FACTOR)),
        "MaxProxies": ("u32", u32.write(MAX_PROXIES)),
    },
)

PARACHAIN_INFO = Pallet(
    name="ParachainInfo",
    index=20,
    crate="parachain_info::pallet",
    storage="ParachainId: Default ParaId = 0x64000000",
)

PARACHAIN_SYSTEM = Pallet(
    name="ParachainSystem",
    index=21,
    crate="cumulus_pallet_parachain_system::pallet",
    storage="""
        ValidationData: Optional PersistedValidationData
        LastRelayChainBlockNumber: Default RelayChainBlockNumber
        RelayStateProof: Optional sp_trie::StorageProof
    """,
    calls="""
        set_validation_data(data: ParachainInherentData)  # Says what the block builds on.
    """,
    events="""
        1 ValidationFunctionApplied(relay_chain_block_num: RelayChainBlockNumber)
    """,
    errors="""
        OverlappingUpgrades  # An upgrade is pending already.
        ProhibitedByPolkadot  # The relay chain allows no upgrade now.
        TooBig  # The code is too big.
        ValidationDataNotAvailable  # The block has no validation data.
        HostConfigurationNotAvailable  # The block has no host configuration.
        NotScheduled  # No upgrade is scheduled.
        NothingAuthorized  # No upgrade is authorized.
        Unauthorized  # Not the code that was authorized.
    """,
)

ASSETS = Pallet(
    name="Assets",
    index=89,
    crate="pallet_assets::pallet",
    storage="""
        Asset: Optional Blake2_128Concat T::AssetId => AssetDetails
        Account: Optional Blake2_128Concat, Blake2_128Concat (
            T::AssetId, T::AccountId
        ) => AssetAccount
    """,
    events="""
        1 Issued(asset_id: T::AssetId, owner: T::AccountId, amount: T::Balance)
        2 Transferred(
            asset_id: T::AssetId, from: T::AccountId, to: T::AccountId, amount: T::Balance
        )
        3 Burned(asset_id: T::AssetId, owner: T::AccountId, balance: T::Balance)
    """,
    errors="""
        BalanceLow  # The account has less of this asset.
        NoAccount  # The account has none of this asset.
        NoPermission  # The sender may not do that.
        Unknown  # There is no such asset.
    """,
)

SUDO = Pallet(
    name="Sudo",
    index=99,
    crate="pallet_sudo::pallet",
    storage="Key: Optional T::AccountId",
    calls="""
        0 sudo(call: Box<<T as Config>::RuntimeCall>)  # Makes a call as root.
        2 set_key(new: AccountIdLookupOf<T>)  # Hands root to another account.
        3 sudo_as(
            who: AccountIdLookupOf<T>, call: Box<<T as Config>::RuntimeCall>
        )  # Makes a call as another account.
    """,
    events="""
        Sudid(sudo_result: DispatchResult)
        KeyChanged(old_sudoer: Option<T::AccountId>)
        SudoAsDone(sudo_result: DispatchResult)
    """,
    errors="RequireSudo  # The sender is not the sudo account.",
)

#: A pallet that an upgraded runtime gains, so that its metadata differ in more than a number.
DEVNET_UPGRADE = Pallet(
    name="DevnetUpgrade",
    index=120,
    crate="prbkit_devnet::upgrade::pallet",
    storage="UpgradedAt: Optional T::BlockNumber  # The first block under these rules.",
)


def para_metadata(
    version: RuntimeVersion,
    *,
    ss58_prefix: int,
    minimum_period: int,
    none_attestation: bool,
    metadata_hash: bool,
    upgraded: bool,
) -> bytes:
    """Return the parachain's metadata.

    :param minimum_period: half the block time, in milliseconds.
    :param none_attestation: whether workers may register without an attestation.
    :param metadata_hash: whether the extension CheckMetadataHash is there.
    :param upgraded: whether it is that of the runtime behind the upgrade.
    """
    registry = replace(
        PHALA_REGISTRY,
        constants={
            "NoneAttestationEnabled": ("bool", boolean.write(none_attestation)),
            "VerifyPRuntime": ("bool", boolean.write(False)),
            "VerifyRelaychainGenesisBlockHash": ("bool", boolean.write(True)),
        },
    )
    pallets = [
        system(version, ss58_prefix),
        timestamp(1, minimum_period),
        UTILITY,
        PROXY,
        PARACHAIN_INFO,
        PARACHAIN_SYSTEM,
        balances(40),
        transaction_payment(41),
        PHALA_MQ,
        registry,
        PHALA_COMPUTATION,
        ASSETS,
        PHALA_STAKE_POOL,
        PHALA_WRAPPED_BALANCES,
        PHALA_BASE_POOL,
        SUDO,
        *([DEVNET_UPGRADE] if upgraded else []),
    ]
    extensions = [
        *COMMON_EXTENSIONS[:-1],
        Extension("CheckMqSequence", "CheckMqSequence", "()"),
        COMMON_EXTENSIONS[-1],
    ]
    if metadata_hash:
        extensions.append(Extension("CheckMetadataHash", "CheckMetadataHash", "Option<[u8; 32]>"))
    return build(
        "prbkit_devnet_runtime", TypeBook(COMMON_TYPES, PHALA_TYPES, TYPES), pallets, extensions
    )
