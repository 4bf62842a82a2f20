"""The parachain's state, kept beside the sync to check each block's storage changes.

A block's changes, applied to the state before it, must give the state root of its header. A
block that does not is taken back, so that another endpoint's answer can be tried on the same
state.
"""

from __future__ import annotations

from collections.abc import Sequence

from prbkit.blobs import decode_storage_changes
from prbkit.errors import ProofError, VerificationError
from prbkit.light import Header, Trie

__all__ = ["ParaState"]

_Pairs = list[tuple[bytes, bytes | None]]
_Undo = tuple[_Pairs, list[tuple[bytes, _Pairs]]]


class ParaState:
    """The whole state after a block, in memory.

    :param pairs: the state of block 0.
    :param root: its root, by which the state version is told.
    """

    def __init__(self, pairs: Sequence[tuple[bytes, bytes]], root: bytes) -> None:
        self.number = 0
        self._trie = Trie(pairs)
        if self._trie.root != root:
            self._trie = Trie(pairs, version=1)
        if self._trie.root != root:
            raise VerificationError("the genesis pairs do not give the genesis state root")

    def apply(self, headers: Sequence[bytes], changes: Sequence[bytes]) -> None:
        """Check the blocks after `number`, all or none of them.

        Raises `VerificationError` naming the block, or `CodecError`; the state is then as before.
        It computes for as long as it takes: call it in a thread.
        """
        undone: list[_Undo] = []
        start = self._trie.root
        try:
            for header, change in zip(headers, changes, strict=True):
                fields = Header.decode(header)
                main, children = decode_storage_changes(change)
                try:
                    undone.append(self._undo(main, children))
                    root = self._trie.apply(main, children)
                except ProofError as error:
                    raise VerificationError(
                        f"storage changes of block {fields.number}: {error.message}"
                    ) from error
                if root != fields.state_root:
                    raise VerificationError(
                        f"storage changes of block {fields.number} give the state root "
                        f"0x{root.hex()}, the header has 0x{fields.state_root.hex()}"
                    )
        except BaseException:
            for main, children in reversed(undone):
                self._trie.apply(main, children)
            if self._trie.root != start:
                raise StateLostError("the state before a refused block was lost") from None
            raise
        self.number += len(headers)

    def _undo(self, main: _Pairs, children: list[tuple[bytes, _Pairs]]) -> _Undo:
        trie = self._trie
        return (
            [(key, trie.get(key)) for key, _ in main],
            [(name, [(key, trie.get(key, name)) for key, _ in pairs]) for name, pairs in children],
        )


class StateLostError(VerificationError):
    """The state must be built again from what is committed."""
