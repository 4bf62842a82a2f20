"""Which extrinsics stand in blocks that are not final yet: news, on which nothing is decided."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from prbkit.interfaces import ChainSource, Head

from .chain import extrinsic_hash

__all__ = ["BestBlocks"]

MOST = 64
"""Blocks above the finalized one that are looked at."""


class BestBlocks:
    """The best chain above the finalized block, as it was last seen."""

    def __init__(self, source: ChainSource) -> None:
        self._source = source
        self._blocks: dict[bytes, frozenset[bytes]] = {}

    async def find(self, finalized: int, wanted: Collection[bytes]) -> Mapping[bytes, Head]:
        """Tell which of these extrinsics (by hash) the best chain holds, and where.

        One that it held and holds no more was in a block that has been retracted, or is final.
        """
        found: dict[bytes, Head] = {}
        seen: dict[bytes, frozenset[bytes]] = {}
        for number in range(finalized + 1, finalized + 1 + MOST):
            at = await self._source.block_hash(number)
            if at is None:
                break
            hashes = self._blocks.get(at)
            if hashes is None:
                block = await self._source.block(at)
                hashes = frozenset(map(extrinsic_hash, block.extrinsics))
            seen[at] = hashes
            found |= {each: Head(number, at) for each in wanted if each in hashes}
        self._blocks = seen
        return found
