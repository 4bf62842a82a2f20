"""The storage trie of a Substrate chain: its root kept up to date over changes, and read proofs.

Layout V0 holds each value in its node (Khala and Phala); V1 holds values longer than 32 bytes by
their hash (Kusama and Polkadot). A child trie's root is a value of the main trie, under
``:child_storage:default:`` and its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prbkit._native import core
from prbkit.errors import CodecError, ProofError

__all__ = [
    "CHILD_PREFIX",
    "Changes",
    "ChildChanges",
    "ProofReader",
    "Trie",
    "ordered_root",
    "read_proof",
]

CHILD_PREFIX = b":child_storage:default:"

MAX_KEY = 32767
"""Bytes that a key may have: Substrate bounds partial keys by 65,535 nibbles."""

Changes = Iterable[tuple[bytes, bytes | None]]
"""(key, value) pairs in order; None deletes."""

ChildChanges = Iterable[tuple[bytes, Changes]]
"""(child's name without `CHILD_PREFIX`, changes)."""

EMPTY_ROOT = core.MerkleTrie().root


class Trie:
    """A state trie with its child tries.

    :param pairs: (key, value) of the main trie. A child's root may be among them; it counts as
        a child of unknown content unless the child is given too.
    :param children: (name, pairs) of each child.
    :param version: the state version, 0 or 1, of the main trie and of its children.
    """

    __slots__ = ("_children", "_main")

    def __init__(self, pairs: Changes = (), children: ChildChanges = (), version: int = 0) -> None:
        self._main = core.MerkleTrie(version)
        self._children: dict[bytes, core.MerkleTrie] = {}
        roots: list[tuple[bytes, bytes | None]] = []
        for name, content in children:
            child = self._children.setdefault(bytes(name), core.MerkleTrie(version))
            roots.append((CHILD_PREFIX + name, _child_value(child.apply(content))))
        self._main.apply([*pairs, *roots])
        self._forget_empty()

    @property
    def root(self) -> bytes:
        """Root hash of the main trie, 32 bytes."""
        return self._main.root

    @property
    def version(self) -> int:
        return self._main.version

    def __len__(self) -> int:
        """Number of keys of the main trie."""
        return len(self._main)

    def apply(self, main: Changes, children: ChildChanges = ()) -> bytes:
        """Make a block's storage changes and return the new root.

        As Substrate does: the roots of the changed children are set last, whatever `main` says
        of them. Where `main` alone deletes a child's root the child is gone; where it sets one
        that isn't that of the child we know, the child's content is unknown from then on.

        :raises ProofError: for a change of a child whose content is unknown.
        :raises CodecError: for a key that is longer than a trie holds. Nothing is changed then.
        """
        main = [(bytes(key), value) for key, value in main]
        wanted: dict[bytes, list[tuple[bytes, bytes | None]]] = {}
        for name, content in children:
            wanted.setdefault(bytes(name), []).extend(content)
        for keys in (main, wanted.items(), *wanted.values()):
            _check_keys(keys)
        fresh: dict[bytes, core.MerkleTrie] = {}
        for name in wanted:
            if name not in self._children:
                if self._main.get(CHILD_PREFIX + name) is not None:
                    raise ProofError(
                        f"child trie 0x{name.hex()} is to be changed but its content is unknown",
                        hint="give the child's pairs when the trie is made",
                    )
                fresh[name] = core.MerkleTrie(self.version)
        self._children.update(fresh)
        roots = [
            (CHILD_PREFIX + name, _child_value(self._children[name].apply(content)))
            for name, content in wanted.items()
        ]
        root = self._main.apply([*main, *roots])
        for key, _ in main:
            if key.startswith(CHILD_PREFIX):
                name = key[len(CHILD_PREFIX) :]
                child = self._children.get(name)
                if child is not None and self._main.get(key) != _child_value(child.root):
                    del self._children[name]
        self._forget_empty(wanted)
        return root

    def get(self, key: bytes, child: bytes | None = None) -> bytes | None:
        """Return the value of a key of the main trie or of a child, None where there is none."""
        if child is None:
            return self._main.get(key)
        trie = self._child(child)
        return None if trie is None else trie.get(key)

    def items(self, prefix: bytes = b"", child: bytes | None = None) -> list[tuple[bytes, bytes]]:
        """Return all (key, value) whose key begins with `prefix`, sorted by key."""
        if child is None:
            return self._main.items(prefix)
        trie = self._child(child)
        return [] if trie is None else trie.items(prefix)

    def children(self) -> list[bytes]:
        """Return the names of all children, sorted."""
        return [key[len(CHILD_PREFIX) :] for key, _ in self._main.items(CHILD_PREFIX)]

    def proof(self, keys: Sequence[bytes], child: bytes | None = None) -> list[bytes]:
        """Prove keys, there or not: exactly the trie nodes on their paths, sorted.

        With `child` the keys are that child's, and the path to its root is proven too.
        """
        nodes: set[bytes] = set()
        trie: core.MerkleTrie | None = self._main
        if child is not None:
            self._main.path(CHILD_PREFIX + child, nodes)
            trie = self._child(child)
        if trie is not None:
            for key in keys:
                trie.path(key, nodes)
        return sorted(nodes)

    def _child(self, name: bytes) -> core.MerkleTrie | None:
        trie = self._children.get(name)
        if trie is None and self._main.get(CHILD_PREFIX + name) is not None:
            raise ProofError(f"the content of child trie 0x{name.hex()} is unknown")
        return trie

    def _forget_empty(self, names: Iterable[bytes] | None = None) -> None:
        for name in list(self._children if names is None else names):
            if name in self._children and not len(self._children[name]):
                del self._children[name]


class ProofReader:
    """Reads values from one read proof; the nodes are hashed once.

    :param root: state root, 32 bytes.
    :param nodes: the proof, in any order; nodes that no read needs do no harm.
    """

    __slots__ = ("_nodes", "_root")

    def __init__(self, root: bytes, nodes: Iterable[bytes]) -> None:
        if len(root) != 32:
            raise ProofError(f"a state root has 32 bytes, not {len(root)}")
        self._root = bytes(root)
        self._nodes = {core.blake2b_256(node): bytes(node) for node in nodes}

    def get(self, key: bytes, child: bytes | None = None) -> bytes | None:
        """Return the value of a key, None where the proof shows that there is none.

        :raises ProofError: where the proof shows neither.
        """
        root = self._root
        if child is not None:
            value = core.proof_lookup(root, self._nodes, CHILD_PREFIX + child)
            if value is None:
                return None
            if len(value) != 32:
                raise ProofError(f"the root of child trie 0x{child.hex()} has {len(value)} bytes")
            root = value
        return core.proof_lookup(root, self._nodes, bytes(key))


def read_proof(
    root: bytes, nodes: Iterable[bytes], key: bytes, child: bytes | None = None
) -> bytes | None:
    """Read one key from a read proof, or None where the proof shows that it is absent.

    :param root: state root, 32 bytes.
    :param nodes: trie nodes, in any order.
    :param child: name of the child trie that the key is in, without `CHILD_PREFIX`.
    :raises ProofError: where the proof leads neither to the key nor to its absence.
    """
    return ProofReader(root, nodes).get(key, child)


def ordered_root(items: Sequence[bytes], version: int = 0) -> bytes:
    """Return the trie root of {SCALE compact(index): item}, as of a block's extrinsics."""
    return core.MerkleTrie(version).apply([(core.compact(i), item) for i, item in enumerate(items)])


def _check_keys(pairs: Iterable[tuple[bytes, object]]) -> None:
    for key, _ in pairs:
        if len(key) > MAX_KEY - len(CHILD_PREFIX):
            raise CodecError(f"a storage key or a child's name has {len(key)} bytes")


def _child_value(root: bytes) -> bytes | None:
    return None if root == EMPTY_ROOT else root
