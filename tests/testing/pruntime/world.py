"""A devnet's chains without sockets, and what a bridge would send of them to a worker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prbkit import blobs
from prbkit.testing.devnet.blocks import compact
from prbkit.testing.devnet.config import DevnetConfig
from prbkit.testing.devnet.finality import schedules_change
from prbkit.testing.devnet.network import RELAY_GENESIS, Network
from prbkit.testing.devnet.runtimes import runtimes
from prbkit.testing.pruntime import PRuntimeConfig
from prbkit.testing.pruntime.core import Core
from prbkit.testing.pruntime.keys import storage_prefix, twox_64_concat
from prbkit.wire import pruntime as rpc

SEED = b"\7" * 32
CONFIG = DevnetConfig(set_period=12, justification_period=4)
WELL_KNOWN = b":grandpa_authorities"
AUTHORITIES = storage_prefix("Grandpa", "Authorities")
SET_ID = storage_prefix("Grandpa", "CurrentSetId")

Relay = list[tuple[bytes, bytes | None]]


class World:
    """Two chains of some blocks, all final."""

    def __init__(self, steps: int = 44) -> None:
        self.net = Network(CONFIG, runtimes(CONFIG))
        for _ in range(steps):
            self.net.step()
        self.net.finalize()
        self.justified = [
            block.number
            for block in self.net.relay.blocks(RELAY_GENESIS + 1, self.net.relay.best.number)
            if self.net.relay.justification(block.hash) is not None
        ]
        """Relay blocks of which a node keeps a justification."""
        self.changing = [
            block.number
            for block in self.net.relay.blocks(RELAY_GENESIS + 1, self.net.relay.best.number)
            if schedules_change(block)
        ]

    # --- parts

    def genesis_proof(self, *keys: bytes) -> list[bytes]:
        keys = keys or (WELL_KNOWN, SET_ID, AUTHORITIES)
        block = self.net.relay.at(RELAY_GENESIS)
        assert block is not None
        return self.net.relay.prove(block, keys)

    def authorities(self, set_id: int = 0) -> list[tuple[bytes, int]]:
        return list(self.net.finality.voters(set_id).authorities)

    def relay(self, first: int, last: int) -> Relay:
        """Relay headers, the last with its justification if a node keeps one."""
        blocks = self.net.relay.blocks(first, last)
        proof = self.net.relay.justification(blocks[-1].hash)
        return [(block.encoded, None) for block in blocks[:-1]] + [(blocks[-1].encoded, proof)]

    def head(self, relay: int) -> int:
        """Number of the para block that a relay block's state has as the head."""
        block = self.net.relay.at(relay)
        assert block is not None
        head = self.net.para.block(block.link)
        assert head is not None
        return head.number

    def head_proof(self, relay: int) -> list[bytes]:
        block = self.net.relay.at(relay)
        assert block is not None
        raw = CONFIG.para_id.to_bytes(4, "little")
        return self.net.relay.prove(block, [storage_prefix("Paras", "Heads") + twox_64_concat(raw)])

    def para(self, first: int, last: int) -> list[bytes]:
        return [block.encoded for block in self.net.para.blocks(first, last)]

    def changes(self, number: int) -> bytes:
        """SCALE StorageChanges of a para block."""
        block = self.net.para.at(number)
        assert block is not None
        return blobs.encode_storage_changes(list(block.changes.items()))

    def state(self, number: int) -> list[tuple[bytes, bytes]]:
        block = self.net.para.at(number)
        assert block is not None
        return self.net.para.state(block).pairs()

    # --- requests

    def init(self, **changed: Any) -> Any:
        """InitRuntimeRequest; `header`, `authorities`, `set_id`, `proof`, `state` may be others."""
        block = self.net.relay.at(RELAY_GENESIS)
        assert block is not None
        info = blobs.genesis_info(
            changed.pop("header", block.encoded),
            changed.pop("authorities", self.authorities()),
            changed.pop("set_id", 0),
            changed.pop("proof", self.genesis_proof()),
        )
        state = blobs.storage_state(changed.pop("state", self.state(0)))
        fields = {"skip_ra": True, "is_parachain": True, **changed}
        return rpc.InitRuntimeRequest(
            encoded_genesis_info=info, encoded_genesis_state=state, **fields
        )

    def started(self, **config: Any) -> Core:
        """A worker that is initialised and nothing more."""
        core = Core(PRuntimeConfig(seed=SEED, **config))
        core.init_runtime(self.init())
        return core

    def synced(self, relay: int, *, dispatched: int | None = None) -> Core:
        """A worker with headers of both chains up to a justified relay block."""
        core = self.started()
        for last in self.justified:
            if last <= relay:
                sync_relay(core, self.relay(core.get_info().headernum, last))
        assert core.get_info().headernum == relay + 1
        head = self.head(relay)
        sync_para(core, self.para(0, head), self.head_proof(relay))
        if dispatched:
            dispatch(core, [(n, self.changes(n)) for n in range(1, dispatched + 1)])
        return core

    def header_of(self, number: int) -> bytes:
        block = self.net.para.at(number)
        assert block is not None
        return block.encoded


def sync_relay(core: Core, headers: Relay) -> int:
    request = rpc.HeadersToSync(encoded_headers=blobs.headers_to_sync(headers))
    return int(core.sync_header(request).synced_to)


def sync_para(core: Core, headers: Sequence[bytes], proof: Sequence[bytes]) -> int:
    encoded = blobs.encode_headers(headers)
    request = rpc.ParaHeadersToSync(encoded_headers=encoded, proof=proof)
    return int(core.sync_para_header(request).synced_to)


def sync_combined(
    core: Core, relay: Relay, para: Sequence[bytes], proof: Sequence[bytes]
) -> tuple[int, int]:
    answer = core.sync_combined_headers(
        rpc.CombinedHeadersToSync(
            encoded_relaychain_headers=blobs.headers_to_sync(relay),
            encoded_parachain_headers=blobs.encode_headers(para),
            proof=proof,
        )
    )
    return int(answer.relaychain_synced_to), int(answer.parachain_synced_to)


def numbered(number: int) -> bytes:
    """A header of which only the number is true, as pherry sends them with blocks."""
    zero = bytes(32)
    return zero + compact(number) + zero + zero + b"\0"


def dispatch(core: Core, blocks: Sequence[tuple[int, bytes]]) -> int:
    encoded = blobs.dispatch_block_req([(numbered(number), changes) for number, changes in blocks])
    return int(core.dispatch_blocks(rpc.Blocks(encoded_blocks=encoded)).synced_to)


def counters(core: Core) -> tuple[int, int, int, bool]:
    info = core.get_info()
    return info.headernum, info.para_headernum, info.blocknum, info.waiting_for_paraheaders
