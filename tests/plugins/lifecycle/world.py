"""A small world for the loop of a worker: chains of made-up blocks, a pRuntime, a trader.

The chains are not real (the strict simulator has its own tests): headers chain, proofs are bytes.
pRuntime's rules on counters are kept, the para chain's storage is that of the real runtime's
metadata, and the trader turns jobs into storage changes of the next block.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

from prbkit.blobs import (
    CommittedIndex,
    Genesis,
    RelaySegment,
    WorkerRegistrationInfo,
    decode_dispatch_block_req,
    decode_headers,
    decode_headers_to_sync,
    decode_signed_message,
    encode_egress,
    encode_headers,
    encode_storage_changes,
    genesis_info,
    header_hash,
    header_number,
    storage_state,
)
from prbkit.errors import PeerTimeout
from prbkit.interfaces import JobState, Peer
from prbkit.light import Header
from prbkit.scale import Metadata
from prbkit.wire import PRPC, walkie
from prbkit.wire import pruntime as rpc

from .fakes import FakeQueue

RELAY_GENESIS = 100
BLOCKS_A_SEGMENT = 2


def header(parent: bytes, number: int) -> bytes:
    root = number.to_bytes(32, "little")
    made = Header.make(
        parent_hash=parent, number=number, state_root=root, extrinsics_root=root, logs=()
    )
    return made.scale


class Chains:
    """A relay chain and a para chain; `grow` commits one segment with one para block."""

    def __init__(self, metadata: Metadata) -> None:
        self.metadata = metadata
        self.relay_head = header(bytes(32), RELAY_GENESIS)
        info = genesis_info(self.relay_head, [(bytes(32), 1)], 0, [b"proof"])
        self.genesis = Genesis(2004, RELAY_GENESIS, info, storage_state([]))
        self.para = [header(bytes(32), 0)]
        self.changes = [encode_storage_changes([])]
        self.segments: dict[int, RelaySegment] = {}
        self.index = CommittedIndex(RELAY_GENESIS + 1)
        self.index.add_para(0, header_size=len(self.para[0]), changes_size=0)
        self.state: dict[bytes, bytes] = {}
        self.states: list[dict[bytes, bytes]] = [{}]

    def grow(self, changes: Sequence[tuple[bytes, bytes | None]] = ()) -> int:
        """Commit a para block with these changes; its number."""
        number = len(self.para)
        self.para.append(header(header_hash(self.para[-1]), number))
        self.changes.append(encode_storage_changes(list(changes)))
        for key, value in changes:
            if value is None:
                self.state.pop(key, None)
            else:
                self.state[key] = value
        self.states.append(dict(self.state))
        self.index.add_para(
            number, header_size=len(self.para[-1]), changes_size=len(self.changes[-1])
        )
        headers = []
        for _ in range(BLOCKS_A_SEGMENT):
            block = header(header_hash(self.relay_head), header_number(self.relay_head) + 1)
            headers.append(block)
            self.relay_head = block
        segment = RelaySegment.make(
            headers,
            set_id=0,
            justification=b"justified",
            para_number=number,
            proof=[number.to_bytes(4, "little")],
        )
        self.segments[segment.last] = segment
        self.index.add_segment(
            segment.first,
            segment.last,
            set_id=0,
            para_number=number,
            size=segment.body_size,
            tail_size=segment.tail_size,
        )
        return number


class FakeTransport:
    """Serves the blobs of some chains as one or several data providers."""

    peer_id = "me"

    def __init__(self, chains: Chains, providers: Sequence[str] = ("provider",)) -> None:
        self.chains = chains
        self.providers = list(providers)
        self.down: set[str] = set()
        self.lag = 0
        self.asked: list[tuple[str, str]] = []

    def peers(self, role: str | None = None) -> Sequence[Peer]:
        return [Peer(name, "fake:", frozenset({"data_provider"})) for name in self.providers]

    async def call(self, peer_id: str, method: str, message: Any, *, timeout: float = 10) -> Any:
        self._up(peer_id)
        assert method == "GetDataProviderInfo"
        relay, para = self.chains.index.relay_next - 1, self.chains.index.para_next - 1
        return walkie.Info(
            parent_target=relay + self.lag,
            parent_committed_height=relay,
            para_target=para + self.lag,
            para_committed_height=para,
        )

    async def get_blob(self, peer_id: str, key: str, *, timeout: float = 150) -> bytes | None:
        self._up(peer_id)
        self.asked.append((peer_id, key))
        chains = self.chains
        match key.removeprefix("prbkit/").split("/"):
            case ["genesis"]:
                return chains.genesis.encode()
            case ["index", relay, para, *_]:
                return chains.index.slice(int(relay), int(para))
            case ["relay", last]:
                return chains.segments[int(last)].encode()
            case ["para", first, last]:
                return encode_headers(chains.para[int(first) : int(last) + 1])
            case ["changes", first, last]:
                return encode_headers(chains.changes[int(first) : int(last) + 1])
        return None

    def _up(self, peer_id: str) -> None:
        if peer_id in self.down:
            raise PeerTimeout("down", where=peer_id)


class FakeSource:
    """The para chain's state by block hash."""

    def __init__(self, chains: Chains) -> None:
        self.chains = chains
        self.reads = 0

    async def metadata(self, at: bytes | None = None) -> bytes:
        return self.chains.metadata.raw

    async def storage_many(
        self, keys: Sequence[bytes], at: bytes | None = None
    ) -> Sequence[bytes | None]:
        self.reads += 1
        [number] = [n for n, block in enumerate(self.chains.para) if header_hash(block) == at]
        state = self.chains.states[number]
        return [state.get(key) for key in keys]


class RefusedError(Exception):
    """What pRuntime would answer with an error."""


@dataclass
class FakePRuntime:
    """pRuntime's counters over HTTP; refuses what does not continue them."""

    key: bytes
    chains: Chains
    binary_only: bool = False
    limit: int | None = None
    unreachable: bool = False
    refuse: str = ""

    initialized: bool = False
    headernum: int = 0
    para_headernum: int = 0
    blocknum: int = 0
    waiting: bool = False
    operator: bytes | None = None
    benched: bool = False
    egress: list[Any] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/prpc/PhactoryAPI.{method}", self._prpc)
        app.router.add_post("/kick", self._kick)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    def forget(self) -> None:
        """Be a pRuntime that was restarted without its data."""
        self.initialized, self.egress, self.benched = False, [], False

    async def _kick(self, request: web.Request) -> web.StreamResponse:
        self.calls.append("kick")
        self.forget()
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    async def _prpc(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["method"]
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self._answer(request, name)
        finally:
            self.in_flight -= 1

    async def _answer(self, request: web.Request, name: str) -> web.StreamResponse:
        body = await request.read()
        self.calls.append(name)
        if self.unreachable and request.transport is not None:
            request.transport.abort()
            return web.Response()
        if self.limit is not None and len(body) > self.limit:
            return web.Response(status=413, body=b"Entity too large")
        try:
            if self.refuse and name != "GetInfo":
                raise RefusedError(self.refuse)
            message = PRPC[name][0].FromString(body)
            answer = self._methods()[name](message)
        except RefusedError as error:
            return web.Response(
                status=500, body=rpc.PrpcError(message=str(error)).SerializeToString()
            )
        return web.Response(body=answer.SerializeToString())

    def _methods(self) -> Mapping[str, Callable[[Any], Any]]:
        return {
            "GetInfo": self._get_info,
            "TakeCheckpoint": lambda _: rpc.SyncedTo(synced_to=self.blocknum - 1),
            "InitRuntime": self._init,
            "GetRuntimeInfo": self._runtime_info,
            "GetEgressMessages": self._get_egress,
            "SyncHeader": self._sync_header,
            "SyncParaHeader": self._sync_para,
            "SyncCombinedHeaders": self._sync_combined,
            "DispatchBlocks": self._dispatch,
        }

    def _get_info(self, _: Any) -> Any:
        info = rpc.PhactoryInfo(
            initialized=self.initialized,
            headernum=self.headernum,
            para_headernum=self.para_headernum,
            blocknum=self.blocknum,
            waiting_for_paraheaders=self.waiting,
        )
        if self.initialized:
            info.public_key = self.key.hex()
            info.genesis_block_hash = header_hash(header(bytes(32), RELAY_GENESIS)).hex()
        return info

    def _init(self, request: Any) -> Any:
        if self.initialized:
            raise RefusedError("Runtime already initialized")
        self.initialized = True
        self.headernum, self.para_headernum, self.blocknum = RELAY_GENESIS + 1, 0, 1
        self.waiting = False
        self.operator = request.encoded_operator or None
        return self._runtime_info(request)

    def _runtime_info(self, request: Any) -> Any:
        if request.HasField("encoded_operator"):
            self.operator = request.encoded_operator
        info = WorkerRegistrationInfo(
            1, bytes(16), self.key, self.key, bytes(32), (1, 4), self.operator, 2004, 1
        )
        return rpc.InitRuntimeResponse(
            encoded_runtime_info=info.encode(),
            attestation=rpc.Attestation(provider="none", encoded_report=b"\0"),
        )

    def _get_egress(self, _: Any) -> Any:
        queues = [({"Worker": self.key}, self.egress)] if self.egress else []
        return rpc.GetEgressMessagesResponse(encoded_messages=encode_egress(queues))

    def _sync_header(self, request: Any) -> Any:
        self._take_relay(request.encoded_headers)
        return rpc.SyncedTo(synced_to=self.headernum - 1)

    def _sync_para(self, request: Any) -> Any:
        self._take_para(request.encoded_headers, request.proof)
        return rpc.SyncedTo(synced_to=self.para_headernum - 1)

    def _sync_combined(self, request: Any) -> Any:
        self._take_relay(request.encoded_relaychain_headers)
        self._take_para(request.encoded_parachain_headers, request.proof)
        return rpc.HeadersSyncedTo()

    def _take_relay(self, encoded: bytes) -> None:
        headers = decode_headers_to_sync(encoded)
        if header_number(headers[0][0]) != self.headernum or headers[-1][1] != b"justified":
            raise RefusedError("relay headers do not fit")
        self.headernum += len(headers)
        self.waiting = True

    def _take_para(self, encoded: bytes, proof: Sequence[bytes]) -> None:
        headers = decode_headers(encoded)
        if not headers:
            return
        last = header_number(headers[-1])
        if not self.waiting or header_number(headers[0]) != self.para_headernum:
            raise RefusedError("para headers do not fit")
        if list(proof) != [last.to_bytes(4, "little")]:
            raise RefusedError("the proof does not fit")
        self.para_headernum = last + 1
        self.waiting = False

    def _dispatch(self, request: Any) -> Any:
        for head, changes in decode_dispatch_block_req(request.encoded_blocks):
            number = header_number(head)
            if number != self.blocknum or number >= self.para_headernum:
                raise RefusedError("blocks do not fit")
            if changes != self.chains.changes[number]:
                raise RefusedError("the state root does not fit")
            self.blocknum += 1
            self._live(self.chains.states[number])
        return rpc.SyncedTo(synced_to=self.blocknum - 1)

    def _live(self, state: Mapping[bytes, bytes]) -> None:
        """Report a benchmark once registered; forget what the chain has counted."""
        metadata = self.chains.metadata
        if metadata.storage_key("PhalaRegistry", "Workers", self.key) not in state:
            return
        wanted = state.get(ingress_key(metadata, self.key), bytes(8))
        following = int.from_bytes(wanted, "little")
        if not self.benched and following == 0:
            self.benched = True
            sender = {"Worker": self.key}
            message = {
                "sender": sender,
                "destination": b"^phala/registry/event",
                "payload": b"bench",
            }
            self.egress.append({"message": message, "sequence": 0, "signature": bytes(64)})
        self.egress = [m for m in self.egress if m["sequence"] >= following]


def ingress_key(metadata: Metadata, key: bytes) -> bytes:
    return metadata.storage_key("PhalaMq", "OffchainIngress", {"Worker": key})


class Trader:
    """Does the jobs of a queue on the para chain, one block for all that are there."""

    def __init__(self, chains: Chains, queue: FakeQueue) -> None:
        self.chains = chains
        self.queue = queue
        self.done: list[tuple[str, str]] = []
        self.fail: set[str] = set()

    def work(self) -> None:
        """Put what is queued into the next block, which is committed."""
        changes: dict[bytes, bytes | None] = {}
        ended = []
        for job in self.queue.live():
            if job.action in self.fail:
                self.queue.end(job.key, JobState.FAILED)
                continue
            key = self._key(job.payload)
            self.done.append((job.action, key.hex()))
            getattr(self, f"_{job.action.lower()}")(key, job, changes)
            ended.append(job.key)
        number = self.chains.grow(list(changes.items()))
        for name in ended:
            self.queue.end(name, JobState.FINALIZED, block=number)

    def _key(self, payload: Mapping[str, Any]) -> bytes:
        if "pruntime_info" in payload:
            return WorkerRegistrationInfo.decode(raw(payload["pruntime_info"])).pubkey
        if "messages" in payload:
            sender = decode_signed_message(raw(payload["messages"][0]))["message"]["sender"]
            assert isinstance(sender, dict)
            return sender["Worker"]
        return raw(payload["public_key"])

    def _register_worker(self, key: bytes, job: Any, changes: dict[bytes, bytes | None]) -> None:
        info = WorkerRegistrationInfo.decode(raw(job.payload["pruntime_info"]))
        self._put(changes, "PhalaRegistry", "Workers", key, self._info(key, info.operator, None))

    def _batch_sync_mq_message(
        self, key: bytes, job: Any, changes: dict[bytes, bytes | None]
    ) -> None:
        metadata = self.chains.metadata
        for text in job.payload["messages"]:
            sequence = decode_signed_message(raw(text))["sequence"]
            name = ingress_key(metadata, key)
            counted = int.from_bytes(self.chains.state.get(name, bytes(8)), "little")
            assert sequence == counted, "a message came out of sequence"
            changes[name] = (sequence + 1).to_bytes(8, "little")
            old = self.chains.state[metadata.storage_key("PhalaRegistry", "Workers", key)]
            known = metadata.decode_storage("PhalaRegistry", "Workers", old)
            value = self._info(key, known["operator"], 800)
            self._put(changes, "PhalaRegistry", "Workers", key, value)

    def _add_worker(self, key: bytes, job: Any, changes: dict[bytes, bytes | None]) -> None:
        self._put(changes, "PhalaStakePoolv2", "WorkerAssignments", key, job.pid)
        self._put(changes, "PhalaComputation", "WorkerBindings", key, account(key))
        self._put(changes, "PhalaComputation", "Sessions", account(key), session("Ready"))

    def _start_computing(self, key: bytes, job: Any, changes: dict[bytes, bytes | None]) -> None:
        self._put(changes, "PhalaComputation", "Sessions", account(key), session("WorkerIdle"))
        self._put(changes, "PhalaComputation", "Stakes", account(key), int(job.payload["stake"]))

    def _restart_computing(self, key: bytes, job: Any, changes: dict[bytes, bytes | None]) -> None:
        self._put(changes, "PhalaComputation", "Stakes", account(key), int(job.payload["stake"]))

    def _put(
        self, changes: dict[bytes, bytes | None], pallet: str, item: str, key: bytes, value: Any
    ) -> None:
        metadata = self.chains.metadata
        name = metadata.storage_key(pallet, item, key)
        changes[name] = metadata.encode_storage(pallet, item, value)

    def _info(self, key: bytes, operator: bytes | None, score: int | None) -> dict[str, Any]:
        return {
            "pubkey": key,
            "ecdh_pubkey": key,
            "runtime_version": 1,
            "last_updated": 0,
            "operator": operator,
            "attestation_provider": "Root",
            "confidence_level": 128,
            "initial_score": score,
            "features": [1, 4],
        }


def account(key: bytes) -> bytes:
    return bytes(byte ^ 0xFF for byte in key)


def session(state: str) -> dict[str, Any]:
    return {
        "state": state,
        "ve": 0,
        "v": 0,
        "v_updated_at": 0,
        "benchmark": {
            "p_init": 0,
            "p_instant": 0,
            "iterations": 0,
            "working_start_time": 0,
            "challenge_time_last": 0,
        },
        "cool_down_start": 0,
        "stats": {"total_reward": 0},
    }


def raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


class FakeContext:
    """What a runner and a manager ask of their context."""

    def __init__(
        self, transport: FakeTransport, queue: FakeQueue, section: Any, inventory: Any = None
    ) -> None:
        self._transport, self._queue, self._section = transport, queue, section
        self._inventory = inventory
        self._source = FakeSource(transport.chains)
        self.handlers: dict[str, Callable[[Any, Any], Awaitable[Any]]] = {}
        self.reports: dict[str, Callable[[], Mapping[str, Any]]] = {}
        self.events: list[Any] = []

    async def transport(self) -> FakeTransport:
        return self._transport

    async def queue(self) -> FakeQueue:
        return self._queue

    async def inventory(self) -> Any:
        return self._inventory

    async def source(self, role: str) -> FakeSource:
        return self._source

    def section(self, name: str) -> Any:
        return self._section

    def handle(self, method: str, handler: Callable[[Any, Any], Awaitable[Any]]) -> None:
        self.handlers[method] = handler

    def report_status(self, name: str, status: Callable[[], Mapping[str, Any]]) -> None:
        self.reports[name] = status

    def emit(self, event: Any) -> None:
        self.events.append(event)
