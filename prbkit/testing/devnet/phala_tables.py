"""The tables of Phala's own pallets, at spec 1241, less what nothing on the devnet uses."""

from __future__ import annotations

from prbkit.testing.devnet.descriptions import Pallet
from prbkit.testing.layouts import u32, u64, u128

__all__ = [
    "MAX_POOL_WORKERS",
    "MIN_CONTRIBUTION",
    "PHALA_BASE_POOL",
    "PHALA_COMPUTATION",
    "PHALA_MQ",
    "PHALA_REGISTRY",
    "PHALA_STAKE_POOL",
    "PHALA_TYPES",
    "PHALA_WRAPPED_BALANCES",
    "SUBSIDY_ACCOUNT",
    "WPHA_ASSET",
    "WRAPPED_ACCOUNT",
]

MAX_POOL_WORKERS = 200
MIN_CONTRIBUTION = 10**10
WPHA_ASSET = 10_000
#: Holds the PHA that rewards are paid of.
SUBSIDY_ACCOUNT = b"modlphala/pp".ljust(32, b"\0")
#: Holds the PHA that wrapped PHA stands for.
WRAPPED_ACCOUNT = b"wpha/".ljust(32, b"\0")

PHALA_TYPES = """
enum phala_mq::types::MessageOrigin {
    Pallet(Vec<u8>), Contract(ContractId), Worker(sp_core::sr25519::Public), AccountId(AccountId),
    MultiLocation(Vec<u8>), Gatekeeper, Cluster(ContractClusterId), 255 Reserved
}
struct phala_mq::types::Topic(Path)
struct phala_mq::types::Message { sender: SenderId, destination: Topic, payload: Vec<u8> }
struct phala_mq::types::SignedMessage { message: Message, sequence: u64, signature: Vec<u8> }
struct phala_pallets::mq::check_seq::CheckMqSequence <T>
struct phala_pallets::registry::pallet::WorkerInfoV2 <AccountId: AccountId32> {
    pubkey: WorkerPublicKey, ecdh_pubkey: EcdhPublicKey, runtime_version: u32, last_updated: u64,
    operator: Option<AccountId>, attestation_provider: Option<AttestationProvider>,
    confidence_level: u8, initial_score: Option<u32>, features: Vec<u32>
}
enum phala_types::AttestationProvider { Root, Ias }
enum phala_types::VersionedWorkerEndpoints { V1(Vec<String>) }
struct phala_types::WorkerEndpointPayload {
    pubkey: WorkerPublicKey, versioned_endpoints: VersionedWorkerEndpoints, signing_time: u64
}
struct phala_types::WorkerRegistrationInfo <AccountId: AccountId32> {
    version: u32, machine_id: MachineId, pubkey: WorkerPublicKey, ecdh_pubkey: EcdhPublicKey,
    genesis_block_hash: H256, features: Vec<u32>, operator: Option<AccountId>
}
struct phala_types::WorkerRegistrationInfoV2 <AccountId: AccountId32> {
    version: u32, machine_id: MachineId, pubkey: WorkerPublicKey, ecdh_pubkey: EcdhPublicKey,
    genesis_block_hash: H256, features: Vec<u32>, operator: Option<AccountId>, para_id: u32,
    max_consensus_version: u32
}
enum phala_pallets::utils::attestation_legacy::Attestation {
    SgxIas { ra_report: Vec<u8>, signature: Vec<u8>, raw_signing_cert: Vec<u8> }
}
enum phala_types::AttestationReport {
    SgxIas { ra_report: Vec<u8>, signature: Vec<u8>, raw_signing_cert: Vec<u8> }
}
struct phala_types::messaging::TokenomicParameters {
    pha_rate: U64F64Bits, rho: U64F64Bits, budget_per_block: U64F64Bits, v_max: U64F64Bits,
    cost_k: U64F64Bits, cost_b: U64F64Bits, slash_rate: U64F64Bits, treasury_ratio: U64F64Bits,
    heartbeat_window: u32, rig_k: U64F64Bits, rig_b: U64F64Bits, re: U64F64Bits, k: U64F64Bits,
    kappa: U64F64Bits
}
enum phala_pallets::compute::computation::pallet::WorkerState {
    Ready, WorkerIdle, _Unused, WorkerUnresponsive, WorkerCoolingDown
}
struct phala_pallets::compute::computation::pallet::Benchmark {
    p_init: u32, p_instant: u32, iterations: u64, working_start_time: u64, challenge_time_last: u64
}
struct phala_pallets::compute::computation::pallet::SessionStats { total_reward: u128 }
struct phala_pallets::compute::computation::pallet::SessionInfo {
    state: WorkerState, ve: u128, v: u128, v_updated_at: u64, benchmark: Benchmark,
    cool_down_start: u64, stats: SessionStats
}
struct phala_pallets::compute::base_pool::pallet::WithdrawInfo <AccountId: AccountId32> {
    user: AccountId, start_time: u64, nft_id: NftId
}
struct phala_pallets::compute::base_pool::pallet::BasePool <AccountId: AccountId32, Balance: u128> {
    pid: u64, owner: AccountId, total_shares: Balance, total_value: Balance,
    withdraw_queue: VecDeque<WithdrawInfo<AccountId>>, value_subscribers: Vec<u64>,
    cid: CollectionId, pool_account_id: AccountId
}
struct phala_pallets::compute::pool_proxy::StakePool <AccountId: AccountId32, Balance: u128> {
    basepool: base_pool::BasePool<AccountId, Balance>, payout_commission: Option<Permill>,
    cap: Option<Balance>, workers: Vec<WorkerPublicKey>, cd_workers: Vec<WorkerPublicKey>,
    lock_account: AccountId, owner_reward_account: AccountId
}
struct phala_pallets::compute::pool_proxy::Vault <AccountId: AccountId32, Balance: u128> {
    basepool: base_pool::BasePool<AccountId, Balance>, last_share_price_checkpoint: Balance,
    commission: Option<Permill>, owner_shares: Balance, invest_pools: Vec<u64>
}
enum phala_pallets::compute::pool_proxy::PoolProxy <AccountId: AccountId32, Balance: u128> {
    StakePool(StakePool<AccountId, Balance>), Vault(Vault<AccountId, Balance>)
}
struct sp_arithmetic::per_things::Permill(u32)
alias ContractId = H256
alias ContractClusterId = H256
alias AccountId = H256
alias Path = Vec<u8>
alias SenderId = MessageOrigin
alias WorkerPublicKey = Public
alias EcdhPublicKey = Public
alias MasterPublicKey = Public
alias MachineId = Vec<u8>
alias U64F64Bits = u128
alias TokenomicParams = TokenomicParameters
alias NftId = u32
alias CollectionId = u32
"""

PHALA_MQ = Pallet(
    name="PhalaMq",
    index=85,
    crate="phala_pallets::mq::pallet",
    storage="""
        OffchainIngress: Optional Twox64Concat MessageOrigin => u64  # Next sequence of a sender.
        OutboundMessages: Default Vec<Message>  # What this block says to those off the chain.
    """,
    calls="""
        sync_offchain_message(signed_message: SignedMessage)  # Takes a worker's message.
        push_message(destination: Vec<u8>, payload: Vec<u8>)  # Sends a message as an account.
    """,
    errors="""
        BadSender  # The sender is not off the chain.
        BadSequence  # Not the sender's next sequence number.
        BadDestination  # The destination is no topic.
    """,
)

PHALA_REGISTRY = Pallet(
    name="PhalaRegistry",
    index=86,
    crate="phala_pallets::registry::pallet",
    storage="""
        Gatekeeper: Default Vec<WorkerPublicKey>
        GatekeeperMasterPubkey: Optional MasterPublicKey
        Workers: Optional Twox64Concat WorkerPublicKey => WorkerInfoV2
        WorkerAddedAt: Optional Twox64Concat WorkerPublicKey => T::BlockNumber
        BenchmarkDuration: Optional u32
        RelaychainGenesisBlockHashAllowList: Default Vec<H256>
        Endpoints: Optional Twox64Concat WorkerPublicKey => VersionedWorkerEndpoints
        PRuntimeConsensusVersion: Default u32
    """,
    calls="""
        0 force_set_benchmark_duration(value: u32)  # Sets how many blocks a benchmark takes.
        1 force_register_worker(
            pubkey: WorkerPublicKey, ecdh_pubkey: EcdhPublicKey, operator: Option<T::AccountId>
        )  # Registers a worker without attestation; root only.
        3 register_gatekeeper(gatekeeper: WorkerPublicKey)  # Makes a worker a gatekeeper.
        6 register_worker(
            pruntime_info: WorkerRegistrationInfo<T::AccountId>, attestation: Attestation
        )  # Registers a worker.
        7 register_worker_v2(
            pruntime_info: WorkerRegistrationInfoV2<T::AccountId>,
            attestation: Option<AttestationReport>
        )  # Registers a worker.
        8 update_worker_endpoint(
            endpoint_payload: WorkerEndpointPayload, signature: Vec<u8>
        )  # Publishes where a worker can be reached.
        11 add_relaychain_genesis_block_hash(
            genesis_block_hash: H256
        )  # Allows a relay genesis; root only.
        12 remove_relaychain_genesis_block_hash(
            genesis_block_hash: H256
        )  # Disallows a relay genesis; root only.
    """,
    events="""
        0 GatekeeperAdded(pubkey: WorkerPublicKey)
        2 WorkerAdded(
            pubkey: WorkerPublicKey, attestation_provider: Option<AttestationProvider>,
            confidence_level: u8
        )
        3 WorkerUpdated(
            pubkey: WorkerPublicKey, attestation_provider: Option<AttestationProvider>,
            confidence_level: u8
        )
        6 InitialScoreSet(pubkey: WorkerPublicKey, init_score: u32)
    """,
    errors="""
        CannotHandleUnknownMessage  # The sender's messages can't be checked.
        InvalidSender  # The message is not from a worker.
        InvalidPubKey  # That worker is not registered.
        MalformedSignature  # The signature can't be read.
        InvalidSignatureLength  # The signature has not 64 bytes.
        InvalidSignature  # The signature is wrong.
        UnknownContract  # No contract of that id.
        InvalidIASSigningCert  # The report's certificate is not Intel's.
        InvalidReport  # The attestation report can't be read.
        InvalidQuoteStatus  # The enclave's status is not accepted.
        BadIASReport  # The attestation report is wrong.
        OutdatedIASReport  # The attestation report is too old.
        UnknownQuoteBodyFormat  # The quote can't be read.
        InvalidRuntimeInfoHash  # The report was made for other registration data.
        InvalidRuntimeInfo  # The registration data are wrong.
        InvalidInput  # The input is wrong.
        InvalidBenchReport  # The benchmark began in the future.
        WorkerNotFound  # No worker of that key is registered.
        NoneAttestationDisabled  # This chain wants an attestation.
        InvalidGatekeeper  # The worker is no gatekeeper.
        InvalidMasterPubkey  # Not the master key.
        MasterKeyMismatch  # There is another master key already.
        MasterKeyUninitialized  # There is no master key yet.
        GenesisBlockHashRejected  # The worker began at a relay block that is not allowed.
        GenesisBlockHashAlreadyExists  # That relay genesis is allowed already.
        GenesisBlockHashNotFound  # That relay genesis is not on the list.
        PRuntimeRejected  # That pRuntime is not allowed.
        PRuntimeAlreadyExists  # That pRuntime is allowed already.
        PRuntimeNotFound  # That pRuntime is not on the list.
        UnknownCluster  # No cluster of that id.
        NotImplemented  # Not implemented.
        CannotRemoveLastGatekeeper  # One gatekeeper must stay.
        MasterKeyInRotation  # The master key is changing now.
        InvalidRotatedMasterPubkey  # Not the master key that was asked for.
        InvalidEndpointSigningTime  # The endpoint was signed in the future or too long ago.
        NotMigrationRoot  # The sender may not migrate.
        ParachainIdMismatch  # The worker is made for another parachain.
        InvalidConsensusVersion  # The worker does not know this consensus version.
    """,
)

PHALA_COMPUTATION = Pallet(
    name="PhalaComputation",
    index=87,
    crate="phala_pallets::compute::computation::pallet",
    storage="""
        TokenomicParameters: Optional TokenomicParams
        OnlineWorkers: Default u32
        ExpectedHeartbeatCount: Optional u32
        HeartbeatPaused: Default bool = 0x01
        Sessions: Optional Twox64Concat T::AccountId => SessionInfo
        SessionBindings: Optional Twox64Concat T::AccountId => WorkerPublicKey
        WorkerBindings: Optional Twox64Concat WorkerPublicKey => T::AccountId
        CoolDownPeriod: Default u64
        NextSessionId: Default u32
        Stakes: Optional Twox64Concat T::AccountId => BalanceOf<T>
    """,
    calls="""
        0 set_cool_down_expiration(period: u64)  # Sets how long stopped workers cool down.
        1 unbind(session: T::AccountId)  # Frees a worker from its pool; by its operator.
        2 force_heartbeat  # Challenges every worker; root only.
        3 force_start_computing(session: T::AccountId, stake: BalanceOf<T>)  # Root only.
        4 force_stop_computing(session: T::AccountId)  # Root only.
        6 set_heartbeat_paused(paused: bool)  # Turns heartbeat challenges off or on; root only.
    """,
    events="""
        CoolDownExpirationChanged(period: u64)
        WorkerStarted(session: T::AccountId, init_v: u128, init_p: u32)
        WorkerStopped(session: T::AccountId)
        WorkerReclaimed(
            session: T::AccountId, original_stake: BalanceOf<T>, slashed: BalanceOf<T>
        )
        SessionBound(session: T::AccountId, worker: WorkerPublicKey)
        SessionUnbound(session: T::AccountId, worker: WorkerPublicKey)
        WorkerEnterUnresponsive(session: T::AccountId)
        WorkerExitUnresponsive(session: T::AccountId)
        SessionSettled(session: T::AccountId, v_bits: u128, payout_bits: u128)
        InternalErrorWorkerSettleFailed(worker: WorkerPublicKey)
        13 SessionSettlementDropped(session: T::AccountId, v: u128, payout: u128)
        14 BenchmarkUpdated(session: T::AccountId, p_instant: u32)
    """,
    errors="""
        BadSender  # The sender may not do that.
        _InvalidMessage
        WorkerNotRegistered  # The worker is not registered.
        _GatekeeperNotRegistered
        DuplicateBoundSession  # The session has another worker.
        BenchmarkMissing  # The worker has no benchmark yet.
        SessionNotFound  # There is no such session.
        SessionNotBound  # The session has no worker.
        WorkerNotReady  # The worker computes or cools down.
        WorkerNotComputing  # The worker does not compute.
        WorkerNotBound  # The worker has no session.
        CoolDownNotReady  # The worker has to cool down longer.
        InsufficientStake  # The stake is too low for the worker's score.
        TooMuchStake  # The stake is too high: V would exceed its maximum.
        InternalErrorBadTokenomicParameters  # The chain has no tokenomic parameters.
        DuplicateBoundWorker  # The worker has another session.
        BenchmarkTooLow  # The worker's score is too low.
        InternalErrorCannotStartWithExistingStake  # The session holds a stake already.
        NotMigrationRoot  # The sender may not migrate.
        NonceIndexInvalid  # The budget's nonce is wrong.
        BudgetUpdateBlockInvalid  # The budget's block is wrong.
        BudgetExceedMaxLimit  # The budget is too high.
        WorkerReregisterNeeded  # The worker has to be registered again.
    """,
)

PHALA_STAKE_POOL = Pallet(
    name="PhalaStakePoolv2",
    index=93,
    crate="phala_pallets::compute::stake_pool_v2::pallet",
    storage="""
        WorkerAssignments: Optional Twox64Concat WorkerPublicKey => u64  # The worker's pool.
        SubAccountPreimages: Optional Twox64Concat T::AccountId => (u64, WorkerPublicKey)
    """,
    calls="""
        0 create  # Creates a pool that the sender owns.
        1 add_worker(pid: u64, pubkey: WorkerPublicKey)  # Adds a worker to a pool.
        2 remove_worker(pid: u64, worker: WorkerPublicKey)  # Removes a worker from its pool.
        3 set_cap(pid: u64, cap: BalanceOf<T>)  # Sets the most a pool may hold.
        9 contribute(pid: u64, amount: BalanceOf<T>, as_vault: Option<u64>)  # Stakes in a pool.
        13 start_computing(
            pid: u64, worker: WorkerPublicKey, stake: BalanceOf<T>
        )  # Starts a worker.
        14 stop_computing(pid: u64, worker: WorkerPublicKey)  # Stops a worker.
        15 reclaim_pool_worker(pid: u64, worker: WorkerPublicKey)  # Frees a cooled worker's stake.
        17 restart_computing(
            pid: u64, worker: WorkerPublicKey, stake: BalanceOf<T>
        )  # Starts a worker again with more stake.
    """,
    events="""
        PoolCreated(
            owner: T::AccountId, pid: u64, cid: CollectionId, pool_account_id: T::AccountId
        )
        2 PoolCapacitySet(pid: u64, cap: BalanceOf<T>)
        3 PoolWorkerAdded(pid: u64, worker: WorkerPublicKey, session: T::AccountId)
        4 Contribution(
            pid: u64, user: T::AccountId, amount: BalanceOf<T>, shares: BalanceOf<T>,
            as_vault: Option<u64>
        )
        8 RewardDismissedNotInPool(worker: WorkerPublicKey, amount: BalanceOf<T>)
        11 PoolWorkerRemoved(pid: u64, worker: WorkerPublicKey)
        12 WorkerReclaimed(pid: u64, worker: WorkerPublicKey)
        13 RewardReceived(pid: u64, to_owner: BalanceOf<T>, to_stakers: BalanceOf<T>)
        14 WorkingStarted(pid: u64, worker: WorkerPublicKey, amount: BalanceOf<T>)
    """,
    errors="""
        WorkerNotRegistered  # The worker is not registered.
        BenchmarkMissing  # The worker has no benchmark yet.
        WorkerExists  # The worker is in the pool already.
        WorkerAlreadyStopped  # The worker cools down already.
        WorkerDoesNotExist  # The worker is not in the pool.
        WorkerInAnotherPool  # The worker is in another pool.
        UnauthorizedOperator  # The worker's operator is not the sender.
        UnauthorizedPoolOwner  # The pool's owner is not the sender.
        InadequateCapacity  # The pool holds more than that already.
        StakeExceedsCapacity  # The pool would hold more than it may.
        PoolDoesNotExist  # There is no such pool.
        _PoolIsBusy
        InsufficientContribution  # The contribution is under the minimum.
        NoNftToWithdraw  # The sender has no share to withdraw.
        InsufficientBalance  # The sender has less wrapped PHA.
        PoolStakeNotFound  # The sender has no stake in the pool.
        InsufficientFreeStake  # The pool has less free stake.
        InvalidWithdrawalAmount  # The amount can't be withdrawn.
        FailedToBindSessionAndWorker  # The worker or its session is bound already.
        InternalSubsidyPoolCannotWithdraw  # The subsidy pool can't pay.
        PoolBankrupt  # All stake of the pool is slashed.
        NoRewardToClaim  # There is no reward to claim.
        FeatureNotEnabled  # Stake pools are turned off.
        WorkersExceedLimit  # The pool has as many workers as it may.
        CannotRestartWithLessStake  # A worker restarts only with more stake than it had.
        InvalidForceRewardAmount  # The reward's amount is wrong.
        WithdrawQueueNotEmpty  # Someone waits for a withdrawal.
        MissingCollectionId  # The pool has no collection.
        VaultIsLocked  # The vault is locked.
        SessionDoesNotExist  # The worker has no session.
        WorkerIsNotReady  # The worker computes or cools down.
        LockAccountStakeError  # The locked stake is wrong.
        NoLegacyRewardToClaim  # There is no old reward to claim.
    """,
    constants={
        "MinContribution": ("BalanceOf<T>", u128.write(MIN_CONTRIBUTION)),
        "GracePeriod": ("u64", u64.write(604_800)),
        "MaxPoolWorkers": ("u32", u32.write(MAX_POOL_WORKERS)),
    },
)

PHALA_WRAPPED_BALANCES = Pallet(
    name="PhalaWrappedBalances",
    index=95,
    crate="phala_pallets::compute::wrapped_balances::pallet",
    calls="0 wrap(amount: BalanceOf<T>)  # Turns PHA into wrapped PHA, which pools take.",
    events="1 Wrapped(user: T::AccountId, amount: BalanceOf<T>)",
    constants={
        "WPhaAssetId": ("u32", u32.write(WPHA_ASSET)),
        "WrappedBalancesAccountId": ("T::AccountId", WRAPPED_ACCOUNT),
    },
)

PHALA_BASE_POOL = Pallet(
    name="PhalaBasePool",
    index=96,
    crate="phala_pallets::compute::base_pool::pallet",
    storage="""
        NextNftId: Default Twox64Concat CollectionId => NftId
        PoolCount: Default u64
        PoolCollections: Optional Twox64Concat CollectionId => u64
        CollectionIndex: Default CollectionId
        Pools: Optional Twox64Concat u64 => PoolProxy
    """,
    events="""
        NftCreated(
            pid: u64, cid: CollectionId, nft_id: NftId, owner: T::AccountId, shares: BalanceOf<T>
        )
    """,
    errors="""
        MissCollectionId  # The pool has no collection.
        PoolBankrupt  # All stake of the pool is slashed.
        InvalidShareToWithdraw  # The shares can't be withdrawn.
        InvalidWithdrawalAmount  # The amount can't be withdrawn.
        RmrkError  # The share token can't be made.
        PoolDoesNotExist  # There is no such pool.
        PoolTypeNotMatch  # The pool is of another kind.
    """,
)
