"""The contracts behind the hooks: what a chain source, a store, a transport, … must do.

A plugin implements one of these protocols (structurally: no base class is needed) and hands an
instance back from its factory hook (`prbkit.hookspecs`). `prbkit.testing.contracts` holds a test
suite for each. Objects with a life are async context managers with explicit `open` and `close`;
`close` may be called twice. Hashes, keys and accounts are raw bytes everywhere; heights are block
numbers; durations are seconds; stakes are base units (10^12 to a PHA).
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from pydantic import SecretStr

    from prbkit.identity import Identity
    from prbkit.settings import Settings

__all__ = [
    "BlobStore",
    "Block",
    "Caller",
    "ChainInfo",
    "ChainSource",
    "EndpointHealth",
    "Event",
    "FinalityProof",
    "Head",
    "Inventory",
    "JobError",
    "JobRecord",
    "JobState",
    "Lifetime",
    "OnceCall",
    "Peer",
    "PeerRole",
    "Pool",
    "PoolSpec",
    "Ref",
    "Role",
    "RuntimeVersion",
    "Service",
    "ServiceContext",
    "Signer",
    "TradeAction",
    "TradeJob",
    "TradeQueue",
    "Transport",
    "Worker",
    "WorkerSpec",
]

Role = Literal["relay", "para"]
"""Which of the two chains: the relay chain, or the parachain that Phala's pallets live on."""


@runtime_checkable
class Lifetime(Protocol):
    """Something that is opened, used and closed."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...


# --- chain source --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Head:
    """A block, by number and hash (32 bytes)."""

    number: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class ChainInfo:
    """What a chain says of itself.

    `name` is `system_chain`; `genesis_hash` is that of block 0; `properties` is
    `system_properties` as JSON gave it.
    """

    name: str
    genesis_hash: bytes
    node_name: str = ""
    node_version: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EndpointHealth:
    """How an endpoint of a chain does; None for what is not known (yet).

    `trouble` says why it is not `well`. `head` is its newest finalized block, `lag` by how many
    blocks the best of the endpoints is ahead of it, `latency` its time to answer in seconds.
    `archive`: it has all states; `proves_finality`, `storage_changes`: it has
    ``grandpa_proveFinality``, ``pha_getStorageChanges``; `allows_unsafe`: it answers unsafe calls.
    `score` goes from 0 (not to be used) to 1.
    """

    url: str
    well: bool
    trouble: str | None = None
    head: int | None = None
    lag: int | None = None
    latency: float | None = None
    archive: bool | None = None
    proves_finality: bool | None = None
    storage_changes: bool | None = None
    allows_unsafe: bool | None = None
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class RuntimeVersion:
    """`state_getRuntimeVersion`, the part that signing and decoding need."""

    spec_name: str
    spec_version: int
    transaction_version: int


@dataclass(frozen=True, slots=True)
class FinalityProof:
    """An answer of `grandpa_proveFinality(n)`.

    `hash` is the block F that `justification` (SCALE) finalizes; `headers` are the SCALE headers
    n + 1 … F, empty where F is n or below.
    """

    hash: bytes
    justification: bytes
    headers: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Block:
    """A block: SCALE header, opaque extrinsics (each with its compact length), justifications.

    `justifications` maps the four-byte engine id (``FRNK`` for GRANDPA) to raw bytes, which may
    be anything: chains that are not GRANDPA use that id too.
    """

    header: bytes
    extrinsics: Sequence[bytes]
    justifications: Mapping[bytes, bytes] = field(default_factory=dict)


class ChainSource(Lifetime, Protocol):
    """One chain, seen through one or several endpoints.

    Nothing it returns is trusted: the data provider verifies headers, justifications and proofs.
    It must still refuse what is not of the right shape. Every method has a deadline of its own
    (the plugin's settings); `at` is a block hash (None: the best finalized block). Safe to call
    from many tasks at once: requests are pipelined.

    What is raised is a `prbkit.errors.SourceError` whose `where` is the endpoint's URL:
    `SourceDisconnected` and `SourceTimeout` (tried again by the caller), `WrongChain`,
    `BlockNotFound` for an unknown `at` or number, `StateDiscarded` for a pruned state,
    `RpcError` for what the node refuses (code -32601: it lacks the method).
    """

    url: str
    role: Role

    def views(self) -> Sequence[ChainSource]:
        """One source for each endpoint, which asks that endpoint alone; the well ones first.

        For who must know whose answer it is (to refuse a node that lies). A source of one
        endpoint may give itself. Views share their source's life.
        """
        ...

    def health(self) -> Sequence[EndpointHealth]:
        """How each endpoint does, in the settings' order; of what is known, without asking."""
        ...

    async def chain(self) -> ChainInfo: ...

    async def finalized_head(self) -> Head: ...

    def finalized_heads(self) -> AsyncIterator[Head]:
        """Yield each newest finalized head, numbers rising; numbers may be skipped.

        Ends only by being closed. A lost connection is made anew; the next head says how far the
        chain has got, and the caller fetches what lies between.
        """
        ...

    async def block_hash(self, number: int) -> bytes | None:
        """Hash of the block of that number on the best chain, None if there is none yet."""
        ...

    async def header(self, at: bytes) -> bytes:
        """SCALE header of a block."""
        ...

    async def headers(self, first: int, last: int) -> Sequence[bytes]:
        """SCALE headers first … last (both included) of the best chain, in order."""
        ...

    async def block(self, at: bytes) -> Block: ...

    async def finality_proof(self, after: int) -> FinalityProof | None:
        """`grandpa_proveFinality(after)`; None where the node lacks the call or has no proof."""
        ...

    async def storage(self, key: bytes, at: bytes | None = None) -> bytes | None: ...

    async def storage_many(
        self, keys: Sequence[bytes], at: bytes | None = None
    ) -> Sequence[bytes | None]:
        """Values in the order of `keys`."""
        ...

    async def keys(self, prefix: bytes, at: bytes | None = None) -> Sequence[bytes]: ...

    async def pairs(
        self, prefix: bytes = b"", at: bytes | None = None
    ) -> Sequence[tuple[bytes, bytes]]:
        """All (key, value) under a prefix, sorted by key."""
        ...

    async def read_proof(self, keys: Sequence[bytes], at: bytes) -> Sequence[bytes]:
        """Trie nodes, in the node's order."""
        ...

    async def storage_changes(self, first: int, last: int) -> Sequence[bytes]:
        """SCALE StorageChanges of the blocks first … last (both included), in order.

        Parachain only (`pha_getStorageChanges`).
        """
        ...

    async def metadata(self, at: bytes | None = None) -> bytes:
        """Metadata bytes, V14 or V15, as `prbkit.scale.Metadata.decode` takes them."""
        ...

    async def runtime_version(self, at: bytes | None = None) -> RuntimeVersion: ...

    async def account_nonce(self, account: bytes) -> int:
        """Next nonce of an account id (32 bytes), the node's pool counted in."""
        ...

    async def submit(self, extrinsic: bytes) -> bytes:
        """Hand a signed extrinsic to the node; its hash. Raises `TransactionRejected`."""
        ...

    async def pending_extrinsics(self) -> Sequence[bytes]:
        """What lies in the node's pool, each with its compact length."""
        ...

    async def rpc(self, method: str, params: Sequence[Any]) -> Any:
        """Any other JSON-RPC call, JSON in and JSON out."""
        ...


# --- blob store ----------------------------------------------------------------------------------


class BlobStore(Lifetime, Protocol):
    """An ordered map of bytes to bytes with atomic, durable commits.

    Keys sort as bytes (at most 511 of them), values are up to 2 GiB. One process writes; others
    may open the same store with `read_only` (if the plugin can) and see each commit whole.
    """

    url: str

    async def get(self, key: bytes) -> bytes | None: ...

    async def get_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """Values in the order of `keys`, all of one snapshot."""
        ...

    async def commit(self, puts: Mapping[bytes, bytes], deletes: Sequence[bytes] = ()) -> None:
        """Write all or nothing, on disk when it returns. Deletes are applied first."""
        ...

    def scan(
        self,
        start: bytes = b"",
        stop: bytes | None = None,
        *,
        reverse: bool = False,
        keys_only: bool = False,
    ) -> AsyncIterator[tuple[bytes, bytes]]:
        """Yield (key, value) with start <= key < stop in key order (or reversed).

        With `keys_only` the values are empty. It may be stopped early; it holds no snapshot of
        the whole: what is committed meanwhile may or may not be seen.
        """
        ...

    async def size(self) -> int:
        """Bytes that the store takes on disk (or in memory)."""
        ...


# --- transport -----------------------------------------------------------------------------------

PeerRole = Literal["client", "data_provider", "lifecycle", "trader"]


@dataclass(frozen=True, slots=True)
class Peer:
    """Another bridge process.

    `peer_id` is base58 of the SHA-256 multihash of its RSA public key (``Qm…``), proven by the
    transport; `roles` are the services it runs; `address` is where it is reached.
    """

    peer_id: str
    address: str
    roles: frozenset[str] = frozenset()
    hostname: str = ""
    chain_identity: str = ""
    bridge_identity: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls a method: a proven peer id and whether it may command."""

    peer_id: str
    may_command: bool


class Transport(Lifetime, Protocol):
    """How bridge processes talk: typed calls and big blobs, between proven peers.

    A process has one transport, on which all of its services are reached; a service calls
    another through it also when both run in one process.
    """

    peer_id: str
    roles: frozenset[str]
    chain_identity: str
    on_peer: Callable[[Peer, bool], None] | None
    """Called with each peer that is found (True) or lost (False); set by the bridge."""

    @property
    def address(self) -> str:
        """Where this transport listens, as another process would dial it."""
        ...

    def handle(self, method: str, handler: Callable[[Caller, Message], Awaitable[Message]]) -> None:
        """Serve a method of `prbkit.wire.METHODS`. Raises `ConfigError` if it is served already.

        A `PrbError` of the handler reaches the caller as `RemoteError` with its kind.
        """
        ...

    def serve_blobs(self, handler: Callable[[str], Awaitable[bytes | memoryview | None]]) -> None:
        """Serve blobs by key; None says that there is none."""
        ...

    async def call(
        self, peer_id: str, method: str, message: Message, *, timeout: float = 10.0
    ) -> Message:
        """Call a method of a peer (this process too) by its peer id."""
        ...

    async def get_blob(self, peer_id: str, key: str, *, timeout: float = 150.0) -> bytes | None:
        """Fetch a blob, its CRC-32C checked. None where the peer has none."""
        ...

    def peers(self, role: str | None = None) -> Sequence[Peer]:
        """Peers of the same bridge identity that are reachable now, this process included."""
        ...

    async def dial(self, address: str) -> Peer:
        """Get to know a peer by its address (a boot node, say)."""
        ...


# --- signer --------------------------------------------------------------------------------------


class Signer(Protocol):
    """Signs for one account. Never shows its secret, also not in `repr`."""

    account: bytes
    """Account id, 32 bytes."""
    public_key: bytes
    """32 bytes (sr25519, ed25519) or 33 (ecdsa)."""
    crypto: Literal["sr25519", "ed25519", "ecdsa"]

    async def sign(self, payload: bytes) -> bytes:
        """Signature of exactly these bytes, as a MultiSignature of the account takes it.

        sr25519: 64 bytes, under the context ``substrate``. ed25519: 64 bytes. ecdsa: 65 bytes
        (r, s, recovery id) over the payload's BLAKE2b-256; the account id is then the BLAKE2b-256
        of the public key. Raises `SignerError`.
        """
        ...


# --- inventory -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ref:
    """Names a pool or a worker by exactly one of uuid, name or (pools only) pid."""

    uuid: str | None = None
    name: str | None = None
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    """A stake pool that this bridge serves.

    `operator` is the account (32 bytes) whose signer is sealed in the inventory, None where none
    was given; `owner` is the account that the operator is a proxy of (PRB v2's realPhalaSs58),
    None where the operator acts for itself.
    """

    uuid: str
    pid: int
    name: str
    enabled: bool = True
    sync_only: bool = False
    operator: bytes | None = None
    owner: bytes | None = None


@dataclass(frozen=True, slots=True)
class Worker:
    """A pRuntime that this bridge keeps computing. `stake` is in base units."""

    uuid: str
    pid: int
    name: str
    endpoint: str
    stake: int = 0
    enabled: bool = True
    sync_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSpec:
    """What to create or change of a pool; None leaves as it is (or at its default).

    `operator` is a signer URI (`prbkit_signer`): a mnemonic, ``//Alice``, a polkadot-js export as
    JSON text. `owner` is an SS58 address. An empty text takes either away.
    """

    pid: int | None = None
    name: str | None = None
    enabled: bool | None = None
    sync_only: bool | None = None
    operator: SecretStr | None = None
    owner: str | None = None
    deleted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSpec:
    """What to create or change of a worker; None leaves as it is (or at its default)."""

    pid: int | None = None
    name: str | None = None
    endpoint: str | None = None
    stake: int | None = None
    enabled: bool | None = None
    sync_only: bool | None = None
    deleted: bool = False


class Inventory(Lifetime, Protocol):
    """Pools and workers. Each change is one transaction: all of its items or none.

    Raises `NotFound` and `Duplicated`. Several processes may have it open; one that only reads
    sees the changes of the others.
    """

    url: str

    async def pools(self) -> Sequence[Pool]: ...

    async def workers(self) -> Sequence[Worker]: ...

    async def create_pools(self, specs: Sequence[PoolSpec]) -> Sequence[Pool]: ...

    async def update_pools(self, items: Sequence[tuple[Ref, PoolSpec]]) -> Sequence[Pool]:
        """The pools that `items` name, in that order, as they are now.

        One whose spec says `deleted` is taken away, with its workers, and returned as it was.
        """
        ...

    async def create_workers(self, specs: Sequence[WorkerSpec]) -> Sequence[Worker]: ...

    async def update_workers(self, items: Sequence[tuple[Ref, WorkerSpec]]) -> Sequence[Worker]:
        """The workers that `items` name, in that order; a deleted one as it was."""
        ...

    def together(self) -> AbstractAsyncContextManager[None]:
        """Make one transaction of all that this task asks of the inventory while it is open.

        What is read inside sees what was changed inside; leaving it by an error undoes all.
        """
        ...

    async def operator_uri(self, pool: Pool) -> SecretStr:
        """The pool's signer URI, unsealed. Raises `NotFound` or `IdentityError`."""
        ...

    async def reseal(self, identity: Identity) -> int:
        """Seal every operator under another identity, all or none; tell how many there are.

        Those that it opens already stay as they are. Raises `IdentityError` for one that neither
        it nor the identity in use opens.
        """
        ...

    def changes(self) -> AsyncIterator[None]:
        """Yield once at the start and after each change, also those of other processes.

        Several changes may be told as one. Ends only by being closed.
        """
        ...


# --- trade queue ---------------------------------------------------------------------------------


class JobState(enum.StrEnum):
    """Where a trade job is. The last three are final."""

    QUEUED = "queued"
    BATCHED = "batched"
    SUBMITTED = "submitted"
    IN_BLOCK = "in_block"
    FINALIZED = "finalized"
    FAILED = "failed"
    EXPIRED = "expired"

    @property
    def final(self) -> bool:
        return self in (JobState.FINALIZED, JobState.FAILED, JobState.EXPIRED)


@dataclass(frozen=True, slots=True)
class TradeJob:
    """One thing to do on chain for one pool.

    `key` is the idempotency key: of two jobs with one key only the first is done, ever.
    `payload` is plain JSON (bytes as 0x hex, balances as decimal text), its shape fixed by
    `action`. `created_at` is Unix time in seconds.
    """

    key: str
    pid: int
    action: str
    payload: Mapping[str, Any]
    created_at: float


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a call failed. `pallet` and `name` are those of the metadata's error, where it is one."""

    message: str
    pallet: str | None = None
    name: str | None = None
    docs: str | None = None


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job and what has become of it.

    `error` is the first failure; `errors` has one entry (None: it succeeded) for each call that
    the job made. `block` is where it was included; of one that expired with a block, where it was
    certain that it can be included no more. A finalized job with an `error` is included, but what
    became of its calls cannot be told any more: only the chain's state says.
    """

    job: TradeJob
    state: JobState
    updated_at: float
    extrinsic_hash: bytes | None = None
    block: Head | None = None
    error: JobError | None = None
    errors: Sequence[JobError | None] = ()


class TradeQueue(Lifetime, Protocol):
    """Carries jobs to the trader and their records back. It may lose everything at any time.

    That no call is made twice is the trader's own journal's business, not the queue's; a producer
    puts a job again (same key) when the queue no longer knows it.
    """

    url: str

    async def put(self, job: TradeJob) -> bool:
        """Queue a job; False where its key is known already (nothing changes then)."""
        ...

    async def take(self, consumer: str, limit: int, wait: float) -> Sequence[TradeJob]:
        """Up to `limit` jobs, waiting up to `wait` seconds for the first.

        A job taken belongs to the consumer until a final record is reported. What a consumer
        that died held is given again: to the same name at once, to others after the lease.
        """
        ...

    async def report(self, records: Sequence[JobRecord]) -> None:
        """Store the newest state of jobs. A final one ends the job."""
        ...

    async def get(self, key: str) -> JobRecord | None: ...

    async def list(
        self, states: Sequence[JobState] | None = None, limit: int = 1000
    ) -> Sequence[JobRecord]:
        """Newest first."""
        ...

    async def counts(self) -> Mapping[JobState, int]: ...

    async def lease(self, name: str, holder: str, ttl: float) -> str | None:
        """Take or renew a lease for `ttl` seconds; None where it cannot be had now.

        One holder at a time has it. Where the queue has lost data, or may have, nobody gets it
        for a `ttl`, in which every former holder's has run out; so all who ask for a name use
        one `ttl`, and count their time from before they asked. The answer is the lease's term:
        the same text as long as nobody else has held it and nothing was lost. A `ttl` of 0 gives
        it up (None).
        """
        ...


@dataclass(frozen=True, slots=True)
class OnceCall:
    """A SCALE call that must succeed once at most, whichever jobs ask for it.

    `once` names what it does, among all actions. While a job with a call of that name is under
    way another one waits; after it has succeeded the call is not made again, and counts as done.
    """

    call: bytes
    once: str


class TradeAction(Protocol):
    """Makes the calls of a job: (metadata, pool, payload) → SCALE calls, in order.

    Pure. Raises `TradeError` for a payload that does not fit, before anything is queued.
    """

    def __call__(
        self, metadata: Any, pool: Pool, payload: Mapping[str, Any]
    ) -> Sequence[bytes | OnceCall]: ...


# --- services ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of what happened (`prbkit.events`)."""


class ServiceContext(Protocol):
    """What a service gets: all that the settings named, and nothing global.

    The objects are opened on first use and closed by the bridge; each is one per process.
    """

    settings: Settings
    identity: Identity

    async def source(self, role: Role) -> ChainSource: ...

    async def store(self) -> BlobStore: ...

    async def transport(self) -> Transport: ...

    async def queue(self) -> TradeQueue: ...

    async def inventory(self) -> Inventory: ...

    async def signer(self, uri: SecretStr) -> Signer: ...

    def trade_actions(self) -> Mapping[str, TradeAction]: ...

    def section(self, name: str) -> Any:
        """The validated settings of a plugin (`prbkit_settings`)."""
        ...

    def emit(self, event: Event) -> None:
        """Tell plugins and embedders. Never raises, never blocks."""
        ...

    def events(self) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Hear what happens in this process from now on; a slow reader loses the oldest."""
        ...

    def report_status(self, name: str, status: Callable[[], Mapping[str, Any]]) -> None:
        """Name a function that tells this service's part of `prbkit status`, as plain JSON."""
        ...

    async def call(
        self, peer_id: str, method: str, message: Message, *, timeout: float = 10.0
    ) -> Message: ...

    def handle(self, method: str, handler: Callable[[Caller, Message], Awaitable[Message]]) -> None:
        """Serve a method of `prbkit.wire.METHODS` for as long as this life of the service."""
        ...

    def serve_blobs(self, handler: Callable[[str], Awaitable[bytes | memoryview | None]]) -> None:
        """Serve blobs by key for as long as this life of the service."""
        ...

    async def spawn(self, target: str, argument: Any, name: str) -> None:
        """Run ``module:function`` in a supervised child process until cancelled.

        The function is ``async def f(context, argument)``; `argument` is plain JSON; the child
        builds its own context from the same settings (spawn, never fork) and is started again
        when it dies. Returns only by cancellation, which ends the child too.
        """
        ...


class Service(Protocol):
    """A part of the bridge that runs until it is cancelled; started again when it raises."""

    async def run(self) -> None: ...
