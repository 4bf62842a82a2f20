"""Which relay blocks are final, and the justifications that prove it, as GRANDPA nodes keep them.

A block that schedules a change of set is always finalized on its own, by the old set, before
anything above it; justifications are kept for those blocks and for every n-th, and the best one is
known beside them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

from prbkit.light import scheduled_change
from prbkit.testing.devnet.blocks import Block
from prbkit.testing.devnet.chain import Chain
from prbkit.testing.devnet.grandpa import (
    MAX_UNKNOWN_HEADERS,
    AuthoritySet,
    authority_set,
    justify,
    plan_votes,
)

__all__ = ["Finality", "FinalityError", "schedules_change"]


class FinalityError(Exception):
    """No proof of finality can be given; the text is GRANDPA's."""


def schedules_change(block: Block) -> bool:
    """Say whether a header's digest holds a GRANDPA ScheduledChange."""
    return scheduled_change(block.encoded) is not None


class Finality:
    """Finalizes the relay chain.

    :param period: every block whose number this divides keeps its justification.
    :param lag: how many blocks behind the best one finality is.
    :param record: hears of each finalization before the chain does: block, kept justification.
    """

    def __init__(
        self,
        chain: Chain,
        *,
        seed: bytes,
        set_size: int,
        period: int,
        lag: int,
        record: Callable[[Block, bytes | None], None],
    ) -> None:
        self._chain = chain
        self._seed = seed
        self._set_size = set_size
        self._period = period
        self._lag = lag
        self._record = record
        self._changes: list[int] = []
        self._best: tuple[Block, bytes] | None = None

    @property
    def set_id(self) -> int:
        """Id of the set that finalizes the next block."""
        return len(self._changes)

    @property
    def set_changes(self) -> tuple[int, ...]:
        """Numbers of the final blocks that scheduled a change: the last block of each set."""
        return tuple(self._changes)

    def voters(self, set_id: int) -> AuthoritySet:
        return authority_set(self._seed, set_id, self._set_size)

    def restore(self, block: Block, justification: bytes | None) -> None:
        """Take a finalization over that happened in an earlier life."""
        self._finalize(block, justification)

    def advance(self, to: int | None = None) -> None:
        """Finalize what may be: up to `lag` below the best block, or up to `to`."""
        chain = self._chain
        target = chain.best.number - self._lag if to is None else min(to, chain.best.number)
        first = chain.finalized.number + 1
        for block in chain.blocks(first, target):
            # Kept justifications are made on the way, as if each had been finalized by itself.
            if schedules_change(block) or block.number % self._period == 0:
                justification = self._justify(block)
                self._record(block, justification)
                self._finalize(block, justification)
        if target > chain.finalized.number and (last := chain.at(target)) is not None:
            self._record(last, None)
            self._finalize(last, None)

    def best_justification(self, at_most: int | None = None) -> tuple[Block, bytes] | None:
        """Give the best justification that is known, for a node that has got to `at_most`."""
        final = self._chain.finalized
        if at_most is not None and at_most < final.number:
            for number in range(at_most, -1, -1):
                block = self._chain.at(number)
                kept = self._chain.justification(block.hash) if block else None
                if block is not None and kept is not None:
                    return block, kept
            return None
        if final.number == 0:
            return None
        if self._best is None or self._best[0].hash != final.hash:
            kept = self._chain.justification(final.hash)
            self._best = (final, kept if kept is not None else self._justify(final))
        return self._best

    def prove(
        self, number: int, finalized: int | None = None
    ) -> tuple[Block, bytes, list[Block]] | None:
        """Answer `grandpa_proveFinality`: block F, its justification, the headers up to F.

        F is the last block of the set that `number` is in, or the best justified one in the
        running set.

        :raises FinalityError: where `number` is not final (for a node that has finalized that far).
        """
        final = self._chain.finalized.number if finalized is None else finalized
        if number > final:
            raise FinalityError("Block not yet finalized")
        index = bisect_left(self._changes, number)
        if index < len(self._changes) and self._changes[index] <= final:
            block = self._chain.at(self._changes[index])
            assert block is not None
            kept = self._chain.justification(block.hash)
            found = None if kept is None else (block, kept)
        else:
            found = self.best_justification(final)
        if found is None:
            return None
        block, justification = found
        last = min(block.number, number + MAX_UNKNOWN_HEADERS)
        return block, justification, list(self._chain.blocks(number + 1, last))

    def _finalize(self, block: Block, justification: bytes | None) -> None:
        if justification is not None:
            self._chain.set_justification(block.hash, justification)
        if schedules_change(block):
            self._changes.append(block.number)
        self._chain.finalize(block)

    def _set_of(self, block: Block) -> int:
        """Id of the set that finalizes a block: a change takes effect after its block."""
        return bisect_left(self._changes, block.number)

    def _justify(self, target: Block) -> bytes:
        chain = self._chain
        voters = self.voters(self._set_of(target))
        above: list[Block] = []
        below: Block | None = None
        if not schedules_change(target):
            for block in chain.blocks(target.number + 1, target.number + 3):
                above.append(block)
                if schedules_change(block):
                    break
        start = self._changes[voters.id - 1] if voters.id else 0
        if target.number - 1 > start:
            below = chain.at(target.number - 1)
        votes = plan_votes(voters, target, above, below)
        return justify(voters, max(target.number - start, 1), target, votes, chain.parent)
