"""What the metadata of the devnet's two runtimes has in common: types, extensions, base pallets.

Names, indexes, hashers and the order of fields are those of the Phala runtime (spec 1241) and the
FRAME pallets that it was built from.
"""

from __future__ import annotations

from dataclasses import dataclass

from prbkit.testing.devnet.descriptions import Extension, Pallet
from prbkit.testing.devnet.runtime import RuntimeVersion
from prbkit.testing.layouts import compact, u8, u16, u32, u64, u128

__all__ = [
    "BLOCK_HASH_COUNT",
    "COMMON_EXTENSIONS",
    "COMMON_TYPES",
    "EXISTENTIAL_DEPOSIT",
    "LIMITS",
    "Limits",
    "balances",
    "system",
    "timestamp",
    "transaction_payment",
]

#: How many block hashes the state keeps, and so how long an era may reach back.
BLOCK_HASH_COUNT = 1200
EXISTENTIAL_DEPOSIT = 10**10


@dataclass(frozen=True, slots=True)
class Limits:
    """What fits into a block; weights are picoseconds of reference time."""

    base_block: int = 5_000_000_000
    base_extrinsic: int = 100_000_000
    max_block: int = 500_000_000_000
    normal_percent: int = 75
    proof_size: int = 5 << 20
    max_length: int = 5 << 20

    @property
    def normal_weight(self) -> int:
        """What all normal extrinsics of a block may weigh."""
        return self.max_block * self.normal_percent // 100

    @property
    def normal_length(self) -> int:
        """How many bytes all normal extrinsics of a block may have."""
        return self.max_length * self.normal_percent // 100

    def weights_scale(self) -> bytes:
        """Return the SCALE of ``System.BlockWeights``."""

        def weight(ref_time: int) -> bytes:
            return compact.write(ref_time) + compact.write(self.proof_size)

        base = compact.write(self.base_extrinsic) + compact.write(0)
        normal = b"\1" + weight(self.normal_weight)
        most = b"\1" + weight(self.max_block)
        return b"".join(
            [
                compact.write(self.base_block) + compact.write(0),
                weight(self.max_block),
                base + normal + normal + b"\1" + compact.write(0) + compact.write(0),
                base + most + most + b"\0",
                base + b"\0\0\0",
            ]
        )

    def length_scale(self) -> bytes:
        """Return the SCALE of ``System.BlockLength``."""
        return b"".join(map(u32.write, (self.normal_length, self.max_length, self.max_length)))


LIMITS = Limits()

COMMON_TYPES = """
struct sp_core::crypto::AccountId32([u8; 32])
struct primitive_types::H256([u8; 32])
struct sp_core::sr25519::Public([u8; 32])
struct sp_core::ed25519::Signature as Ed25519Signature([u8; 64])
struct sp_core::sr25519::Signature as Sr25519Signature([u8; 64])
struct sp_core::ecdsa::Signature as EcdsaSignature([u8; 65])
struct sp_weights::weight_v2::Weight { ref_time: compact u64, proof_size: compact u64 }
struct sp_weights::RuntimeDbWeight { read: u64, write: u64 }
struct pallet_balances::AccountData <Balance: u128> {
    free: Balance, reserved: Balance, misc_frozen: Balance, fee_frozen: Balance
}
struct frame_system::AccountInfo <Index: u32, AccountData: AccountData> {
    nonce: Index, consumers: RefCount, providers: RefCount, sufficients: RefCount,
    data: AccountData
}
struct frame_system::LastRuntimeUpgradeInfo {
    spec_version: codec::Compact<u32>, spec_name: sp_runtime::RuntimeString
}
struct frame_system::EventRecord <E: RuntimeEvent, T: H256> {
    phase: Phase, event: E, topics: Vec<T>
}
enum frame_system::Phase { ApplyExtrinsic(u32), Finalization, Initialization }
struct sp_runtime::generic::digest::Digest { logs: Vec<DigestItem> }
enum sp_runtime::generic::digest::DigestItem {
    6 PreRuntime(ConsensusEngineId, Vec<u8>), 4 Consensus(ConsensusEngineId, Vec<u8>),
    5 Seal(ConsensusEngineId, Vec<u8>), 0 Other(Vec<u8>), 8 RuntimeEnvironmentUpdated
}
struct frame_support::dispatch::DispatchInfo {
    weight: Weight, class: DispatchClass, pays_fee: Pays
}
struct frame_support::dispatch::PerDispatchClass <T: Weight> {
    normal: T, operational: T, mandatory: T
}
struct frame_support::dispatch::PerDispatchClass as PerClassLength <T: u32> {
    normal: T, operational: T, mandatory: T
}
struct frame_support::dispatch::PerDispatchClass as PerClassWeights <T: WeightsPerClass> {
    normal: T, operational: T, mandatory: T
}
enum frame_support::dispatch::DispatchClass { Normal, Operational, Mandatory }
enum frame_support::dispatch::Pays { Yes, No }
struct frame_system::limits::WeightsPerClass {
    base_extrinsic: Weight, max_extrinsic: Option<Weight>, max_total: Option<Weight>,
    reserved: Option<Weight>
}
struct frame_system::limits::BlockWeights {
    base_block: Weight, max_block: Weight, per_class: PerDispatchClass<WeightsPerClass>
}
struct frame_system::limits::BlockLength { max: PerDispatchClass<u32> }
enum sp_runtime::DispatchError {
    Other, CannotLookup, BadOrigin, Module(ModuleError), ConsumerRemaining, NoProviders,
    TooManyConsumers, Token(TokenError), Arithmetic(ArithmeticError),
    Transactional(TransactionalError), Exhausted, Corruption, Unavailable
}
struct sp_runtime::ModuleError { index: u8, error: [u8; MAX_MODULE_ERROR_ENCODED_SIZE] }
enum sp_runtime::TokenError {
    NoFunds, WouldDie, BelowMinimum, CannotCreate, UnknownAsset, Frozen, Unsupported
}
enum sp_arithmetic::ArithmeticError { Underflow, Overflow, DivisionByZero }
enum sp_runtime::TransactionalError { LimitReached, NoLayer }
enum sp_runtime::multiaddress::MultiAddress <AccountId: AccountId32, AccountIndex: ()> {
    Id(AccountId), Index(compact AccountIndex), Raw(Vec<u8>), Address32([u8; 32]),
    Address20([u8; 20])
}
enum sp_runtime::MultiSignature {
    Ed25519(ed25519::Signature), Sr25519(sr25519::Signature), Ecdsa(ecdsa::Signature)
}
struct sp_version::RuntimeVersion {
    spec_name: RuntimeString, impl_name: RuntimeString, authoring_version: u32,
    spec_version: u32, impl_version: u32, apis: ApisVec, transaction_version: u32,
    state_version: u8
}
struct sp_arithmetic::fixed_point::FixedU128(u128)
enum pallet_transaction_payment::Releases { V1Ancient, V2 }
struct frame_system::extensions::check_non_zero_sender::CheckNonZeroSender <T>
struct frame_system::extensions::check_spec_version::CheckSpecVersion <T>
struct frame_system::extensions::check_tx_version::CheckTxVersion <T>
struct frame_system::extensions::check_genesis::CheckGenesis <T>
struct frame_system::extensions::check_mortality::CheckMortality <T>(Era)
struct frame_system::extensions::check_nonce::CheckNonce <T>(compact T::Index)
struct frame_system::extensions::check_weight::CheckWeight <T>
struct pallet_transaction_payment::ChargeTransactionPayment <T>(compact BalanceOf<T>)
alias RefCount = u32
alias T::Index = u32
alias T::AccountId = AccountId32
alias AccountIdLookupOf<T> = MultiAddress
alias T::Hash = H256
alias T::BlockNumber = u32
alias T::Moment = u64
alias T::Balance = u128
alias BalanceOf<T> = u128
alias codec::Compact<u32> = Compact<u32>
alias RuntimeString = str
alias sp_runtime::RuntimeString = str
alias String = str
alias ConsensusEngineId = [u8; 4]
alias [u8; MAX_MODULE_ERROR_ENCODED_SIZE] = [u8; 4]
alias PerDispatchClass<u32> = PerClassLength
alias PerDispatchClass<WeightsPerClass> = PerClassWeights
alias ed25519::Signature = Ed25519Signature
alias sr25519::Signature = Sr25519Signature
alias ecdsa::Signature = EcdsaSignature
struct Cow <T: Vec<([u8; 8], u32)>>(~T)
alias ApisVec = Cow
alias DispatchResult = Result<(), DispatchError>
alias <T as Config>::RuntimeCall = RuntimeCall
alias KeyValue = (Vec<u8>, Vec<u8>)
alias Key = Vec<u8>
"""

COMMON_EXTENSIONS = (
    Extension("CheckNonZeroSender", "CheckNonZeroSender", "()"),
    Extension("CheckSpecVersion", "CheckSpecVersion", "u32"),
    Extension("CheckTxVersion", "CheckTxVersion", "u32"),
    Extension("CheckGenesis", "CheckGenesis", "H256"),
    Extension("CheckMortality", "CheckMortality", "H256"),
    Extension("CheckNonce", "CheckNonce", "()"),
    Extension("CheckWeight", "CheckWeight", "()"),
    Extension("ChargeTransactionPayment", "ChargeTransactionPayment", "()"),
)


def system(version: RuntimeVersion, ss58_prefix: int) -> Pallet:
    """Return frame_system's tables."""
    return Pallet(
        name="System",
        index=0,
        crate="frame_system::pallet",
        storage="""
            Account: Default Blake2_128Concat T::AccountId => AccountInfo
            ExtrinsicCount: Optional u32
            BlockWeight: Default PerDispatchClass<Weight>
            AllExtrinsicsLen: Optional u32
            BlockHash: Default Twox64Concat T::BlockNumber => H256
            ExtrinsicData: Default Twox64Concat u32 => Vec<u8>
            Number: Default T::BlockNumber
            ParentHash: Default H256
            Digest: Default Digest
            Events: Default Vec<EventRecord>
            EventCount: Default u32
            EventTopics: Default Blake2_128Concat H256 => Vec<(T::BlockNumber, u32)>
            LastRuntimeUpgrade: Optional LastRuntimeUpgradeInfo
            UpgradedToU32RefCount: Default bool
            UpgradedToTripleRefCount: Default bool
            ExecutionPhase: Optional Phase
        """,
        calls="""
            0 remark(remark: Vec<u8>)  # Does nothing but stand in the block.
            4 set_storage(items: Vec<KeyValue>)  # Writes raw storage; root only.
            5 kill_storage(keys: Vec<Key>)  # Deletes raw storage; root only.
            7 remark_with_event(remark: Vec<u8>)  # Leaves the hash of the remark as an event.
        """,
        events="""
            ExtrinsicSuccess(dispatch_info: DispatchInfo)
            ExtrinsicFailed(dispatch_error: DispatchError, dispatch_info: DispatchInfo)
            CodeUpdated
            NewAccount(account: T::AccountId)
            KilledAccount(account: T::AccountId)
            Remarked(sender: T::AccountId, hash: T::Hash)
        """,
        errors="""
            InvalidSpecName  # The new code is of another chain.
            SpecVersionNeedsToIncrease  # The new code's spec version is not higher.
            FailedToExtractRuntimeVersion  # The new code states no version.
            NonDefaultComposite  # The account still holds data of its own.
            NonZeroRefCount  # Something still refers to the account.
            CallFiltered  # The origin may not make this call.
        """,
        constants={
            "BlockWeights": ("BlockWeights", LIMITS.weights_scale()),
            "BlockLength": ("BlockLength", LIMITS.length_scale()),
            "BlockHashCount": ("T::BlockNumber", u32.write(BLOCK_HASH_COUNT)),
            "DbWeight": ("RuntimeDbWeight", u64.write(25_000_000) + u64.write(100_000_000)),
            "Version": ("RuntimeVersion", version.encode()),
            "SS58Prefix": ("u16", u16.write(ss58_prefix)),
        },
    )


def timestamp(index: int, minimum_period: int) -> Pallet:
    """Return pallet_timestamp's tables; `minimum_period` in milliseconds."""
    return Pallet(
        name="Timestamp",
        index=index,
        crate="pallet_timestamp::pallet",
        storage="""
            Now: Default T::Moment
            DidUpdate: Default bool
        """,
        calls="set(now: compact T::Moment)  # Sets the block's time; an inherent.",
        constants={"MinimumPeriod": ("T::Moment", u64.write(minimum_period))},
    )


def balances(index: int) -> Pallet:
    """Return pallet_balances' tables."""
    return Pallet(
        name="Balances",
        index=index,
        crate="pallet_balances::pallet",
        storage="""
            TotalIssuance: Default T::Balance
            InactiveIssuance: Default T::Balance
        """,
        calls="""
            0 transfer(dest: AccountIdLookupOf<T>, value: compact T::Balance)  # Moves funds.
            2 force_transfer(
                source: AccountIdLookupOf<T>, dest: AccountIdLookupOf<T>, value: compact T::Balance
            )  # Moves funds of another; root only.
            3 transfer_keep_alive(
                dest: AccountIdLookupOf<T>, value: compact T::Balance
            )  # Moves funds and leaves the sender alive.
            4 transfer_all(dest: AccountIdLookupOf<T>, keep_alive: bool)  # Moves all free funds.
        """,
        events="""
            Endowed(account: T::AccountId, free_balance: T::Balance)
            DustLost(account: T::AccountId, amount: T::Balance)
            Transfer(from: T::AccountId, to: T::AccountId, amount: T::Balance)
            4 Reserved(who: T::AccountId, amount: T::Balance)
            5 Unreserved(who: T::AccountId, amount: T::Balance)
            7 Deposit(who: T::AccountId, amount: T::Balance)
            8 Withdraw(who: T::AccountId, amount: T::Balance)
        """,
        errors="""
            VestingBalance  # Not yet vested.
            LiquidityRestrictions  # A lock holds these funds.
            InsufficientBalance  # The balance is too low.
            ExistentialDeposit  # The receiver would stay under the existential deposit.
            KeepAlive  # The sender's account would be reaped.
            ExistingVestingSchedule  # The account is vesting already.
            DeadAccount  # The receiver does not exist.
            TooManyReserves  # Too many named reserves.
        """,
        constants={"ExistentialDeposit": ("T::Balance", u128.write(EXISTENTIAL_DEPOSIT))},
    )


def transaction_payment(index: int) -> Pallet:
    """Return pallet_transaction_payment's tables."""
    return Pallet(
        name="TransactionPayment",
        index=index,
        crate="pallet_transaction_payment::pallet",
        storage=f"""
            NextFeeMultiplier: Default FixedU128 = 0x{u128.write(10**18).hex()}
            StorageVersion: Default Releases
        """,
        events="""
            TransactionFeePaid(
                who: T::AccountId, actual_fee: BalanceOf<T>, tip: BalanceOf<T>
            )
        """,
        constants={"OperationalFeeMultiplier": ("u8", u8.write(5))},
    )
