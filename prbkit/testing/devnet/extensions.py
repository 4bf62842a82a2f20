"""RPC methods that only one of the two chains has: GRANDPA's on the relay chain, Phala's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prbkit.blobs import encode_storage_changes
from prbkit.errors import CodecError
from prbkit.scale.storage import hash_key
from prbkit.testing.devnet.blocks import Block, Changes
from prbkit.testing.devnet.chain import Finalized, Imported
from prbkit.testing.devnet.finality import Finality, FinalityError
from prbkit.testing.devnet.grandpa import finality_proof
from prbkit.testing.devnet.node import Node, bend, decoded, hexed
from prbkit.testing.devnet.params import Param, block_number, hash32, text
from prbkit.testing.devnet.rpc import Method, RpcError, Sink, Subscription
from prbkit.testing.layouts import text as text_layout
from prbkit.testing.layouts import u64
from prbkit.testing.messages import ORIGIN

__all__ = ["GrandpaRpc", "PhalaRpc"]

MAX_CHANGES = 10_000
"""Blocks in one `pha_getStorageChanges` (phala-node-rpc-ext)."""

_PHALA = 20_000
"""Base of the error codes of phala-node-rpc-ext."""


class GrandpaRpc:
    """`grandpa_*` of a relay node."""

    def __init__(self, node: Node, finality: Finality) -> None:
        self._node = node
        self._finality = finality
        self._sinks: set[Sink] = set()
        node.chain.listeners.append(self._on_chain)

    def close(self) -> None:
        self._node.chain.listeners.remove(self._on_chain)

    def methods(self) -> list[Method]:
        number = Param("block", block_number)
        return [
            Method("grandpa_proveFinality", (number,), self._prove),
            Method("grandpa_roundState", (), self._round_state),
        ]

    def subscriptions(self) -> list[Subscription]:
        return [
            Subscription(
                "grandpa_subscribeJustifications",
                "grandpa_unsubscribeJustifications",
                "grandpa_justifications",
                (),
                self._watch,
            )
        ]

    def _prove(self, number: int) -> str | None:
        faults = self._node.faults
        try:
            proof = self._finality.prove(number, self._node.finalized.number)
        except FinalityError as error:
            raise RpcError(4, f"GRANDPA prove finality rpc failed: {error}") from None
        if proof is None:
            return None
        block, justification, blocks = proof
        if faults.tells("justification", block.number):
            justification = bend(justification)
        headers = [item.encoded for item in blocks]
        for i, item in enumerate(blocks):
            if faults.lies and faults.tells("header", item.number):
                headers[i] = bend(headers[i])
        return hexed(finality_proof(block.hash, justification, headers))

    def _round_state(self) -> dict[str, Any]:
        voters = self._finality.voters(self._finality.set_id)
        total = len(voters.voters)
        state = {
            "round": max(self._node.finalized.number, 1),
            "totalWeight": total,
            "thresholdWeight": voters.threshold,
            "prevotes": {"currentWeight": 0, "missing": []},
            "precommits": {"currentWeight": 0, "missing": []},
        }
        return {"setId": voters.id, "best": state, "background": []}

    def _watch(self, sink: Sink) -> Callable[[], None]:
        self._sinks.add(sink)
        return lambda: self._sinks.discard(sink)

    def _on_chain(self, event: Imported | Finalized) -> None:
        if isinstance(event, Finalized) and self._sinks and not self._node.faults.lag:
            best = self._finality.best_justification()
            if best is not None:
                for sink in tuple(self._sinks):
                    sink.send(hexed(best[1]))


class PhalaRpc:
    """`pha_*` of a parachain node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def close(self) -> None:
        pass

    def methods(self) -> list[Method]:
        ends = (Param("from", hash32), Param("to", hash32))
        return [
            Method("pha_getStorageChanges", ends, self._changes),
            Method("pha_getStorageChangesWithRoot", ends, self._changes_with_root),
            Method("pha_getStorageChangesAt", (Param("block", hash32),), self._changes_at),
            Method("pha_getMqNextSequence", (Param("sender_hex", text),), self._next_sequence),
        ]

    def subscriptions(self) -> list[Subscription]:
        return []

    def _range(self, first: bytes, last: bytes) -> list[Block]:
        """Give the blocks between two hashes; the node would execute each again."""
        node = self._node
        blocks = [node.chain.block(at) for at in (first, last)]
        start, end = blocks
        if start is None or end is None or max(start.number, end.number) > node.best.number:
            missing = first if start is None else last
            raise RpcError(
                _PHALA + 5,
                f"Error occurred while processing the block {hexed(missing)}: header not found.",
            )
        if start.number > end.number:
            raise RpcError(
                _PHALA + 3,
                f"Cannot resolve a block range ['{hexed(first)}({start.number})' ... "
                f"'{hexed(last)}({end.number})].",
            )
        if end.number - start.number > MAX_CHANGES:
            raise RpcError(_PHALA + 4, "Too large number of blocks")
        walk, found = end, [end]
        while walk.hash != start.hash:
            if walk.number <= start.number:
                raise RpcError(
                    _PHALA + 5,
                    f"Error occurred while processing the block {hexed(walk.hash)}: not in range.",
                )
            walk = node.chain.parent(walk)
            found.append(walk)
        found.reverse()
        oldest = node.finalized.number - (node.faults.prune or 0)
        if node.faults.prune is not None and start.number - 1 < oldest:
            raise RpcError(
                _PHALA + 5,
                f"Error occurred while processing the block {hexed(start.hash)}: UnknownBlock: "
                f"State already discarded for {hexed(start.parent_hash)}.",
            )
        return found

    def _of(self, block: Block) -> Changes:
        changes = dict(block.changes)
        if self._node.faults.tells("changes", block.number):
            key = next(iter(changes))
            value = changes[key]
            changes[key] = bend(value) if value else b"\x01"
        return changes

    def _json(self, block: Block) -> dict[str, Any]:
        changes = [(hexed(key), hexed(value)) for key, value in self._of(block).items()]
        return {"mainStorageChanges": changes, "childStorageChanges": []}

    def _changes(self, first: bytes, last: bytes) -> list[dict[str, Any]]:
        return [self._json(block) for block in self._range(first, last)]

    def _changes_with_root(self, first: bytes, last: bytes) -> list[dict[str, Any]]:
        return [
            {"changes": self._json(block), "stateRoot": list(block.header.state_root)}
            for block in self._range(first, last)
        ]

    def _changes_at(self, at: bytes) -> str | None:
        [block] = self._range(at, at)
        return hexed(encode_storage_changes(list(self._of(block).items())))

    def _next_sequence(self, sender_hex: str) -> int:
        """Give what the chain expects of a sender, and counts on over the pool's ready ones."""
        try:
            sender = bytes.fromhex(sender_hex)
            ORIGIN.decode(sender)
        except (ValueError, CodecError):
            raise RpcError(_PHALA + 1, "invalid sender") from None
        node = self._node
        block = node.best
        metadata = decoded(node.runtime(block).metadata)
        hashers = metadata.storage_item("PhalaMq", "OffchainIngress").hashers
        prefix = metadata.storage_prefix("PhalaMq", "OffchainIngress")
        value = node.chain.state(block).read(prefix + hash_key(hashers[0], sender))
        sequence = int.from_bytes(value, "little") if value else 0
        tags = set(node.pool.provided())
        while _mq_tag(sender, sequence) in tags:
            sequence += 1
        return sequence


def _mq_tag(sender: bytes, sequence: int) -> bytes:
    """Tag that a bare message provides (`CheckMqSequence` of phala-pallets)."""
    return text_layout.write("PhalaMqOffchainMessages") + sender + u64.write(sequence)
