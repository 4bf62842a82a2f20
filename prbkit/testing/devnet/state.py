"""Every state that a chain ever had: values by block, and tries that are moved between blocks.

Values are kept as a list of versions for each key, so that reading any block's state costs a
bisection. A trie is kept for one block only and moved to another by applying what lies between,
forwards or backwards.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from prbkit.light import Trie
from prbkit.testing.devnet.blocks import Block

__all__ = ["History", "State", "TrieCursor"]

_REBUILD = 500
"""From this many blocks between two places a trie is built anew instead of being moved."""


class _Versions:
    """What one key held: `numbers` rising, `values` beside them."""

    __slots__ = ("numbers", "values")

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.values: list[bytes | None] = []

    def at(self, number: int) -> bytes | None:
        index = bisect_right(self.numbers, number)
        return self.values[index - 1] if index else None


class History:
    """The values of one line of blocks, each key with its versions.

    Blocks are pushed and popped at the end only; `tip` is the state after the last one.
    """

    def __init__(self) -> None:
        self.tip: dict[bytes, bytes] = {}
        self._versions: dict[bytes, _Versions] = {}
        self._keys: list[bytes] = []

    def push(self, block: Block) -> None:
        number = block.number
        for key, value in block.changes.items():
            versions = self._versions.get(key)
            if versions is None:
                versions = self._versions[key] = _Versions()
                insort(self._keys, key)
            versions.numbers.append(number)
            versions.values.append(value)
            if value is None:
                self.tip.pop(key, None)
            else:
                self.tip[key] = value

    def pop(self, block: Block) -> None:
        """Take back the block that was pushed last."""
        for key in block.changes:
            versions = self._versions[key]
            versions.numbers.pop()
            versions.values.pop()
            value = versions.values[-1] if versions.values else None
            if value is None:
                self.tip.pop(key, None)
            else:
                self.tip[key] = value

    def get(self, key: bytes, number: int) -> bytes | None:
        versions = self._versions.get(key)
        return None if versions is None else versions.at(number)

    def keys(self, prefix: bytes, start: bytes, number: int) -> Iterator[bytes]:
        """Yield the keys under a prefix that lie behind `start` (empty: all) and hold a value."""
        keys = self._keys
        if start and start >= prefix:
            index = bisect_right(keys, start)
        else:
            index = bisect_left(keys, prefix)
        while index < len(keys) and keys[index].startswith(prefix):
            key = keys[index]
            if self._versions[key].at(number) is not None:
                yield key
            index += 1


class State(Mapping[bytes, bytes]):
    """The state after one block: read only.

    A block off the best line is read through what its branch wrote above the line.
    """

    __slots__ = ("_history", "_number", "_overlay", "block")

    def __init__(
        self, history: History, number: int, block: Block, overlay: Mapping[bytes, bytes | None]
    ) -> None:
        self._history = history
        self._number = number
        self._overlay = overlay
        self.block = block

    def __getitem__(self, key: bytes) -> bytes:
        value = self.read(key)
        if value is None:
            raise KeyError(key)
        return value

    def __iter__(self) -> Iterator[bytes]:
        return self.under(b"")

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def read(self, key: bytes) -> bytes | None:
        if self._overlay and key in self._overlay:
            return self._overlay[key]
        return self._history.get(key, self._number)

    def under(self, prefix: bytes, start: bytes = b"") -> Iterator[bytes]:
        """Yield keys under a prefix in order, those behind `start` only."""
        below = self._history.keys(prefix, start, self._number)
        if not self._overlay:
            yield from below
            return
        own = {
            key for key in self._overlay if key.startswith(prefix) and (not start or key > start)
        }
        merged = {key for key in below if key not in own}
        merged.update(key for key in own if self._overlay[key] is not None)
        yield from sorted(merged)

    def pairs(self, prefix: bytes = b"") -> list[tuple[bytes, bytes]]:
        return [(key, value) for key in self.under(prefix) if (value := self.read(key)) is not None]


class Blocks(Protocol):
    """What a trie cursor needs of a chain."""

    def block(self, block_hash: bytes) -> Block | None: ...

    def state(self, block: Block) -> State: ...


class TrieCursor:
    """A trie that stands at one block and goes where it is asked to."""

    def __init__(self, chain: Blocks, at: Block, version: int) -> None:
        self._chain = chain
        self._version = version
        self._at = at
        self._trie = self._build(at)

    @property
    def root(self) -> bytes:
        return self._trie.root

    def move(self, to: Block) -> None:
        """Stand at another block of the same chain."""
        if to.hash == self._at.hash:
            return
        path = self._path(to)
        if path is None:
            self._trie = self._build(to)
        else:
            back, forward = path
            for block in back:
                parent = self._chain.block(block.parent_hash)
                assert parent is not None
                before = self._chain.state(parent)
                self._trie.apply([(key, before.read(key)) for key in block.changes])
            for block in forward:
                self._trie.apply(list(block.changes.items()))
        self._at = to

    def apply(self, changes: Mapping[bytes, bytes | None]) -> bytes:
        """Give the root after `changes` on top of where it stands; `stay` must follow."""
        return self._trie.apply(list(changes.items()))

    def stay(self, block: Block) -> None:
        """Take the applied changes as those of `block`, a child of where it stood."""
        self._at = block

    def proof(self, keys: Sequence[bytes]) -> list[bytes]:
        return list(self._trie.proof(list(keys)))

    def _build(self, at: Block) -> Trie:
        return Trie(self._chain.state(at).pairs(), version=self._version)

    def _path(self, to: Block) -> tuple[list[Block], list[Block]] | None:
        """Blocks to take back (last first) and to apply; None where building anew is cheaper."""
        back: list[Block] = []
        forward: list[Block] = []
        low, high = self._at, to
        if abs(low.number - high.number) > _REBUILD:
            return None
        while low.hash != high.hash:
            side, is_low = (low, True) if low.number > high.number else (high, False)
            (back if is_low else forward).append(side)
            parent = self._chain.block(side.parent_hash)
            if parent is None or len(back) + len(forward) > _REBUILD:
                return None
            if is_low:
                low = parent
            else:
                high = parent
        forward.reverse()
        return back, forward
