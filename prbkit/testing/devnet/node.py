"""A node of one chain: what it is asked over JSON-RPC and what it answers.

Several nodes may show the same chain, each with faults of its own; the chain, its pool and its
code are shared and never lie.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from prbkit.errors import CodecError
from prbkit.scale import Metadata, ss58
from prbkit.testing.devnet.blocks import Block, blake2_256
from prbkit.testing.devnet.chain import Chain, Finalized, Imported
from prbkit.testing.devnet.faults import Faults, flip_hex
from prbkit.testing.devnet.params import (
    Param,
    ParamsError,
    block_numbers,
    hash32,
    hex_bytes,
    list_of,
    text,
    unsigned,
)
from prbkit.testing.devnet.pool import Pool, PoolError
from prbkit.testing.devnet.rpc import Method, RpcError, Sink, Subscription
from prbkit.testing.devnet.runtime import InvalidTransaction, Runtime, UndecodableExtrinsic
from prbkit.testing.devnet.state import State
from prbkit.testing.layouts import Reader, blob, compact, u32, u128, vec

__all__ = ["Node", "NodeInfo", "bend", "client_error", "decoded", "hexed"]

MAX_KEYS = 1000
"""Keys in one `state_getKeysPaged` (sc-rpc)."""

_AT = Param("at", hash32, optional=True)
_KEY = Param("key", hex_bytes)


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """What a node says of itself and its chain."""

    role: Literal["relay", "para"]
    chain: str
    name: str
    version: str
    properties: Mapping[str, Any] = field(default_factory=dict)


def hexed(data: bytes | None) -> str | None:
    return None if data is None else "0x" + data.hex()


def client_error(message: str) -> RpcError:
    """Make the error that a node's client gives through its RPC."""
    return RpcError(4003, f"Client error: {message}")


class Node:
    """One endpoint's view of a chain."""

    def __init__(
        self,
        info: NodeInfo,
        chain: Chain,
        pool: Pool,
        runtime: Callable[[Block], Runtime[Any]],
        faults: Faults,
    ) -> None:
        self.info = info
        self.chain = chain
        self.pool = pool
        self.faults = faults
        self.runtime = runtime
        self._heads: set[Sink] = set()
        self._all_heads: set[Sink] = set()
        self._final_heads: set[Sink] = set()
        self._versions: set[Sink] = set()
        self._storage: dict[Sink, frozenset[bytes] | None] = {}
        self._shown_best = chain.best
        self._shown_final = chain.finalized
        chain.listeners.append(self._on_chain)

    def close(self) -> None:
        self.chain.listeners.remove(self._on_chain)

    # --- what it sees ----------------------------------------------------------------------

    @property
    def best(self) -> Block:
        return self.chain.at(max(self.chain.best.number - self.faults.lag, 0)) or self.chain.genesis

    @property
    def finalized(self) -> Block:
        number = max(self.chain.finalized.number - self.faults.lag, 0)
        return self.chain.at(number) or self.chain.genesis

    def _block(self, at: bytes | None) -> Block:
        """Find a block, the best for None.

        :raises RpcError: where this node does not know it.
        """
        block = self.best if at is None else self._find(at)
        if block is None:
            raise client_error(f"UnknownBlock: Header was not found in the database: {hexed(at)}")
        return block

    def _find(self, at: bytes) -> Block | None:
        block = self.chain.block(at)
        if block is not None and self.faults.lag and block.number > self.best.number:
            return None
        return block

    def _state(self, at: bytes | None) -> State:
        block = self._block(at)
        prune = self.faults.prune
        if prune is not None and block.number < self.finalized.number - prune:
            raise client_error(f"UnknownBlock: State already discarded for {hexed(block.hash)}")
        try:
            return self.chain.state(block)
        except LookupError:
            raise client_error(
                f"UnknownBlock: State already discarded for {hexed(block.hash)}"
            ) from None

    # --- the tables ------------------------------------------------------------------------

    def methods(self) -> list[Method]:
        number = Param("number", block_numbers, optional=True)
        keys = Param("keys", list_of(hex_bytes))
        prefix = Param("prefix", hex_bytes)
        extrinsic = Param("extrinsic", hex_bytes)
        method, account = Param("name", text), Param("account", text)
        m = Method
        methods = [
            m("system_chain", (), lambda: self.info.chain),
            m("system_name", (), lambda: self.info.name),
            m("system_version", (), lambda: self.info.version),
            m("system_chainType", (), lambda: "Local"),
            m("system_properties", (), lambda: dict(self.info.properties)),
            m("system_health", (), self._health),
            m("system_nodeRoles", (), lambda: ["Full"]),
            m("system_localPeerId", (), self._peer_id),
            m("system_syncState", (), self._sync_state),
            m("system_accountNextIndex", (account,), self._next_index),
            m("chain_getBlockHash", (number,), self._block_hash),
            m("chain_getHeader", (Param("hash", hash32, optional=True),), self._header),
            m("chain_getBlock", (Param("hash", hash32, optional=True),), self._full_block),
            m("chain_getFinalizedHead", (), lambda: hexed(self.finalized.hash)),
            m("state_getMetadata", (_AT,), self._metadata),
            m("state_getRuntimeVersion", (_AT,), self._runtime_version),
            m("state_call", (method, Param("bytes", hex_bytes), _AT), self._call),
            m("state_getStorage", (_KEY, _AT), self._get_storage),
            m("state_getStorageHash", (_KEY, _AT), self._storage_hash),
            m("state_getStorageSize", (_KEY, _AT), self._storage_size),
            m(
                "state_getKeysPaged",
                (
                    Param("prefix", hex_bytes, optional=True),
                    Param("count", unsigned(32)),
                    Param("start_key", hex_bytes, optional=True),
                    _AT,
                ),
                self._keys_paged,
            ),
            m("state_getKeys", (prefix, _AT), self._keys, unsafe=True),
            m("state_getPairs", (prefix, _AT), self._pairs, unsafe=True),
            m("state_queryStorageAt", (keys, _AT), self._query_storage_at),
            m(
                "state_queryStorage",
                (keys, Param("block", hash32), Param("hash", hash32, optional=True)),
                self._query_storage,
                unsafe=True,
            ),
            m("state_getReadProof", (keys, Param("hash", hash32, optional=True)), self._read_proof),
            m("author_submitExtrinsic", (extrinsic,), self._submit),
            m("author_pendingExtrinsics", (), lambda: [hexed(x) for x in self.pool.ready()]),
            m("payment_queryInfo", (extrinsic, _AT), self._query_info),
        ]
        aliases = {
            "chain_getHead": "chain_getBlockHash",
            "chain_getFinalisedHead": "chain_getFinalizedHead",
            "chain_getRuntimeVersion": "state_getRuntimeVersion",
            "state_getStorageAt": "state_getStorage",
            "state_callAt": "state_call",
            "state_getKeysPagedAt": "state_getKeysPaged",
            "account_nextIndex": "system_accountNextIndex",
        }
        table = {item.name: item for item in methods}
        for alias, name in aliases.items():
            item = table[name]
            methods.append(m(alias, item.params, item.handler, item.unsafe))
        return methods

    def subscriptions(self) -> list[Subscription]:
        s = Subscription
        head, final = self._watch_heads, self._watch_finalized
        version, every = self._watch_version, self._watch_all
        keys = Param("keys", list_of(hex_bytes), optional=True)
        extrinsic = Param("extrinsic", hex_bytes)
        return [
            s("chain_subscribeNewHeads", "chain_unsubscribeNewHeads", "chain_newHead", (), head),
            s("chain_subscribeNewHead", "chain_unsubscribeNewHead", "chain_newHead", (), head),
            s("subscribe_newHead", "unsubscribe_newHead", "chain_newHead", (), head),
            s("chain_subscribeAllHeads", "chain_unsubscribeAllHeads", "chain_allHead", (), every),
            s(
                "chain_subscribeFinalizedHeads",
                "chain_unsubscribeFinalizedHeads",
                "chain_finalizedHead",
                (),
                final,
            ),
            s(
                "chain_subscribeFinalisedHeads",
                "chain_unsubscribeFinalisedHeads",
                "chain_finalizedHead",
                (),
                final,
            ),
            s(
                "state_subscribeRuntimeVersion",
                "state_unsubscribeRuntimeVersion",
                "state_runtimeVersion",
                (),
                version,
            ),
            s(
                "chain_subscribeRuntimeVersion",
                "chain_unsubscribeRuntimeVersion",
                "state_runtimeVersion",
                (),
                version,
            ),
            s(
                "state_subscribeStorage",
                "state_unsubscribeStorage",
                "state_storage",
                (keys,),
                self._watch_storage,
            ),
            s(
                "author_submitAndWatchExtrinsic",
                "author_unwatchExtrinsic",
                "author_extrinsicUpdate",
                (extrinsic,),
                self._submit_and_watch,
            ),
        ]

    # --- system ----------------------------------------------------------------------------

    def _health(self) -> dict[str, Any]:
        return {"peers": 1, "isSyncing": self.faults.lag > 0, "shouldHavePeers": True}

    def _peer_id(self) -> str:
        return "12D3KooW" + blake2_256(self.info.chain.encode()).hex()[:44]

    def _sync_state(self) -> dict[str, int]:
        best = self.best.number
        return {"startingBlock": 0, "currentBlock": best, "highestBlock": self.chain.best.number}

    def _next_index(self, account: str) -> int:
        account_id = _account(account)
        block = self.best
        nonce = self._nonce(self.chain.state(block), account_id)
        # As sc-rpc does: count on while the pool holds the tag (account, nonce) of frame_system.
        tags = set(self.pool.provided())
        while account_id + nonce.to_bytes(4, "little") in tags:
            nonce += 1
        return nonce

    def _nonce(self, state: State, account: bytes) -> int:
        metadata = decoded(self.runtime(state.block).metadata)
        # AccountInfo begins with the nonce.
        info = state.read(metadata.storage_key("System", "Account", account))
        return int.from_bytes(info[:4], "little") if info else 0

    # --- chain -----------------------------------------------------------------------------

    def _block_hash(self, number: int | list[int] | None) -> str | list[str | None] | None:
        if isinstance(number, list):
            return [self._hash_of(item) for item in number]
        return hexed(self.best.hash) if number is None else self._hash_of(number)

    def _hash_of(self, number: int) -> str | None:
        block = self.chain.at(number) if number <= self.best.number else None
        if block is None:
            return None
        if number == 0 and self.faults.genesis_hash is not None:
            return hexed(self.faults.genesis_hash)
        answer = "0x" + block.hash.hex()
        return flip_hex(answer) if self.faults.tells("block_hash", number) else answer

    def header_json(self, block: Block) -> dict[str, Any]:
        header = block.header.json()
        if self.faults.tells("header", block.number):
            header["stateRoot"] = flip_hex(header["stateRoot"])
        return header

    def _header(self, at: bytes | None) -> dict[str, Any] | None:
        block = self.best if at is None else self._find(at)
        return None if block is None else self.header_json(block)

    def _full_block(self, at: bytes | None) -> dict[str, Any] | None:
        block = self.best if at is None else self._find(at)
        if block is None:
            return None
        justification = self.chain.justification(block.hash)
        if justification is not None and self.faults.lag and block.number > self.finalized.number:
            justification = None
        if justification is not None and self.faults.tells("justification", block.number):
            justification = bend(justification)
        body = block.json()
        body["header"] = self.header_json(block)
        return {
            "block": body,
            "justifications": None
            if justification is None
            else [[list(b"FRNK"), list(justification)]],
        }

    # --- state -----------------------------------------------------------------------------

    def _metadata(self, at: bytes | None) -> str | None:
        return hexed(self.runtime(self._state(at).block).metadata)

    def _runtime_version(self, at: bytes | None) -> dict[str, Any]:
        # polkadot.js asks with a genesis header's parent hash, which is zero.
        block = self.chain.genesis if at == bytes(32) else self._block(at)
        return self.runtime(block).version.as_json()

    def _get_storage(self, key: bytes, at: bytes | None) -> str | None:
        state = self._state(at)
        answer = hexed(state.read(key))
        if answer is not None and self.faults.tells("storage", state.block.number):
            return flip_hex(answer)
        return answer

    def _storage_hash(self, key: bytes, at: bytes | None) -> str | None:
        value = self._state(at).read(key)
        return None if value is None else hexed(blake2_256(value))

    def _storage_size(self, key: bytes, at: bytes | None) -> int | None:
        state = self._state(at)
        value = state.read(key)
        if value is not None:
            return len(value)
        sizes = [len(item) for _, item in state.pairs(key)]
        return sum(sizes) if sizes else None

    def _keys_paged(
        self, prefix: bytes | None, count: int, start: bytes | None, at: bytes | None
    ) -> list[str]:
        if count > MAX_KEYS:
            raise RpcError(4002, f"count exceeds maximum value. value: {count}, max: {MAX_KEYS}")
        state = self._state(at)
        out: list[str] = []
        for key in state.under(prefix or b"", start or b""):
            if len(out) == count:
                break
            out.append("0x" + key.hex())
        return out

    def _keys(self, prefix: bytes, at: bytes | None) -> list[str]:
        return ["0x" + key.hex() for key in self._state(at).under(prefix)]

    def _pairs(self, prefix: bytes, at: bytes | None) -> list[tuple[str, str]]:
        pairs = self._state(at).pairs(prefix)
        return [("0x" + key.hex(), "0x" + value.hex()) for key, value in pairs]

    def _query_storage_at(self, keys: list[bytes], at: bytes | None) -> list[dict[str, Any]]:
        state = self._state(at)
        lie = self.faults.tells("storage", state.block.number)
        changes = []
        for key in keys:
            value = hexed(state.read(key))
            changes.append((hexed(key), flip_hex(value) if lie and value else value))
        return [{"block": hexed(state.block.hash), "changes": changes}]

    def _query_storage(
        self, keys: list[bytes], first: bytes, last: bytes | None
    ) -> list[dict[str, Any]]:
        start, end = self._block(first), self._block(last)
        if start.number > end.number:
            raise RpcError(
                4001,
                f"Cannot resolve a block range ['{hexed(start.hash)}' ... '{hexed(end.hash)}]. "
                "from number > to number",
            )
        out: list[dict[str, Any]] = []
        seen: dict[bytes, bytes | None] = {}
        for block in self.chain.blocks(start.number, end.number):
            state = self._state(block.hash)
            changes = []
            for key in keys:
                value = state.read(key)
                if key not in seen or seen[key] != value:
                    seen[key] = value
                    changes.append((hexed(key), hexed(value)))
            if changes:
                out.append({"block": hexed(block.hash), "changes": changes})
        return out

    def _read_proof(self, keys: list[bytes], at: bytes | None) -> dict[str, Any]:
        block = self._state(at).block
        proof = ["0x" + node.hex() for node in self.chain.prove(block, keys)]
        if proof and self.faults.tells("proof", block.number):
            proof[-1] = flip_hex(proof[-1])
        return {"at": hexed(block.hash), "proof": proof}

    def _call(self, name: str, data: bytes, at: bytes | None) -> str | None:
        state = self._state(at)
        runtime = self.runtime(state.block)
        metadata = blob.write(runtime.metadata)
        version = runtime.metadata[4]
        match name:
            case "Core_version":
                answer = runtime.version.encode()
            case "Metadata_metadata":
                answer = metadata
            case "Metadata_metadata_at_version":
                wanted = int.from_bytes(_exactly(data, 4, name), "little")
                answer = b"\x01" + metadata if wanted == version else b"\x00"
            case "Metadata_metadata_versions":
                answer = vec(u32).write([version])
            case "AccountNonceApi_account_nonce":
                answer = u32.write(self._nonce(state, _exactly(data, 32, name)))
            case "TransactionPaymentApi_query_info":
                time, fee = self._fee(state, data[:-4])
                answer = compact.write(time) + compact.write(0) + b"\0" + u128.write(fee)
            case _:
                raise client_error(f"Execution failed: Other: Exported method {name} is not found")
        return hexed(answer)

    # --- transactions ----------------------------------------------------------------------

    def _fee(self, state: State, extrinsic: bytes) -> tuple[int, int]:
        try:
            return self.runtime(state.block).fee(state, extrinsic)
        except (InvalidTransaction, UndecodableExtrinsic) as error:
            raise client_error(f"Execution failed: Runtime panicked: {error.data}") from None

    def _query_info(self, extrinsic: bytes, at: bytes | None) -> dict[str, Any]:
        time, fee = self._fee(self._state(at), extrinsic)
        return {
            "weight": {"ref_time": time, "proof_size": 0},
            "class": "normal",
            "partialFee": str(fee),
        }

    def _submit(self, extrinsic: bytes) -> str:
        return "0x" + self._into_pool(extrinsic, None).hex()

    def _into_pool(self, extrinsic: bytes, watcher: Callable[[Any], None] | None) -> bytes:
        reader = Reader(extrinsic)
        try:
            blob.read(reader)
        except CodecError:
            reason = "Extrinsic has invalid format: Not enough data to fill buffer"
            raise RpcError(1001, reason) from None
        extrinsic = extrinsic[: reader.offset]
        try:
            return self.pool.submit(extrinsic, watcher)
        except PoolError as error:
            raise RpcError(error.code, error.message, error.data) from None

    def _submit_and_watch(self, sink: Sink, extrinsic: bytes) -> Callable[[], None]:
        def watcher(status: Any) -> None:
            sink.send(status)

        self._into_pool(extrinsic, watcher)
        return lambda: self.pool.unwatch(watcher)

    # --- subscriptions ---------------------------------------------------------------------

    def _watch_heads(self, sink: Sink) -> Callable[[], None]:
        sink.send(self.best.header.json())
        self._heads.add(sink)
        return lambda: self._heads.discard(sink)

    def _watch_all(self, sink: Sink) -> Callable[[], None]:
        sink.send(self.best.header.json())
        self._all_heads.add(sink)
        return lambda: self._all_heads.discard(sink)

    def _watch_finalized(self, sink: Sink) -> Callable[[], None]:
        sink.send(self.finalized.header.json())
        self._final_heads.add(sink)
        return lambda: self._final_heads.discard(sink)

    def _watch_version(self, sink: Sink) -> Callable[[], None]:
        sink.send(self.runtime(self.best).version.as_json())
        self._versions.add(sink)
        return lambda: self._versions.discard(sink)

    def _watch_storage(self, sink: Sink, keys: list[bytes] | None) -> Callable[[], None]:
        if keys is None and self.faults.deny_unsafe:
            raise RpcError(-32601, "RPC call is unsafe to be called externally")
        block = self.best
        state = self.chain.state(block)
        changes = [(hexed(key), hexed(state.read(key))) for key in keys or ()]
        sink.send({"block": hexed(block.hash), "changes": changes})
        self._storage[sink] = None if keys is None else frozenset(keys)

        def stop() -> None:
            self._storage.pop(sink, None)

        return stop

    def _on_chain(self, event: Imported | Finalized) -> None:
        if isinstance(event, Finalized):
            self._show_finalized()
        else:
            for sink in tuple(self._all_heads):
                sink.send(event.block.header.json())
            if event.new_best:
                self._show_best()

    def _show_best(self) -> None:
        before, block = self._shown_best, self.best
        if block.hash == before.hash:
            return
        self._shown_best = block
        for sink in tuple(self._heads):
            sink.send(block.header.json())
        if block.spec_version != before.spec_version:
            version = self.runtime(block).version.as_json()
            for sink in tuple(self._versions):
                sink.send(version)
        for sink, keys in tuple(self._storage.items()):
            changed = [
                (hexed(key), hexed(value))
                for key, value in block.changes.items()
                if keys is None or key in keys
            ]
            if changed:
                sink.send({"block": hexed(block.hash), "changes": changed})

    def _show_finalized(self) -> None:
        block = self.finalized
        if block.number > self._shown_final.number:
            self._shown_final = block
            for sink in tuple(self._final_heads):
                sink.send(block.header.json())


@lru_cache(maxsize=8)
def decoded(metadata: bytes) -> Metadata:
    """Decode metadata, once for all who ask."""
    return Metadata.decode(metadata)


def bend(data: bytes) -> bytes:
    """Flip one bit in the middle."""
    middle = len(data) // 2
    return data[:middle] + bytes((data[middle] ^ 1,)) + data[middle + 1 :]


def _account(address: str) -> bytes:
    """Read an account as nodes do: SS58 of any prefix, or 0x hex."""
    if address.startswith("0x"):
        return hash32(address)
    try:
        return ss58.decode(address).payload
    except CodecError as error:
        raise ParamsError(f"invalid ss58 address: {error.message}") from None


def _exactly(data: bytes, size: int, name: str) -> bytes:
    if len(data) != size:
        raise client_error(f"Execution failed: Runtime panicked: Bad input data provided to {name}")
    return data
