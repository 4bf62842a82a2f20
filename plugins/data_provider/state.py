"""The parachain's state, kept beside the sync to check each block's storage changes.

A block's changes, applied to the state before it, must give the state root of its header. A
block that does not is taken back, so that another endpoint's answer can be tried on the same
state. What a range of blocks changed on the whole is told, so that the archive can keep the state
and a restart needs no replay.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prbkit.blobs import decode_storage_changes
from prbkit.errors import ProofError, VerificationError
from prbkit.light import CHILD_PREFIX, Header, Trie

__all__ = ["ParaState", "StateLostError", "StateRow"]

_Pairs = list[tuple[bytes, bytes | None]]
_Undo = tuple[_Pairs, list[tuple[bytes, _Pairs]]]

StateRow = tuple[bytes | None, bytes, bytes | None]
"""(child's name, None for the main trie; key; value, None: there is none any more)."""


class ParaState:
    """The whole state after a block, in memory.

    :param rows: the state of block `number`, in any order.
    :param root: its root, by which the state version is told.
    """

    def __init__(self, rows: Iterable[StateRow], root: bytes, number: int = 0) -> None:
        self.number = number
        main: _Pairs = []
        children: dict[bytes, _Pairs] = {}
        for child, key, value in rows:
            (main if child is None else children.setdefault(child, [])).append((key, value))
        for version in (0, 1):
            self._trie = Trie(main, children.items(), version)
            if self._trie.root == root:
                return
        raise VerificationError(f"the state of block {number} does not give its state root")

    def apply(self, headers: Sequence[bytes], changes: Sequence[bytes]) -> list[StateRow]:
        """Check the blocks after `number`, all or none of them; what they changed on the whole.

        Raises `VerificationError` naming the block, or `CodecError`; the state is then as before.
        It computes for as long as it takes: call it in a thread.
        """
        undone: list[_Undo] = []
        touched: dict[tuple[bytes | None, bytes], None] = {}
        start = self._trie.root
        try:
            for header, change in zip(headers, changes, strict=True):
                fields = Header.decode(header)
                main, children = decode_storage_changes(change)
                try:
                    undone.append(self._undo(main, children))
                    self._touch(touched, main, children)
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
        return [(child, key, self._value(child, key)) for child, key in touched]

    def _undo(self, main: _Pairs, children: list[tuple[bytes, _Pairs]]) -> _Undo:
        trie = self._trie
        return (
            [(key, trie.get(key)) for key, _ in main],
            [(name, [(key, trie.get(key, name)) for key, _ in pairs]) for name, pairs in children],
        )

    def _touch(
        self,
        touched: dict[tuple[bytes | None, bytes], None],
        main: _Pairs,
        children: list[tuple[bytes, _Pairs]],
    ) -> None:
        """Note each key whose value a block may change."""
        for name, pairs in children:
            touched[None, CHILD_PREFIX + name] = None
            touched.update(dict.fromkeys((name, key) for key, _ in pairs))
        for key, _ in main:
            touched[None, key] = None
            if key.startswith(CHILD_PREFIX):  # the whole child may go with its root
                name = key[len(CHILD_PREFIX) :]
                try:
                    items = self._trie.items(child=name)
                except ProofError:  # its content is unknown: there are no rows of it
                    continue
                touched.update(dict.fromkeys((name, inner) for inner, _ in items))

    def _value(self, child: bytes | None, key: bytes) -> bytes | None:
        try:
            return self._trie.get(key, child)
        except ProofError:
            return None


class StateLostError(VerificationError):
    """The state must be built again from what is committed."""
