"""Messages of PRB v2's Walkie protocol, and prbkit's own. Written by tools/make_protos.py."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, final

from google.protobuf.internal.containers import (
    RepeatedCompositeFieldContainer,
    RepeatedScalarFieldContainer,
)
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message

__all__ = [
    "Account",
    "Ack",
    "AuthRequest",
    "AuthResponse",
    "AuthStatus",
    "AuthType",
    "BN",
    "Blob",
    "BlobMeta",
    "BlobType",
    "Card",
    "Certificate",
    "CreatePool",
    "CreateWorker",
    "Empty",
    "FullAccount",
    "Genesis",
    "GetBlob",
    "GetBlobByKey",
    "Info",
    "Introduction",
    "Json",
    "KnownPeer",
    "ParaBlock",
    "ParentBlock",
    "Placeholder",
    "Pool",
    "PoolList",
    "PoolOrWorkerQueryIdentity",
    "QueryWorkerState",
    "RangeMeta",
    "RawBlob",
    "ResponseError",
    "ResponseErrorType",
    "Status",
    "UpdatePool",
    "UpdateWorker",
    "UuidQueryRequest",
    "WalkieBroadcastWrapper",
    "WalkieRoles",
    "WalkieRpcRequestWrapper",
    "WalkieRpcResponseWrapper",
    "WalkieSystemInfo",
    "WantBlob",
    "Window",
    "Worker",
    "WorkerList",
    "WorkerState",
    "WorkerStateUpdate",
]

@final
class Empty(Message):
    def __init__(self) -> None: ...

@final
class Placeholder(Message):
    def __init__(self) -> None: ...

@final
class Ack(Message):
    ack: bool
    def __init__(
        self,
        *,
        ack: bool | None = ...,
    ) -> None: ...

@final
class BN(Message):
    value: str
    def __init__(
        self,
        *,
        value: str | None = ...,
    ) -> None: ...

@final
class FullAccount(Message):
    mnemonic: str
    polkadot_json: str
    ss58_phala: str
    ss58_polkadot: str
    def __init__(
        self,
        *,
        mnemonic: str | None = ...,
        polkadot_json: str | None = ...,
        ss58_phala: str | None = ...,
        ss58_polkadot: str | None = ...,
    ) -> None: ...

@final
class Account(Message):
    ss58_phala: str
    ss58_polkadot: str
    def __init__(
        self,
        *,
        ss58_phala: str | None = ...,
        ss58_polkadot: str | None = ...,
    ) -> None: ...

class _Status(EnumTypeWrapper):
    S_UNKNOWN: int
    S_SYHCHING: int
    S_IDLE: int

Status: _Status

class _BlobType(EnumTypeWrapper):
    BT_UNKNOWN: int
    BT_PARENT_BLOCK: int
    BT_PARA_BLOCK: int

BlobType: _BlobType

@final
class Info(Message):
    status: int
    para_id: int
    parent_start_header: int
    parent_target: int
    parent_fetched_height: int
    parent_processed_height: int
    parent_committed_height: int
    para_target: int
    para_fetched_height: int
    para_processed_height: int
    para_committed_height: int
    blob_server_port: int
    def __init__(
        self,
        *,
        status: int | str | None = ...,
        para_id: int | None = ...,
        parent_start_header: int | None = ...,
        parent_target: int | None = ...,
        parent_fetched_height: int | None = ...,
        parent_processed_height: int | None = ...,
        parent_committed_height: int | None = ...,
        para_target: int | None = ...,
        para_fetched_height: int | None = ...,
        para_processed_height: int | None = ...,
        para_committed_height: int | None = ...,
        blob_server_port: int | None = ...,
    ) -> None: ...

@final
class WantBlob(Message):
    number: int
    type: int
    def __init__(
        self,
        *,
        number: int | None = ...,
        type: int | str | None = ...,
    ) -> None: ...

@final
class BlobMeta(Message):
    number: int
    hash: bytes
    origin_peer: str
    type: int
    get_token: str
    token_expires_at: int
    def __init__(
        self,
        *,
        number: int | None = ...,
        hash: bytes | None = ...,
        origin_peer: str | None = ...,
        type: int | str | None = ...,
        get_token: str | None = ...,
        token_expires_at: int | None = ...,
    ) -> None: ...

@final
class GetBlob(Message):
    token: str
    def __init__(
        self,
        *,
        token: str | None = ...,
    ) -> None: ...

@final
class Blob(Message):
    type: int
    number: int
    data: bytes
    def __init__(
        self,
        *,
        type: int | str | None = ...,
        number: int | None = ...,
        data: bytes | None = ...,
    ) -> None: ...

@final
class GetBlobByKey(Message):
    key: str
    def __init__(
        self,
        *,
        key: str | None = ...,
    ) -> None: ...

@final
class RawBlob(Message):
    key: str
    empty: bool
    data: bytes
    def __init__(
        self,
        *,
        key: str | None = ...,
        empty: bool | None = ...,
        data: bytes | None = ...,
    ) -> None: ...

@final
class ParentBlock(Message):
    number: int
    hash: bytes
    header: bytes
    set_id: int
    has_justification: bool
    sync_header_data: bytes
    authority_set_change: bytes
    para_number: int
    para_proof: bytes
    def __init__(
        self,
        *,
        number: int | None = ...,
        hash: bytes | None = ...,
        header: bytes | None = ...,
        set_id: int | None = ...,
        has_justification: bool | None = ...,
        sync_header_data: bytes | None = ...,
        authority_set_change: bytes | None = ...,
        para_number: int | None = ...,
        para_proof: bytes | None = ...,
    ) -> None: ...

@final
class ParaBlock(Message):
    number: int
    hash: bytes
    header: bytes
    dispatch_block_data: bytes
    def __init__(
        self,
        *,
        number: int | None = ...,
        hash: bytes | None = ...,
        header: bytes | None = ...,
        dispatch_block_data: bytes | None = ...,
    ) -> None: ...

@final
class Genesis(Message):
    para_id: int
    para_number: int
    parent_number: int
    bridge_genesis_info: bytes
    genesis_state: bytes
    def __init__(
        self,
        *,
        para_id: int | None = ...,
        para_number: int | None = ...,
        parent_number: int | None = ...,
        bridge_genesis_info: bytes | None = ...,
        genesis_state: bytes | None = ...,
    ) -> None: ...

@final
class Window(Message):
    parent_start_block: int
    parent_stop_block: int
    para_start_block: int
    para_stop_block: int
    window_id: int
    set_id: int
    is_finished: bool
    def __init__(
        self,
        *,
        parent_start_block: int | None = ...,
        parent_stop_block: int | None = ...,
        para_start_block: int | None = ...,
        para_stop_block: int | None = ...,
        window_id: int | None = ...,
        set_id: int | None = ...,
        is_finished: bool | None = ...,
    ) -> None: ...

@final
class RangeMeta(Message):
    parent_start_block: int
    parent_stop_block: int
    para_start_block: int
    para_stop_block: int
    dry_sync_header_req_key: str
    latest_set_id: int
    blob_parent_stop_block: int
    blob_para_stop_block: int
    blob_sync_header_req_key: str
    @property
    def parent_range(self) -> RepeatedScalarFieldContainer[int]: ...
    @property
    def para_range(self) -> RepeatedScalarFieldContainer[int]: ...
    def __init__(
        self,
        *,
        parent_start_block: int | None = ...,
        parent_stop_block: int | None = ...,
        para_start_block: int | None = ...,
        para_stop_block: int | None = ...,
        parent_range: Iterable[int] | None = ...,
        para_range: Iterable[int] | None = ...,
        dry_sync_header_req_key: str | None = ...,
        latest_set_id: int | None = ...,
        blob_parent_stop_block: int | None = ...,
        blob_para_stop_block: int | None = ...,
        blob_sync_header_req_key: str | None = ...,
    ) -> None: ...

@final
class Pool(Message):
    uuid: str
    pid: int
    name: str
    enabled: bool
    deleted: bool
    real_phala_ss58: str
    sync_only: bool
    @property
    def owner(self) -> FullAccount: ...
    def __init__(
        self,
        *,
        uuid: str | None = ...,
        owner: FullAccount | Mapping[str, Any] | None = ...,
        pid: int | None = ...,
        name: str | None = ...,
        enabled: bool | None = ...,
        deleted: bool | None = ...,
        real_phala_ss58: str | None = ...,
        sync_only: bool | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["owner"]) -> bool: ...

@final
class Worker(Message):
    uuid: str
    pid: int
    name: str
    endpoint: str
    enabled: bool
    deleted: bool
    stake: str
    sync_only: bool
    def __init__(
        self,
        *,
        uuid: str | None = ...,
        pid: int | None = ...,
        name: str | None = ...,
        endpoint: str | None = ...,
        enabled: bool | None = ...,
        deleted: bool | None = ...,
        stake: str | None = ...,
        sync_only: bool | None = ...,
    ) -> None: ...

class _ResponseErrorType(EnumTypeWrapper):
    UNKNOWN: int
    SERVER: int
    NOT_FOUND: int
    DUPLICATED: int
    UNAUTHORIZED: int

ResponseErrorType: _ResponseErrorType

@final
class ResponseError(Message):
    type: int
    message: str
    def __init__(
        self,
        *,
        type: int | str | None = ...,
        message: str | None = ...,
    ) -> None: ...

@final
class WorkerState(Message):
    class _Status(EnumTypeWrapper):
        S_IDLE: int
        S_STARTING: int
        S_SYNCHING: int
        S_SYNCHED: int
        S_PRE_ACTIVE: int
        S_ACTIVE: int
        S_KICKED: int
        S_ERROR: int

    Status: _Status
    S_IDLE: int
    S_STARTING: int
    S_SYNCHING: int
    S_SYNCHED: int
    S_PRE_ACTIVE: int
    S_ACTIVE: int
    S_KICKED: int
    S_ERROR: int
    status: int
    parent_header_synched_to: int
    para_header_synched_to: int
    para_block_dispatched_to: int
    initialized: bool
    public_key: str
    last_message: str
    session_info_json: str
    worker_account_id: str
    @property
    def worker(self) -> Worker: ...
    def __init__(
        self,
        *,
        status: int | str | None = ...,
        parent_header_synched_to: int | None = ...,
        para_header_synched_to: int | None = ...,
        para_block_dispatched_to: int | None = ...,
        initialized: bool | None = ...,
        worker: Worker | Mapping[str, Any] | None = ...,
        public_key: str | None = ...,
        last_message: str | None = ...,
        session_info_json: str | None = ...,
        worker_account_id: str | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["worker"]) -> bool: ...

@final
class PoolOrWorkerQueryIdentity(Message):
    uuid: str
    name: str
    pid: int
    def __init__(
        self,
        *,
        uuid: str | None = ...,
        name: str | None = ...,
        pid: int | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["uuid", "name", "pid", "identity"]) -> bool: ...
    def WhichOneof(self, oneof_group: Literal["identity"]) -> str | None: ...

@final
class QueryWorkerState(Message):
    @property
    def ids(self) -> RepeatedCompositeFieldContainer[PoolOrWorkerQueryIdentity]: ...
    def __init__(
        self,
        *,
        ids: Iterable[PoolOrWorkerQueryIdentity | Mapping[str, Any]] | None = ...,
    ) -> None: ...

@final
class WorkerStateUpdate(Message):
    @property
    def worker_states(self) -> RepeatedCompositeFieldContainer[WorkerState]: ...
    def __init__(
        self,
        *,
        worker_states: Iterable[WorkerState | Mapping[str, Any]] | None = ...,
    ) -> None: ...

@final
class UuidQueryRequest(Message):
    @property
    def ids(self) -> RepeatedScalarFieldContainer[str]: ...
    def __init__(
        self,
        *,
        ids: Iterable[str] | None = ...,
    ) -> None: ...

@final
class CreatePool(Message):
    @property
    def pools(self) -> RepeatedCompositeFieldContainer[Pool]: ...
    def __init__(
        self,
        *,
        pools: Iterable[Pool | Mapping[str, Any]] | None = ...,
    ) -> None: ...

@final
class UpdatePool(Message):
    @final
    class Item(Message):
        @property
        def id(self) -> PoolOrWorkerQueryIdentity: ...
        @property
        def pool(self) -> Pool: ...
        def __init__(
            self,
            *,
            id: PoolOrWorkerQueryIdentity | Mapping[str, Any] | None = ...,
            pool: Pool | Mapping[str, Any] | None = ...,
        ) -> None: ...
        def HasField(self, field_name: Literal["id", "pool"]) -> bool: ...

    @property
    def items(self) -> RepeatedCompositeFieldContainer[UpdatePool.Item]: ...
    def __init__(
        self,
        *,
        items: Iterable[UpdatePool.Item | Mapping[str, Any]] | None = ...,
    ) -> None: ...

@final
class CreateWorker(Message):
    @property
    def workers(self) -> RepeatedCompositeFieldContainer[Worker]: ...
    def __init__(
        self,
        *,
        workers: Iterable[Worker | Mapping[str, Any]] | None = ...,
    ) -> None: ...

@final
class UpdateWorker(Message):
    @final
    class Item(Message):
        @property
        def id(self) -> PoolOrWorkerQueryIdentity: ...
        @property
        def worker(self) -> Worker: ...
        def __init__(
            self,
            *,
            id: PoolOrWorkerQueryIdentity | Mapping[str, Any] | None = ...,
            worker: Worker | Mapping[str, Any] | None = ...,
        ) -> None: ...
        def HasField(self, field_name: Literal["id", "worker"]) -> bool: ...

    @property
    def items(self) -> RepeatedCompositeFieldContainer[UpdateWorker.Item]: ...
    def __init__(
        self,
        *,
        items: Iterable[UpdateWorker.Item | Mapping[str, Any]] | None = ...,
    ) -> None: ...

@final
class PoolList(Message):
    @property
    def pools(self) -> RepeatedCompositeFieldContainer[Pool]: ...
    def __init__(
        self,
        *,
        pools: Iterable[Pool | Mapping[str, Any]] | None = ...,
    ) -> None: ...

@final
class WorkerList(Message):
    @property
    def workers(self) -> RepeatedCompositeFieldContainer[Worker]: ...
    def __init__(
        self,
        *,
        workers: Iterable[Worker | Mapping[str, Any]] | None = ...,
    ) -> None: ...

class _WalkieRoles(EnumTypeWrapper):
    WR_CLIENT: int
    WR_DATA_PROVIDER_INT: int
    WR_DATA_PROVIDER_EXT: int
    WR_LIFECYCLE_MANAGER: int
    WR_TRADER: int

WalkieRoles: _WalkieRoles

class _AuthStatus(EnumTypeWrapper):
    AS_NONE: int
    AS_NEED_AUTH: int
    AS_GRANTED: int
    AS_REJECTED: int
    AS_BLOCKED: int

AuthStatus: _AuthStatus

class _AuthType(EnumTypeWrapper):
    AT_NONE: int
    AT_PSK: int
    AT_WHITE_LIST: int

AuthType: _AuthType

@final
class WalkieSystemInfo(Message):
    hostname: str
    peer_id: str
    role: int
    chain_identity: str
    bridge_identity: str
    auth: int
    def __init__(
        self,
        *,
        hostname: str | None = ...,
        peer_id: str | None = ...,
        role: int | str | None = ...,
        chain_identity: str | None = ...,
        bridge_identity: str | None = ...,
        auth: int | str | None = ...,
    ) -> None: ...

@final
class WalkieRpcRequestWrapper(Message):
    created_at: int
    nonce: str
    data: bytes
    method: str
    def __init__(
        self,
        *,
        created_at: int | None = ...,
        nonce: str | None = ...,
        data: bytes | None = ...,
        method: str | None = ...,
    ) -> None: ...

@final
class WalkieRpcResponseWrapper(Message):
    created_at: int
    request_nonce: str
    nonce: str
    data: bytes
    has_error: bool
    @property
    def error(self) -> ResponseError: ...
    def __init__(
        self,
        *,
        created_at: int | None = ...,
        request_nonce: str | None = ...,
        nonce: str | None = ...,
        data: bytes | None = ...,
        has_error: bool | None = ...,
        error: ResponseError | Mapping[str, Any] | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["error"]) -> bool: ...

@final
class WalkieBroadcastWrapper(Message):
    created_at: int
    nonce: str
    data: bytes
    method: str
    def __init__(
        self,
        *,
        created_at: int | None = ...,
        nonce: str | None = ...,
        data: bytes | None = ...,
        method: str | None = ...,
    ) -> None: ...

@final
class AuthRequest(Message):
    type: int
    auth_string: str
    def __init__(
        self,
        *,
        type: int | str | None = ...,
        auth_string: str | None = ...,
    ) -> None: ...

@final
class AuthResponse(Message):
    status: int
    type: int
    peer_id: str
    def __init__(
        self,
        *,
        status: int | str | None = ...,
        type: int | str | None = ...,
        peer_id: str | None = ...,
    ) -> None: ...

@final
class Json(Message):
    json: bytes
    def __init__(
        self,
        *,
        json: bytes | None = ...,
    ) -> None: ...

@final
class Certificate(Message):
    rsa_public_key: bytes
    curve_public_key: bytes
    signature: bytes
    def __init__(
        self,
        *,
        rsa_public_key: bytes | None = ...,
        curve_public_key: bytes | None = ...,
        signature: bytes | None = ...,
    ) -> None: ...

@final
class Card(Message):
    port: int
    @property
    def certificate(self) -> Certificate: ...
    def __init__(
        self,
        *,
        certificate: Certificate | Mapping[str, Any] | None = ...,
        port: int | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["certificate"]) -> bool: ...

@final
class KnownPeer(Message):
    peer_id: str
    address: str
    def __init__(
        self,
        *,
        peer_id: str | None = ...,
        address: str | None = ...,
    ) -> None: ...

@final
class Introduction(Message):
    instance: bytes
    address: str
    blobs: bool
    window: int
    proof: bytes
    @property
    def certificate(self) -> Certificate: ...
    @property
    def info(self) -> WalkieSystemInfo: ...
    @property
    def roles(self) -> RepeatedScalarFieldContainer[str]: ...
    @property
    def methods(self) -> RepeatedScalarFieldContainer[str]: ...
    @property
    def known(self) -> RepeatedCompositeFieldContainer[KnownPeer]: ...
    def __init__(
        self,
        *,
        certificate: Certificate | Mapping[str, Any] | None = ...,
        info: WalkieSystemInfo | Mapping[str, Any] | None = ...,
        instance: bytes | None = ...,
        address: str | None = ...,
        roles: Iterable[str] | None = ...,
        methods: Iterable[str] | None = ...,
        blobs: bool | None = ...,
        window: int | None = ...,
        proof: bytes | None = ...,
        known: Iterable[KnownPeer | Mapping[str, Any]] | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["certificate", "info"]) -> bool: ...
