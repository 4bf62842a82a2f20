"""One chain as a full node keeps it: blocks, forks, states of all of them, what is final."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from prbkit.light import Trie, ordered_root
from prbkit.testing.devnet.blocks import Block, Changes, Header
from prbkit.testing.devnet.state import History, State, TrieCursor

__all__ = ["Chain", "Finalized", "Imported", "genesis_block"]


@dataclass(frozen=True, slots=True)
class Imported:
    """A block came in. `retracted` (newest first) left the best chain, `enacted` joined it."""

    block: Block
    retracted: tuple[Block, ...]
    enacted: tuple[Block, ...]

    @property
    def new_best(self) -> bool:
        return bool(self.retracted or self.enacted)


@dataclass(frozen=True, slots=True)
class Finalized:
    """`blocks` (rising) are final now; the last is the new finalized head."""

    blocks: tuple[Block, ...]


def genesis_block(pairs: Mapping[bytes, bytes], state_version: int, spec_version: int) -> Block:
    """Make block 0 of a genesis state, as every Substrate chain does."""
    root = Trie(sorted(pairs.items()), version=state_version).root
    header = Header(bytes(32), 0, root, ordered_root(()))
    return Block(header, (), dict(sorted(pairs.items())), spec_version)


class Chain:
    """Blocks by hash and number, with a best line that may fork above the finalized head.

    It executes nothing and decides nothing: blocks are inserted, finalized and justified from
    outside, and listeners are told at once, in order.
    """

    def __init__(self, genesis: Block, state_version: int) -> None:
        self.state_version = state_version
        self._blocks = {genesis.hash: genesis}
        self._line = [genesis]
        self._finalized = 0
        self._history = History()
        self._history.push(genesis)
        self._justifications: dict[bytes, bytes] = {}
        self._builder = TrieCursor(self, genesis, state_version)
        self._prover = TrieCursor(self, genesis, state_version)
        self.listeners: list[Callable[[Imported | Finalized], None]] = []

    @property
    def genesis(self) -> Block:
        return self._line[0]

    @property
    def best(self) -> Block:
        return self._line[-1]

    @property
    def finalized(self) -> Block:
        return self._line[self._finalized]

    @property
    def tip(self) -> Mapping[bytes, bytes]:
        """The best block's state."""
        return self._history.tip

    def block(self, block_hash: bytes) -> Block | None:
        return self._blocks.get(block_hash)

    def at(self, number: int) -> Block | None:
        """Give the best chain's block of that number."""
        return self._line[number] if 0 <= number < len(self._line) else None

    def parent(self, block: Block) -> Block:
        return self._blocks[block.parent_hash]

    def is_canonical(self, block: Block) -> bool:
        own = self.at(block.number)
        return own is not None and own.hash == block.hash

    def is_final(self, block: Block) -> bool:
        return block.number <= self._finalized and self.is_canonical(block)

    def blocks(self, first: int, last: int) -> Sequence[Block]:
        """Give the best chain's blocks first … last, as far as they are there."""
        return self._line[max(first, 0) : last + 1]

    def state(self, block: Block) -> State:
        """Give the state after a block.

        :raises LookupError: for a fork that finality has left behind.
        """
        overlay: dict[bytes, bytes | None] = {}
        walk = block
        while not self.is_canonical(walk):
            if walk.number <= self._finalized:
                raise LookupError("state of a stale fork")
            for key, value in walk.changes.items():
                overlay.setdefault(key, value)
            walk = self._blocks[walk.parent_hash]
        return State(self._history, walk.number, block, overlay)

    def prove(self, block: Block, keys: Sequence[bytes]) -> list[bytes]:
        """Give the trie nodes that prove what `keys` hold in a block's state."""
        self._prover.move(block)
        return self._prover.proof(keys)

    def seal(
        self,
        parent: Block,
        changes: Changes,
        extrinsics: Sequence[bytes],
        logs: Sequence[bytes],
        *,
        spec_version: int,
        link: bytes = b"",
    ) -> Block:
        """Make a block of what its execution on `parent` gave; the next call must insert it."""
        self._builder.move(parent)
        header = Header(
            parent.hash,
            parent.number + 1,
            self._builder.apply(changes),
            ordered_root(extrinsics),
            tuple(logs),
        )
        block = Block(header, tuple(extrinsics), changes, spec_version, link)
        self._builder.stay(block)
        return block

    def insert(self, block: Block, *, best: bool) -> None:
        """Take a block in, as the new best one or on a fork.

        A block that is known already may be made the best one so.

        :raises ValueError: where its parent is unknown, or it would undo what is final.
        """
        parent = self._blocks.get(block.parent_hash)
        if parent is None or parent.number + 1 != block.number:
            raise ValueError("parent unknown")
        self._blocks[block.hash] = block
        retracted: list[Block] = []
        enacted: list[Block] = []
        if best:
            walk = block
            while not self.is_canonical(walk):
                if walk.number <= self._finalized:
                    raise ValueError("block on a stale fork")
                enacted.append(walk)
                walk = self._blocks[walk.parent_hash]
            if walk.number < self._finalized:
                raise ValueError("what is final cannot be taken back")
            enacted.reverse()
            while self.best.hash != walk.hash:
                gone = self._line.pop()
                self._history.pop(gone)
                retracted.append(gone)
            for new in enacted:
                self._line.append(new)
                self._history.push(new)
        self._tell(Imported(block, tuple(retracted), tuple(enacted)))

    def finalize(self, block: Block) -> None:
        """Make a block of the best chain final, with all below it."""
        if not self.is_canonical(block):
            raise ValueError("only the best chain can be finalized")
        if block.number <= self._finalized:
            return
        blocks = tuple(self._line[self._finalized + 1 : block.number + 1])
        self._finalized = block.number
        self._tell(Finalized(blocks))

    def set_justification(self, block_hash: bytes, justification: bytes) -> None:
        self._justifications[block_hash] = justification

    def justification(self, block_hash: bytes) -> bytes | None:
        return self._justifications.get(block_hash)

    def _tell(self, event: Imported | Finalized) -> None:
        for listener in tuple(self.listeners):
            listener(event)
