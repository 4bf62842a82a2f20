"""A simulated pRuntime without I/O: its methods, as both HTTP APIs call them.

Each method takes and gives protobuf messages of `prbkit.wire.pruntime`; a refusal is `Refused`,
and `Poisoned` is what makes the real one exit instead of answering.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import sr25519

from prbkit import blobs
from prbkit.blobs import header_hash
from prbkit.errors import CodecError
from prbkit.testing.pruntime.attestation import (
    MAX_CONSENSUS_VERSION,
    attest,
    registration_info,
    sign_endpoints,
)
from prbkit.testing.pruntime.config import PRuntimeConfig
from prbkit.testing.pruntime.keys import storage_prefix
from prbkit.testing.pruntime.light import LightClient, Poisoned, Refused
from prbkit.testing.pruntime.worker import Worker
from prbkit.wire import pruntime as rpc

__all__ = ["Core", "Poisoned", "Refused"]

WORKERS = storage_prefix("PhalaRegistry", "Workers")
NO_EGRESS = b"\0"
"""SCALE EgressMessages without any."""


@dataclass(slots=True)
class _Life:
    """All that a checkpoint holds."""

    client: LightClient
    worker: Worker
    genesis_hash: bytes
    operator: bytes | None
    skip_ra: bool
    can_load: bool = True
    """Whether a chain state may be loaded: not once a relay header or a state was sent."""

    def copy(self) -> _Life:
        return replace(self, client=self.client.copy(), worker=copy.deepcopy(self.worker))


class Core:
    """One worker. Methods may be called from several threads; a second dispatch while one runs
    is refused, as the real one does.
    """

    def __init__(self, config: PRuntimeConfig) -> None:
        self.config = config
        self._pair: tuple[bytes, bytes] = sr25519.pair_from_seed(config.seed)
        self._life: _Life | None = None
        self._saved: _Life | None = None
        self._lock = threading.Lock()
        self._dispatching = threading.Lock()

    @property
    def public_key(self) -> bytes:
        """sr25519, 32 bytes."""
        return self._pair[0]

    def methods(self) -> dict[str, Callable[[Any], Any]]:
        """prpc name → method."""
        return {
            "GetInfo": self.get_info,
            "InitRuntime": self.init_runtime,
            "GetRuntimeInfo": self.get_runtime_info,
            "SyncHeader": self.sync_header,
            "SyncParaHeader": self.sync_para_header,
            "SyncCombinedHeaders": self.sync_combined_headers,
            "DispatchBlocks": self.dispatch_blocks,
            "GetEgressMessages": self.get_egress_messages,
            "LoadChainState": self.load_chain_state,
            "TakeCheckpoint": self.take_checkpoint,
            "SignEndpointInfo": self.sign_endpoint_info,
        }

    # --- life --------------------------------------------------------------------------------

    def get_info(self, request: Any = None) -> Any:
        info = rpc.PhactoryInfo(
            version=self.config.version,
            git_revision="prbkit-simulator",
            can_load_chain_state=self._life is not None and self._life.can_load,
            supported_attestation_methods=["dcap"] if self.config.attestation == "dcap" else [],
            max_supported_pink_runtime_version="1.0",
        )
        info.memory_usage.rust_used = 1
        life = self._life
        if life is None:
            return info
        client, worker = life.client, life.worker
        info.initialized = True
        info.registered = worker.registered
        info.genesis_block_hash = life.genesis_hash.hex()
        info.public_key = self.public_key.hex()
        info.ecdh_public_key = self.public_key.hex()
        info.headernum = client.next_relay
        info.para_headernum = client.next_para
        info.blocknum = client.next_block
        info.waiting_for_paraheaders = client.waiting
        info.state_root = client.state.root.hex()
        info.dev_mode = life.skip_ra
        info.pending_messages = worker.pending
        info.score = worker.score
        info.system.registered = worker.registered
        info.system.public_key = info.public_key
        info.system.ecdh_public_key = info.ecdh_public_key
        info.system.max_supported_consensus_version = MAX_CONSENSUS_VERSION
        info.system.genesis_block = client.genesis_relay
        return info

    def init_runtime(self, request: Any) -> Any:
        if self._life is not None:
            raise Refused("Runtime already initialized")
        with _readable("InitRuntime"):
            header, authorities, set_id, proof = blobs.decode_genesis_info(
                request.encoded_genesis_info
            )
            state = blobs.decode_storage_state(request.encoded_genesis_state)
        if not request.is_parachain:
            raise Refused("Only parachains are supported")
        client = LightClient.start(
            header, authorities, set_id, proof, state, self.config.first_para_header
        )
        operator = request.encoded_operator if request.HasField("encoded_operator") else None
        self._life = _Life(
            client=client,
            worker=Worker(self._pair, self.config.iterations_per_second),
            genesis_hash=header_hash(header),
            operator=operator,
            skip_ra=request.skip_ra,
        )
        return self._runtime_info(self._life)

    def get_runtime_info(self, request: Any) -> Any:
        life = self._started()
        if request.HasField("encoded_operator"):
            life.operator = request.encoded_operator
        return self._runtime_info(life)

    def _runtime_info(self, life: _Life) -> Any:
        response = rpc.InitRuntimeResponse(
            encoded_runtime_info=registration_info(
                self.public_key, life.genesis_hash, life.operator, life.client.para_id
            ),
            encoded_genesis_block_hash=life.genesis_hash,
            encoded_public_key=self.public_key,
            encoded_ecdh_public_key=self.public_key,
        )
        # The real one attests only once it has dispatched a block, whose time it needs.
        if life.client.next_block > 1:
            made = attest(self.config.attestation, response.encoded_runtime_info)
            response.attestation.CopyFrom(made)
        return response

    # --- headers and blocks --------------------------------------------------------------------

    def sync_header(self, request: Any) -> Any:
        with _readable("SyncHeader"):
            headers = blobs.decode_headers_to_sync(request.encoded_headers)
        with self._lock, _readable("SyncHeader"):
            return rpc.SyncedTo(synced_to=self._relay_sent().sync_relay(headers))

    def sync_para_header(self, request: Any) -> Any:
        with _readable("SyncParaHeader"):
            headers = blobs.decode_headers(request.encoded_headers)
        with self._lock, _readable("SyncParaHeader"):
            client = self._started().client
            return rpc.SyncedTo(synced_to=client.sync_para(headers, list(request.proof)))

    def sync_combined_headers(self, request: Any) -> Any:
        with _readable("SyncCombinedHeaders"):
            relay = blobs.decode_headers_to_sync(request.encoded_relaychain_headers)
            para = blobs.decode_headers(request.encoded_parachain_headers)
        with self._lock, _readable("SyncCombinedHeaders"):
            client = self._relay_sent()
            relay_to = client.sync_relay(relay)
            para_to = client.sync_para(para, list(request.proof))
        return rpc.HeadersSyncedTo(relaychain_synced_to=relay_to, parachain_synced_to=para_to)

    def dispatch_blocks(self, request: Any) -> Any:
        if not self._dispatching.acquire(blocking=False):
            raise Refused("RCU in progress")
        try:
            with _readable("DispatchBlocks"):
                blocks = blobs.decode_dispatch_block_req(request.encoded_blocks)
            with self._lock:
                return rpc.SyncedTo(synced_to=self._dispatch(self._started(), blocks))
        finally:
            self._dispatching.release()

    def _dispatch(self, life: _Life, dispatched: Any) -> int:
        client = life.client
        with _readable("DispatchBlocks"):
            blocks = [
                (blobs.header_number(header), blobs.decode_storage_changes(changes))
                for header, changes in dispatched
            ]
            # What is below is left out once, at the start: a block sent twice is refused.
            first = client.next_block
            for number, (main, children) in blocks:
                if number >= first:
                    client.dispatch(number, main, children)
                    life.worker.block(number, client.state.get)
        return client.next_block - 1

    def load_chain_state(self, request: Any) -> Any:
        life = self._started()
        if not life.can_load:
            raise Refused("Can not load chain state")
        with _readable("LoadChainState"):
            state = dict(blobs.decode_storage_state(request.encoded_state))
        if any(key.startswith(WORKERS) and key.endswith(self.public_key) for key in state):
            raise Refused("The worker is already registered in that state")
        with self._lock:
            life.client.load(request.block_number, list(state.items()))
            life.can_load = False
        return rpc.Empty()

    # --- messages ------------------------------------------------------------------------------

    def get_egress_messages(self, request: Any = None) -> Any:
        # The real one has none to tell before it is initialised, which is no error.
        life = self._life
        return rpc.GetEgressMessagesResponse(
            encoded_messages=life.worker.egress() if life else NO_EGRESS
        )

    def sign_endpoint_info(self, request: Any) -> Any:
        payload, signature = sign_endpoints(self._pair, request.encoded_endpoints)
        return rpc.GetEndpointResponse(encoded_endpoint_payload=payload, signature=signature)

    # --- checkpoints ---------------------------------------------------------------------------

    def take_checkpoint(self, request: Any = None) -> Any:
        with self._lock:
            self._saved = self._started().copy()
            return rpc.SyncedTo(synced_to=self._saved.client.next_block - 1)

    def crash(self) -> None:
        """Come back as it was at its last checkpoint, or not initialized at all."""
        with self._lock:
            self._life = self._saved.copy() if self._saved else None

    # -------------------------------------------------------------------------------------------

    def _started(self) -> _Life:
        if self._life is None:
            raise Refused("Runtime not initialized")
        return self._life

    def _relay_sent(self) -> LightClient:
        """The client that relay headers go to: from now on no chain state can be loaded."""
        life = self._started()
        life.can_load = False
        return life.client


@contextmanager
def _readable(method: str) -> Iterator[None]:
    """Bytes that are not SCALE are a refusal, as any other."""
    try:
        yield
    except CodecError as error:
        raise Refused(f"{method}: Decode error: {error}") from error
