"""Two chains that grow together, one step at a time: no clock, no sockets.

The relay chain runs for a few blocks before the parachain is born, since the parachain's genesis
names the relay block that workers start from. From then on a para block is collated on a relay
block, included by a later one (`backing_delay`), and final when that one is; the next is collated
on the block that included it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prbkit.testing.devnet.blocks import Block, blake2_256
from prbkit.testing.devnet.chain import Chain, Finalized, Imported, genesis_block
from prbkit.testing.devnet.config import DevnetConfig
from prbkit.testing.devnet.finality import Finality
from prbkit.testing.devnet.journal import BlockRecord, FinalityRecord, Journal, Role
from prbkit.testing.devnet.pool import Pool
from prbkit.testing.devnet.runtime import (
    DIGEST_ITEM,
    Head,
    InvalidTransaction,
    ParaInherents,
    RelayInherents,
    Runtime,
    Seal,
    Validity,
)

__all__ = ["ONBOARDING", "RELAY_GENESIS", "Network", "Runtimes"]

RELAY_GENESIS = 1
"""The relay block that workers start from: the one before para block 1's relay parent."""
ONBOARDING = RELAY_GENESIS + 1
"""The relay block that registers the parachain's genesis head: para block 1's relay parent."""

MAX_EXTRINSICS = 2000
"""Extrinsics that a block takes from the pool."""

Runtimes = tuple[Runtime[RelayInherents], Callable[[bytes], Runtime[ParaInherents]]]
"""The relay chain's rules, and the parachain's once the relay genesis hash is known."""


def _chain(runtime: Runtime[Any]) -> Chain:
    version = runtime.version
    pairs = runtime.genesis()
    genesis = genesis_block(pairs, version.state_version, version.spec_version)
    return Chain(genesis, version.state_version)


class _Rules:
    """A chain's runtimes by the spec version that a block's state asks for."""

    def __init__(self, first: Runtime[Any]) -> None:
        self._by_version: dict[int, Runtime[Any]] = {}
        self._upgrades: dict[int, int] = {}
        runtime: Runtime[Any] | None = first
        while runtime is not None:
            self._by_version[runtime.version.spec_version] = runtime
            upgrade = runtime.upgrade
            if upgrade is not None:
                self._upgrades[upgrade[0]] = upgrade[1].version.spec_version
            runtime = upgrade[1] if upgrade else None

    def of(self, block: Block) -> Runtime[Any]:
        return self._by_version[block.spec_version]

    def version_after(self, number: int, before: int) -> int:
        """Give the spec version that block `number` leaves behind."""
        return self._upgrades.get(number, before)


class Network:
    """The chains, their pools and their finality.

    What happened in an earlier life on the same `data_dir` is taken over first.

    :raises ConfigError: where that directory holds another devnet.
    """

    def __init__(self, config: DevnetConfig, runtimes: Runtimes) -> None:
        self.config = config
        relay_runtime, para_runtime = runtimes
        self._journal: Journal | None = None
        self._rules: dict[Role, _Rules] = {"relay": _Rules(relay_runtime)}
        self._forks = 0
        self.relay = _chain(relay_runtime)
        self.relay_pool = self._pool("relay", self.relay)
        self.finality = Finality(
            self.relay,
            seed=config.seed_bytes,
            set_size=config.validators,
            period=config.justification_period,
            lag=config.finality_lag,
            record=self._record_finality,
        )
        # What comes before the parachain is the same in every life and needs no record.
        while self.relay.best.number < RELAY_GENESIS:
            self.relay.insert(self._author_relay(self.relay.best), best=True)
        rules = para_runtime(self.relay.best.hash)
        self._rules["para"] = _Rules(rules)
        self.para = _chain(rules)
        self.para_pool = self._pool("para", self.para)
        self.relay.listeners.append(self._on_relay)
        if config.data_dir is not None:
            genesis = {"relay": self.relay.best.hash.hex(), "para": self.para.genesis.hash.hex()}
            journal = Journal(config.data_dir / "chains.journal", config.fingerprint() | genesis)
            for record in journal.open():
                self._restore(record)
            self._journal = journal
            self._collate()

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()

    # --- reading ---------------------------------------------------------------------------

    def chain(self, role: Role) -> Chain:
        return self.relay if role == "relay" else self.para

    def pool(self, role: Role) -> Pool:
        return self.relay_pool if role == "relay" else self.para_pool

    def runtime(self, role: Role, block: Block) -> Runtime[Any]:
        """Give the rules that read a block's state and execute its children."""
        return self._rules[role].of(block)

    # --- growing ---------------------------------------------------------------------------

    def step(self) -> None:
        """Make one relay block and what follows from it."""
        self._insert("relay", self._author_relay(self.relay.best), best=True)
        self.finality.advance()
        self._collate()

    def finalize(self) -> None:
        """Finalize up to the best relay block at once."""
        self.finality.advance(self.relay.best.number)

    def reorg(self, depth: int) -> None:
        """Let a fork overtake the last `depth` relay blocks, with the para blocks on them.

        :raises ValueError: for more than is not final.
        """
        relay = self.relay
        if not 1 <= depth <= relay.best.number - relay.finalized.number:
            raise ValueError(f"cannot take {depth} blocks back: only unfinalized ones can be")
        base = relay.at(relay.best.number - depth)
        assert base is not None
        self._forks += 1
        tip = base
        for _ in range(depth):
            tip = self._author_relay(tip)
            self._insert("relay", tip, best=False)
        self._insert("relay", self._author_relay(tip), best=True)
        self._reroot_para()
        self.finality.advance()
        self._collate()

    def _reroot_para(self) -> None:
        """Take back para blocks that were collated on relay blocks which are gone."""
        keep = self.para.best
        while (parent := self._relay_parent(keep)) and not self.relay.is_canonical(parent):
            keep = self.para.parent(keep)
        if keep.hash != self.para.best.hash:
            self._insert("para", keep, best=True)

    def _relay_parent(self, block: Block) -> Block | None:
        """Find the relay block that a para block was collated on, None for its genesis."""
        return self.relay.block(block.link) if block.number else None

    def _collate(self) -> None:
        """Make the next para block where the last one has just been included."""
        relay, para = self.relay.best, self.para.best
        if relay.number < ONBOARDING or relay.link != para.hash:
            return
        self._insert("para", self._author_para(para, relay), best=True)

    # --- authoring -------------------------------------------------------------------------

    def _author_relay(self, parent: Block) -> Block:
        number = parent.number + 1
        link, heads = parent.link, {}
        candidate = self._candidate(parent, number)
        if candidate is not None:
            link, heads = candidate.hash, {self.config.para_id: candidate.encoded}
        inherents = RelayInherents(self._timestamp(number), heads)
        return self._author("relay", self.relay, parent, inherents, link)

    def _candidate(self, parent: Block, number: int) -> Block | None:
        """Find the para block that relay block `number` on `parent` includes."""
        if number < ONBOARDING:
            return None
        if number == ONBOARDING:
            return self.para.genesis
        included = self.para.block(parent.link)
        assert included is not None
        candidate = self.para.at(included.number + 1)
        if candidate is None or candidate.parent_hash != included.hash:
            return None
        relay_parent = self._relay_parent(candidate)
        assert relay_parent is not None
        old_enough = number >= relay_parent.number + self.config.backing_delay
        return candidate if old_enough and self._leads_to(parent, relay_parent) else None

    def _leads_to(self, block: Block, ancestor: Block) -> bool:
        while block.number > ancestor.number:
            if self.relay.is_canonical(block):
                return self.relay.is_canonical(ancestor)
            block = self.relay.parent(block)
        return block.hash == ancestor.hash

    def _author_para(self, parent: Block, relay_parent: Block) -> Block:
        inherents = ParaInherents(
            timestamp_ms=self._timestamp(relay_parent.number),
            parent_head=parent.encoded,
            relay_parent_number=relay_parent.number,
            relay_parent_storage_root=relay_parent.header.state_root,
        )
        return self._author("para", self.para, parent, inherents, relay_parent.hash)

    def _author(
        self, role: Role, chain: Chain, parent: Block, inherents: Any, link: bytes
    ) -> Block:
        rules = self._rules[role]
        runtime = rules.of(parent)
        on_tip = parent.hash == chain.best.hash
        state: Mapping[bytes, bytes] = chain.tip if on_tip else chain.state(parent)
        pool = self.pool(role)
        ready = pool.ready()[:MAX_EXTRINSICS] if on_tip else []
        executed = runtime.execute_block(state, parent.number + 1, parent.hash, inherents, ready)
        pool.invalid(
            blake2_256(extrinsic)
            for extrinsic, error in executed.refused
            if not (isinstance(error, InvalidTransaction) and error.retry)
        )
        logs = [*executed.digest_logs, *self._seal(role, parent)]
        return chain.seal(
            parent,
            executed.changes,
            executed.extrinsics,
            logs,
            spec_version=rules.version_after(parent.number + 1, parent.spec_version),
            link=link,
        )

    def _seal(self, role: Role, parent: Block) -> Sequence[bytes]:
        """Give the author's seal: as long as an sr25519 signature, told apart by the fork."""
        engine = b"BABE" if role == "relay" else b"aura"
        mark = b"%s%d" % (role.encode(), self._forks)
        first = blake2_256(self.config.seed_bytes + mark + parent.hash)
        return (DIGEST_ITEM.write(Seal(engine, first + blake2_256(first))),)

    def _timestamp(self, number: int) -> int:
        return self.config.genesis_time + number * self.config.slot

    # --- keeping ---------------------------------------------------------------------------

    def _pool(self, role: Role, chain: Chain) -> Pool:
        def validate(extrinsic: bytes) -> Validity:
            best = chain.best
            head = Head(best.number, best.hash)
            return self._rules[role].of(best).validate(chain.tip, extrinsic, head)

        peer = "12D3KooW" + blake2_256(self.config.seed_bytes + role.encode()).hex()[:44]
        pool = Pool(validate, peers=(peer,))

        def follow(event: Imported | Finalized) -> None:
            if isinstance(event, Finalized):
                pool.finalized(event.blocks)
            elif event.new_best:
                pool.imported(event.retracted, event.enacted)

        chain.listeners.append(follow)
        return pool

    def _insert(self, role: Role, block: Block, *, best: bool) -> None:
        if self._journal is not None:
            self._journal.append(BlockRecord(role, block, best))
        self.chain(role).insert(block, best=best)

    def _record_finality(self, block: Block, justification: bytes | None) -> None:
        if self._journal is not None:
            self._journal.append(FinalityRecord(block.hash, justification))

    def _restore(self, record: BlockRecord | FinalityRecord) -> None:
        if isinstance(record, BlockRecord):
            self.chain(record.role).insert(record.block, best=record.best)
            self._forks += not record.best
            return
        block = self.relay.block(record.hash)
        assert block is not None, "finality is recorded after its block"
        self.finality.restore(block, record.justification)

    def _on_relay(self, event: Imported | Finalized) -> None:
        """Finalize on the parachain what a final relay block includes."""
        if isinstance(event, Finalized):
            included = self.para.block(event.blocks[-1].link)
            if included is not None:
                self.para.finalize(included)
