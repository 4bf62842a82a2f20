"""Messages of pRuntime's API. Written by tools/make_protos.py."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, final

from google.protobuf.internal.containers import (
    RepeatedCompositeFieldContainer,
    RepeatedScalarFieldContainer,
)
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message

__all__ = [
    "AddEndpointRequest",
    "Attestation",
    "AttestationReport",
    "BenchState",
    "Blocks",
    "Certificate",
    "ChainState",
    "ClusterInfo",
    "CombinedHeadersToSync",
    "ContractId",
    "ContractInfo",
    "ContractParameters",
    "ContractQueryRequest",
    "ContractQueryResponse",
    "DcapHandoverChallenge",
    "DcapHandoverChallengeResponse",
    "DcapHandoverWorkerKey",
    "DerivePhalaI2pKeyResponse",
    "EchoMessage",
    "Empty",
    "GatekeeperRole",
    "GatekeeperStatus",
    "GetClusterInfoResponse",
    "GetContractInfoRequest",
    "GetContractInfoResponse",
    "GetEgressMessagesResponse",
    "GetEndpointResponse",
    "GetRuntimeInfoRequest",
    "GetWorkerStateRequest",
    "HandoverChallenge",
    "HandoverChallengeResponse",
    "HandoverWorkerKey",
    "HeadersSyncedTo",
    "HeadersToSync",
    "HttpCounters",
    "HttpEgressStats",
    "HttpHeader",
    "HttpRequest",
    "HttpResponse",
    "InitRuntimeRequest",
    "InitRuntimeResponse",
    "MemoryUsage",
    "NetworkConfig",
    "NetworkConfigResponse",
    "ParaHeadersToSync",
    "PhactoryInfo",
    "PinkRuntimeVersion",
    "PrpcError",
    "QueryCounters",
    "QueryStats",
    "ResponsiveEvent",
    "SaveClusterStateArguments",
    "SaveClusterStateResponse",
    "SidevmCode",
    "SidevmInfo",
    "SignEndpointsRequest",
    "Signature",
    "SignatureType",
    "StatisticsReqeust",
    "StatisticsResponse",
    "StopOptions",
    "StorageProof",
    "SyncedTo",
    "SystemInfo",
    "TokenomicInfo",
    "TokenomicStat",
    "WorkerStat",
    "WorkerState",
    "WorkingState",
]

@final
class Empty(Message):
    def __init__(self) -> None: ...

class _GatekeeperRole(EnumTypeWrapper):
    Dummy: int
    Active: int

GatekeeperRole: _GatekeeperRole

class _SignatureType(EnumTypeWrapper):
    Ed25519: int
    Sr25519: int
    Ecdsa: int
    Ed25519WrapBytes: int
    Sr25519WrapBytes: int
    EcdsaWrapBytes: int
    Eip712: int
    EvmEcdsa: int
    EvmEcdsaWrapBytes: int

SignatureType: _SignatureType

class _ResponsiveEvent(EnumTypeWrapper):
    NoEvent: int
    EnterUnresponsive: int
    ExitUnresponsive: int

ResponsiveEvent: _ResponsiveEvent

@final
class PhactoryInfo(Message):
    initialized: bool
    registered: bool
    genesis_block_hash: str
    public_key: str
    ecdh_public_key: str
    headernum: int
    para_headernum: int
    blocknum: int
    state_root: str
    dev_mode: bool
    pending_messages: int
    score: int
    version: str
    git_revision: str
    waiting_for_paraheaders: bool
    can_load_chain_state: bool
    safe_mode_level: int
    current_block_time: int
    max_supported_pink_runtime_version: str
    live_sidevm_instances: int
    query_timeout: int
    @property
    def gatekeeper(self) -> GatekeeperStatus: ...
    @property
    def memory_usage(self) -> MemoryUsage: ...
    @property
    def system(self) -> SystemInfo: ...
    @property
    def supported_attestation_methods(self) -> RepeatedScalarFieldContainer[str]: ...
    def __init__(
        self,
        *,
        initialized: bool | None = ...,
        registered: bool | None = ...,
        genesis_block_hash: str | None = ...,
        public_key: str | None = ...,
        ecdh_public_key: str | None = ...,
        headernum: int | None = ...,
        para_headernum: int | None = ...,
        blocknum: int | None = ...,
        state_root: str | None = ...,
        dev_mode: bool | None = ...,
        pending_messages: int | None = ...,
        score: int | None = ...,
        gatekeeper: GatekeeperStatus | Mapping[str, Any] | None = ...,
        version: str | None = ...,
        git_revision: str | None = ...,
        memory_usage: MemoryUsage | Mapping[str, Any] | None = ...,
        waiting_for_paraheaders: bool | None = ...,
        system: SystemInfo | Mapping[str, Any] | None = ...,
        can_load_chain_state: bool | None = ...,
        safe_mode_level: int | None = ...,
        current_block_time: int | None = ...,
        max_supported_pink_runtime_version: str | None = ...,
        supported_attestation_methods: Iterable[str] | None = ...,
        live_sidevm_instances: int | None = ...,
        query_timeout: int | None = ...,
    ) -> None: ...
    def HasField(
        self,
        field_name: Literal[
            "genesis_block_hash",
            "public_key",
            "ecdh_public_key",
            "gatekeeper",
            "memory_usage",
            "system",
        ],
    ) -> bool: ...

@final
class SystemInfo(Message):
    registered: bool
    public_key: str
    ecdh_public_key: str
    number_of_clusters: int
    number_of_contracts: int
    max_supported_consensus_version: int
    genesis_block: int
    @property
    def gatekeeper(self) -> GatekeeperStatus: ...
    def __init__(
        self,
        *,
        registered: bool | None = ...,
        public_key: str | None = ...,
        ecdh_public_key: str | None = ...,
        gatekeeper: GatekeeperStatus | Mapping[str, Any] | None = ...,
        number_of_clusters: int | None = ...,
        number_of_contracts: int | None = ...,
        max_supported_consensus_version: int | None = ...,
        genesis_block: int | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["gatekeeper"]) -> bool: ...

@final
class GatekeeperStatus(Message):
    role: int
    master_public_key: str
    def __init__(
        self,
        *,
        role: int | str | None = ...,
        master_public_key: str | None = ...,
    ) -> None: ...

@final
class MemoryUsage(Message):
    rust_used: int
    rust_peak_used: int
    total_peak_used: int
    free: int
    rust_spike: int
    def __init__(
        self,
        *,
        rust_used: int | None = ...,
        rust_peak_used: int | None = ...,
        total_peak_used: int | None = ...,
        free: int | None = ...,
        rust_spike: int | None = ...,
    ) -> None: ...

@final
class SyncedTo(Message):
    synced_to: int
    def __init__(
        self,
        *,
        synced_to: int | None = ...,
    ) -> None: ...

@final
class HeadersToSync(Message):
    encoded_headers: bytes
    encoded_authority_set_change: bytes
    def __init__(
        self,
        *,
        encoded_headers: bytes | None = ...,
        encoded_authority_set_change: bytes | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["encoded_authority_set_change"]) -> bool: ...

@final
class ParaHeadersToSync(Message):
    encoded_headers: bytes
    @property
    def proof(self) -> RepeatedScalarFieldContainer[bytes]: ...
    def __init__(
        self,
        *,
        encoded_headers: bytes | None = ...,
        proof: Iterable[bytes] | None = ...,
    ) -> None: ...

@final
class CombinedHeadersToSync(Message):
    encoded_relaychain_headers: bytes
    authority_set_change: bytes
    encoded_parachain_headers: bytes
    @property
    def proof(self) -> RepeatedScalarFieldContainer[bytes]: ...
    def __init__(
        self,
        *,
        encoded_relaychain_headers: bytes | None = ...,
        authority_set_change: bytes | None = ...,
        encoded_parachain_headers: bytes | None = ...,
        proof: Iterable[bytes] | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["authority_set_change"]) -> bool: ...

@final
class HeadersSyncedTo(Message):
    relaychain_synced_to: int
    parachain_synced_to: int
    def __init__(
        self,
        *,
        relaychain_synced_to: int | None = ...,
        parachain_synced_to: int | None = ...,
    ) -> None: ...

@final
class Blocks(Message):
    encoded_blocks: bytes
    def __init__(
        self,
        *,
        encoded_blocks: bytes | None = ...,
    ) -> None: ...

@final
class InitRuntimeRequest(Message):
    skip_ra: bool
    encoded_genesis_info: bytes
    debug_set_key: bytes
    encoded_genesis_state: bytes
    encoded_operator: bytes
    is_parachain: bool
    attestation_provider: bytes
    def __init__(
        self,
        *,
        skip_ra: bool | None = ...,
        encoded_genesis_info: bytes | None = ...,
        debug_set_key: bytes | None = ...,
        encoded_genesis_state: bytes | None = ...,
        encoded_operator: bytes | None = ...,
        is_parachain: bool | None = ...,
        attestation_provider: bytes | None = ...,
    ) -> None: ...
    def HasField(
        self, field_name: Literal["debug_set_key", "encoded_operator", "attestation_provider"]
    ) -> bool: ...

@final
class GetRuntimeInfoRequest(Message):
    force_refresh_ra: bool
    encoded_operator: bytes
    def __init__(
        self,
        *,
        force_refresh_ra: bool | None = ...,
        encoded_operator: bytes | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["encoded_operator"]) -> bool: ...

@final
class InitRuntimeResponse(Message):
    encoded_runtime_info: bytes
    encoded_genesis_block_hash: bytes
    encoded_public_key: bytes
    encoded_ecdh_public_key: bytes
    @property
    def attestation(self) -> Attestation: ...
    def __init__(
        self,
        *,
        encoded_runtime_info: bytes | None = ...,
        encoded_genesis_block_hash: bytes | None = ...,
        encoded_public_key: bytes | None = ...,
        encoded_ecdh_public_key: bytes | None = ...,
        attestation: Attestation | Mapping[str, Any] | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["attestation"]) -> bool: ...

@final
class Attestation(Message):
    version: int
    provider: str
    encoded_report: bytes
    timestamp: int
    @property
    def payload(self) -> AttestationReport: ...
    def __init__(
        self,
        *,
        version: int | None = ...,
        provider: str | None = ...,
        payload: AttestationReport | Mapping[str, Any] | None = ...,
        encoded_report: bytes | None = ...,
        timestamp: int | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["payload"]) -> bool: ...

@final
class AttestationReport(Message):
    report: str
    signature: bytes
    signing_cert: bytes
    def __init__(
        self,
        *,
        report: str | None = ...,
        signature: bytes | None = ...,
        signing_cert: bytes | None = ...,
    ) -> None: ...

@final
class GetEgressMessagesResponse(Message):
    encoded_messages: bytes
    def __init__(
        self,
        *,
        encoded_messages: bytes | None = ...,
    ) -> None: ...

@final
class ContractQueryRequest(Message):
    encoded_encrypted_data: bytes
    @property
    def signature(self) -> Signature: ...
    def __init__(
        self,
        *,
        encoded_encrypted_data: bytes | None = ...,
        signature: Signature | Mapping[str, Any] | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["signature"]) -> bool: ...

@final
class Signature(Message):
    signature_type: int
    signature: bytes
    @property
    def signed_by(self) -> Certificate: ...
    def __init__(
        self,
        *,
        signed_by: Certificate | Mapping[str, Any] | None = ...,
        signature_type: int | str | None = ...,
        signature: bytes | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["signed_by"]) -> bool: ...

@final
class Certificate(Message):
    encoded_body: bytes
    @property
    def signature(self) -> Signature: ...
    def __init__(
        self,
        *,
        encoded_body: bytes | None = ...,
        signature: Signature | Mapping[str, Any] | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["signature"]) -> bool: ...

@final
class ContractQueryResponse(Message):
    encoded_encrypted_data: bytes
    blocknum: int
    def __init__(
        self,
        *,
        encoded_encrypted_data: bytes | None = ...,
        blocknum: int | None = ...,
    ) -> None: ...

@final
class GetWorkerStateRequest(Message):
    public_key: bytes
    def __init__(
        self,
        *,
        public_key: bytes | None = ...,
    ) -> None: ...

@final
class WorkerStat(Message):
    last_heartbeat_for_block: int
    last_heartbeat_at_block: int
    last_gk_responsive_event: int
    last_gk_responsive_event_at_block: int
    def __init__(
        self,
        *,
        last_heartbeat_for_block: int | None = ...,
        last_heartbeat_at_block: int | None = ...,
        last_gk_responsive_event: int | str | None = ...,
        last_gk_responsive_event_at_block: int | None = ...,
    ) -> None: ...

@final
class WorkerState(Message):
    registered: bool
    unresponsive: bool
    @property
    def bench_state(self) -> BenchState: ...
    @property
    def working_state(self) -> WorkingState: ...
    @property
    def waiting_heartbeats(self) -> RepeatedScalarFieldContainer[int]: ...
    @property
    def tokenomic_info(self) -> TokenomicInfo: ...
    @property
    def stat(self) -> WorkerStat: ...
    def __init__(
        self,
        *,
        registered: bool | None = ...,
        unresponsive: bool | None = ...,
        bench_state: BenchState | Mapping[str, Any] | None = ...,
        working_state: WorkingState | Mapping[str, Any] | None = ...,
        waiting_heartbeats: Iterable[int] | None = ...,
        tokenomic_info: TokenomicInfo | Mapping[str, Any] | None = ...,
        stat: WorkerStat | Mapping[str, Any] | None = ...,
    ) -> None: ...
    def HasField(
        self, field_name: Literal["bench_state", "working_state", "tokenomic_info", "stat"]
    ) -> bool: ...

@final
class HandoverChallenge(Message):
    encoded_challenge: bytes
    def __init__(
        self,
        *,
        encoded_challenge: bytes | None = ...,
    ) -> None: ...

@final
class HandoverChallengeResponse(Message):
    encoded_challenge_handler: bytes
    @property
    def attestation(self) -> Attestation: ...
    def __init__(
        self,
        *,
        encoded_challenge_handler: bytes | None = ...,
        attestation: Attestation | Mapping[str, Any] | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["attestation"]) -> bool: ...

@final
class HandoverWorkerKey(Message):
    encoded_worker_key: bytes
    @property
    def attestation(self) -> Attestation: ...
    def __init__(
        self,
        *,
        encoded_worker_key: bytes | None = ...,
        attestation: Attestation | Mapping[str, Any] | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["attestation"]) -> bool: ...

@final
class DcapHandoverChallenge(Message):
    encoded_challenge: bytes
    def __init__(
        self,
        *,
        encoded_challenge: bytes | None = ...,
    ) -> None: ...

@final
class DcapHandoverChallengeResponse(Message):
    encoded_challenge_handler: bytes
    la_report: bytes
    def __init__(
        self,
        *,
        encoded_challenge_handler: bytes | None = ...,
        la_report: bytes | None = ...,
    ) -> None: ...

@final
class DcapHandoverWorkerKey(Message):
    encoded_worker_key: bytes
    la_report: bytes
    def __init__(
        self,
        *,
        encoded_worker_key: bytes | None = ...,
        la_report: bytes | None = ...,
    ) -> None: ...

@final
class BenchState(Message):
    start_block: int
    start_time: int
    duration: int
    def __init__(
        self,
        *,
        start_block: int | None = ...,
        start_time: int | None = ...,
        duration: int | None = ...,
    ) -> None: ...

@final
class WorkingState(Message):
    session_id: int
    paused: bool
    start_time: int
    def __init__(
        self,
        *,
        session_id: int | None = ...,
        paused: bool | None = ...,
        start_time: int | None = ...,
    ) -> None: ...

@final
class EchoMessage(Message):
    echo_msg: bytes
    def __init__(
        self,
        *,
        echo_msg: bytes | None = ...,
    ) -> None: ...

@final
class AddEndpointRequest(Message):
    encoded_endpoint_type: bytes
    endpoint: str
    def __init__(
        self,
        *,
        encoded_endpoint_type: bytes | None = ...,
        endpoint: str | None = ...,
    ) -> None: ...

@final
class GetEndpointResponse(Message):
    encoded_endpoint_payload: bytes
    signature: bytes
    def __init__(
        self,
        *,
        encoded_endpoint_payload: bytes | None = ...,
        signature: bytes | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["encoded_endpoint_payload", "signature"]) -> bool: ...

@final
class SignEndpointsRequest(Message):
    encoded_endpoints: bytes
    def __init__(
        self,
        *,
        encoded_endpoints: bytes | None = ...,
    ) -> None: ...

@final
class DerivePhalaI2pKeyResponse(Message):
    phala_i2p_key: bytes
    def __init__(
        self,
        *,
        phala_i2p_key: bytes | None = ...,
    ) -> None: ...

@final
class TokenomicStat(Message):
    last_payout: str
    last_payout_at_block: int
    total_payout: str
    total_payout_count: int
    last_slash: str
    last_slash_at_block: int
    total_slash: str
    total_slash_count: int
    def __init__(
        self,
        *,
        last_payout: str | None = ...,
        last_payout_at_block: int | None = ...,
        total_payout: str | None = ...,
        total_payout_count: int | None = ...,
        last_slash: str | None = ...,
        last_slash_at_block: int | None = ...,
        total_slash: str | None = ...,
        total_slash_count: int | None = ...,
    ) -> None: ...

@final
class TokenomicInfo(Message):
    v: str
    v_init: str
    v_deductible: str
    share: str
    v_update_at: int
    v_update_block: int
    iteration_last: int
    challenge_time_last: int
    p_bench: str
    p_instant: str
    confidence_level: int
    @property
    def stat(self) -> TokenomicStat: ...
    def __init__(
        self,
        *,
        v: str | None = ...,
        v_init: str | None = ...,
        v_deductible: str | None = ...,
        share: str | None = ...,
        v_update_at: int | None = ...,
        v_update_block: int | None = ...,
        iteration_last: int | None = ...,
        challenge_time_last: int | None = ...,
        p_bench: str | None = ...,
        p_instant: str | None = ...,
        confidence_level: int | None = ...,
        stat: TokenomicStat | Mapping[str, Any] | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["stat"]) -> bool: ...

@final
class NetworkConfigResponse(Message):
    public_rpc_port: int
    @property
    def config(self) -> NetworkConfig: ...
    def __init__(
        self,
        *,
        public_rpc_port: int | None = ...,
        config: NetworkConfig | Mapping[str, Any] | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["public_rpc_port", "config"]) -> bool: ...

@final
class NetworkConfig(Message):
    all_proxy: str
    i2p_proxy: str
    def __init__(
        self,
        *,
        all_proxy: str | None = ...,
        i2p_proxy: str | None = ...,
    ) -> None: ...

@final
class HttpHeader(Message):
    name: str
    value: str
    def __init__(
        self,
        *,
        name: str | None = ...,
        value: str | None = ...,
    ) -> None: ...

@final
class HttpRequest(Message):
    url: str
    method: str
    body: bytes
    @property
    def headers(self) -> RepeatedCompositeFieldContainer[HttpHeader]: ...
    def __init__(
        self,
        *,
        url: str | None = ...,
        method: str | None = ...,
        headers: Iterable[HttpHeader | Mapping[str, Any]] | None = ...,
        body: bytes | None = ...,
    ) -> None: ...

@final
class HttpResponse(Message):
    status_code: int
    body: bytes
    @property
    def headers(self) -> RepeatedCompositeFieldContainer[HttpHeader]: ...
    def __init__(
        self,
        *,
        status_code: int | None = ...,
        headers: Iterable[HttpHeader | Mapping[str, Any]] | None = ...,
        body: bytes | None = ...,
    ) -> None: ...

@final
class GetContractInfoRequest(Message):
    @property
    def contracts(self) -> RepeatedScalarFieldContainer[str]: ...
    def __init__(
        self,
        *,
        contracts: Iterable[str] | None = ...,
    ) -> None: ...

@final
class GetContractInfoResponse(Message):
    @property
    def contracts(self) -> RepeatedCompositeFieldContainer[ContractInfo]: ...
    def __init__(
        self,
        *,
        contracts: Iterable[ContractInfo | Mapping[str, Any]] | None = ...,
    ) -> None: ...

@final
class ContractInfo(Message):
    id: str
    code_hash: str
    weight: int
    @property
    def sidevm(self) -> SidevmInfo: ...
    def __init__(
        self,
        *,
        id: str | None = ...,
        code_hash: str | None = ...,
        weight: int | None = ...,
        sidevm: SidevmInfo | Mapping[str, Any] | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["sidevm"]) -> bool: ...

@final
class SidevmInfo(Message):
    state: str
    code_hash: str
    start_time: str
    stop_reason: str
    max_memory_pages: int
    vital_capacity: int
    deadline: int
    max_code_size: int
    def __init__(
        self,
        *,
        state: str | None = ...,
        code_hash: str | None = ...,
        start_time: str | None = ...,
        stop_reason: str | None = ...,
        max_memory_pages: int | None = ...,
        vital_capacity: int | None = ...,
        deadline: int | None = ...,
        max_code_size: int | None = ...,
    ) -> None: ...

@final
class GetClusterInfoResponse(Message):
    @property
    def info(self) -> ClusterInfo: ...
    def __init__(
        self,
        *,
        info: ClusterInfo | Mapping[str, Any] | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["info"]) -> bool: ...

@final
class ClusterInfo(Message):
    id: str
    runtime_version: str
    state_root: str
    system_contract: str
    logger_contract: str
    number_of_contracts: int
    js_runtime: str
    def __init__(
        self,
        *,
        id: str | None = ...,
        runtime_version: str | None = ...,
        state_root: str | None = ...,
        system_contract: str | None = ...,
        logger_contract: str | None = ...,
        number_of_contracts: int | None = ...,
        js_runtime: str | None = ...,
    ) -> None: ...

@final
class SidevmCode(Message):
    contract: bytes
    code: bytes
    def __init__(
        self,
        *,
        contract: bytes | None = ...,
        code: bytes | None = ...,
    ) -> None: ...

@final
class ContractParameters(Message):
    deployer: str
    cluster_id: str
    code_hash: str
    salt: str
    def __init__(
        self,
        *,
        deployer: str | None = ...,
        cluster_id: str | None = ...,
        code_hash: str | None = ...,
        salt: str | None = ...,
    ) -> None: ...

@final
class ContractId(Message):
    id: str
    def __init__(
        self,
        *,
        id: str | None = ...,
    ) -> None: ...

@final
class ChainState(Message):
    block_number: int
    encoded_state: bytes
    def __init__(
        self,
        *,
        block_number: int | None = ...,
        encoded_state: bytes | None = ...,
    ) -> None: ...

@final
class StopOptions(Message):
    remove_checkpoints: bool
    def __init__(
        self,
        *,
        remove_checkpoints: bool | None = ...,
    ) -> None: ...

@final
class StorageProof(Message):
    @property
    def proof(self) -> RepeatedScalarFieldContainer[bytes]: ...
    def __init__(
        self,
        *,
        proof: Iterable[bytes] | None = ...,
    ) -> None: ...

@final
class StatisticsReqeust(Message):
    all: bool
    @property
    def contracts(self) -> RepeatedScalarFieldContainer[str]: ...
    def __init__(
        self,
        *,
        contracts: Iterable[str] | None = ...,
        all: bool | None = ...,
    ) -> None: ...

@final
class StatisticsResponse(Message):
    uptime: int
    cores: int
    @property
    def query(self) -> QueryStats: ...
    @property
    def http_egress(self) -> HttpEgressStats: ...
    def __init__(
        self,
        *,
        uptime: int | None = ...,
        cores: int | None = ...,
        query: QueryStats | Mapping[str, Any] | None = ...,
        http_egress: HttpEgressStats | Mapping[str, Any] | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["query", "http_egress"]) -> bool: ...

@final
class QueryStats(Message):
    def __init__(self, **fields: Any) -> None: ...
    def HasField(self, field_name: Literal["global"]) -> bool: ...

@final
class QueryCounters(Message):
    total: int
    dropped: int
    time: int
    def __init__(
        self,
        *,
        total: int | None = ...,
        dropped: int | None = ...,
        time: int | None = ...,
    ) -> None: ...

@final
class HttpEgressStats(Message):
    def __init__(self, **fields: Any) -> None: ...
    def HasField(self, field_name: Literal["global"]) -> bool: ...

@final
class HttpCounters(Message):
    requests: int
    failures: int
    def __init__(
        self,
        *,
        requests: int | None = ...,
        failures: int | None = ...,
    ) -> None: ...

@final
class SaveClusterStateArguments(Message):
    receiver: str
    min_block_number: int
    signature: str
    def __init__(
        self,
        *,
        receiver: str | None = ...,
        min_block_number: int | None = ...,
        signature: str | None = ...,
    ) -> None: ...

@final
class SaveClusterStateResponse(Message):
    block_number: int
    filename: str
    def __init__(
        self,
        *,
        block_number: int | None = ...,
        filename: str | None = ...,
    ) -> None: ...

@final
class PinkRuntimeVersion(Message):
    major: int
    minor: int
    def __init__(
        self,
        *,
        major: int | None = ...,
        minor: int | None = ...,
    ) -> None: ...

@final
class PrpcError(Message):
    message: str
    def __init__(
        self,
        *,
        message: str | None = ...,
    ) -> None: ...
