"""The incremental trie against a naive model that builds every node from scratch."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prbkit._native import core
from prbkit.errors import CodecError, ProofError
from prbkit.light import CHILD_PREFIX, Trie, ordered_root, read_proof

# Short keys of few nibbles, so that paths meet; values on both sides of the limits of 32 bytes.
KEYS = st.lists(st.sampled_from([0x00, 0x01, 0x10, 0x11, 0xF0, 0xFF]), max_size=4).map(bytes)
LONG_KEYS = st.binary(max_size=90)
VALUES = st.binary(max_size=5) | st.integers(26, 70).map(lambda n: bytes([n]) * n)
PAIRS = st.dictionaries(KEYS | LONG_KEYS, VALUES, max_size=30)
VERSIONS = st.sampled_from([0, 1])


def blake(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()


def size_prefix(prefix: int, bits: int, n: int) -> bytes:
    top = (1 << bits) - 1
    if n < top:
        return bytes([prefix | n])
    rest = n - top
    return bytes([prefix | top]) + b"\xff" * (rest // 255) + bytes([rest % 255])


def scale_bytes(data: bytes) -> bytes:
    n = len(data)
    if n < 64:
        return bytes([n << 2]) + data
    return (n << 2 | 1).to_bytes(2, "little") + data


def naive_node(pairs: Mapping[str, bytes], version: int) -> bytes:
    """The encoding of the node that holds these (hex path → value)."""
    paths = list(pairs)
    shared = 0
    while all(len(p) > shared and p[shared] == paths[0][shared] for p in paths):
        shared += 1
    partial = paths[0][:shared]
    packed = bytes.fromhex("0" * (len(partial) % 2) + partial)
    below: dict[str, dict[str, bytes]] = {}
    for path, value in pairs.items():
        if len(path) > shared:
            below.setdefault(path[shared], {})[path[shared + 1 :]] = value
    here = pairs.get(partial)
    hashed = version == 1 and here is not None and len(here) > 32
    if hashed:
        head = size_prefix(0x10, 4, shared) if below else size_prefix(0x20, 5, shared)
    elif below:
        head = size_prefix(0x80 if here is None else 0xC0, 6, shared)
    else:
        head = size_prefix(0x40, 6, shared)
    out = head + packed
    if below:
        out += sum(1 << int(digit, 16) for digit in below).to_bytes(2, "little")
    if here is not None:
        out += blake(here) if hashed else scale_bytes(here)
    for digit in sorted(below):
        child = naive_node(below[digit], version)
        out += scale_bytes(child if len(child) < 32 else blake(child))
    return out


def naive_root(pairs: Mapping[bytes, bytes], version: int) -> bytes:
    if not pairs:
        return blake(b"\0")
    return blake(naive_node({key.hex(): value for key, value in pairs.items()}, version))


@given(PAIRS, VERSIONS)
def test_root_is_that_of_the_naive_trie(pairs: dict[bytes, bytes], version: int) -> None:
    trie = Trie(pairs.items(), version=version)
    assert trie.root == naive_root(pairs, version)
    assert trie.items() == sorted(pairs.items())
    assert len(trie) == len(pairs)


@given(PAIRS, st.lists(st.dictionaries(KEYS, st.none() | VALUES, max_size=8), max_size=6), VERSIONS)
def test_changes_give_the_root_of_the_changed_pairs(
    pairs: dict[bytes, bytes], blocks: list[dict[bytes, bytes | None]], version: int
) -> None:
    trie = Trie(pairs.items(), version=version)
    state = dict(pairs)
    for changes in blocks:
        for key, value in changes.items():
            if value is None:
                state.pop(key, None)
            else:
                state[key] = value
        root = trie.apply(changes.items())
        assert root == trie.root == naive_root(state, version)
    assert trie.items() == sorted(state.items())
    assert all(trie.get(key) == value for key, value in state.items())
    # and back to nothing
    assert trie.apply([(key, None) for key in state]) == blake(b"\0")
    assert len(trie) == 0


@given(PAIRS, st.lists(KEYS | LONG_KEYS, max_size=8), VERSIONS)
def test_a_proof_holds_for_its_keys_there_or_not(
    pairs: dict[bytes, bytes], keys: list[bytes], version: int
) -> None:
    trie = Trie(pairs.items(), version=version)
    keys = [*keys, *list(pairs)[:3]]
    proof = trie.proof(keys)
    for key in keys:
        assert read_proof(trie.root, proof, key) == pairs.get(key)
        alone = trie.proof([key])
        for i in range(len(alone)):
            with pytest.raises(ProofError):
                read_proof(trie.root, alone[:i] + alone[i + 1 :], key)
    for key in pairs:
        try:
            assert read_proof(trie.root, proof, key) == pairs[key]
        except ProofError:
            assert key not in keys


@given(PAIRS, st.dictionaries(KEYS, PAIRS, max_size=3), VERSIONS, st.data())
def test_children(
    pairs: dict[bytes, bytes],
    children: dict[bytes, dict[bytes, bytes]],
    version: int,
    data: st.DataObject,
) -> None:
    # What lies under the prefix are the children's roots, which the trie puts there itself.
    pairs = {key: value for key, value in pairs.items() if not key.startswith(CHILD_PREFIX)}
    trie = Trie(pairs.items(), [(n, c.items()) for n, c in children.items()], version)

    def root() -> bytes:
        state = dict(pairs)
        for name, content in children.items():
            if content:
                state[CHILD_PREFIX + name] = naive_root(content, version)
        return naive_root(state, version)

    assert trie.root == root()
    name = data.draw(st.sampled_from([*children, b"new"]))
    changes = data.draw(st.dictionaries(KEYS, st.none() | VALUES, max_size=6))
    content = children.setdefault(name, {})
    for key, value in changes.items():
        if value is None:
            content.pop(key, None)
        else:
            content[key] = value
    assert trie.apply([], [(name, changes.items())]) == root()
    assert trie.children() == sorted(n for n, c in children.items() if c)
    proof = trie.proof(list(changes), child=name)
    for key in changes:
        assert read_proof(trie.root, proof, key, child=name) == content.get(key)
        assert trie.get(key, child=name) == content.get(key)
    assert trie.items(child=name) == sorted(content.items())


def test_a_child_of_unknown_content_cannot_be_changed() -> None:
    known = Trie([(b"a", b"1")], [(b"kid", [(b"k", b"v")])])
    trie = Trie(known.items())
    assert trie.root == known.root
    root = trie.root
    with pytest.raises(ProofError, match="content is unknown"):
        trie.apply([(b"a", b"2")], [(b"kid", [(b"k", b"w")])])
    with pytest.raises(ProofError, match="unknown"):
        trie.proof([b"k"], child=b"kid")
    assert trie.root == root
    assert trie.get(b"a") == b"1"


def test_what_main_says_of_a_child() -> None:
    key = CHILD_PREFIX + b"kid"
    trie = Trie([(b"a", b"1")], [(b"kid", [(b"k", b"v")])])
    child_root = trie.get(key)
    trie.apply([(key, child_root)])
    assert trie.get(b"k", child=b"kid") == b"v"
    # Changed along with its content, the content's root counts.
    trie.apply([(key, bytes(32))], [(b"kid", [(b"k", b"w")])])
    assert trie.get(key) == naive_root({b"k": b"w"}, 0)
    # Deleted by main alone, the child is gone and may begin anew.
    trie.apply([(key, None)])
    assert trie.get(b"k", child=b"kid") is None
    trie.apply([], [(b"kid", [(b"z", b"1")])])
    assert trie.get(key) == naive_root({b"z": b"1"}, 0)
    # Set by main alone to something else, it is unknown.
    trie.apply([(key, bytes(32))])
    with pytest.raises(ProofError):
        trie.apply([], [(b"kid", [(b"z", b"2")])])


@given(st.lists(st.binary(max_size=40), max_size=80))
def test_ordered_root(items: list[bytes]) -> None:
    keyed = {core.compact(i): item for i, item in enumerate(items)}
    assert ordered_root(items) == naive_root(keyed, 0)


def test_a_very_deep_trie_is_no_problem() -> None:
    """Keys of which each begins the next make a trie as deep as the longest is long."""
    deep = bytes(3000)
    trie = Trie([(deep[:n], b"%d" % n) for n in range(len(deep))])
    assert len(trie.items()) == len(deep)
    proof = trie.proof([deep[:-1]])
    assert read_proof(trie.root, proof, deep[:-1]) == b"2999"
    trie.apply([(deep[:n], None) for n in range(len(deep))])
    assert trie.root == blake(b"\0")


def test_a_key_that_is_too_long_is_refused_and_nothing_changed() -> None:
    long = b"\1" * 32_000
    trie = Trie([(long, b"1")], [(b"kid", [(b"k", b"v")])])
    assert read_proof(trie.root, trie.proof([long]), long) == b"1"
    root = trie.root
    for main, children in (
        ([(b"a", b"b"), (bytes(32768), b"1")], []),
        ([(bytes(32768), None)], [(b"kid", [(b"k", b"w")])]),
        ([], [(b"kid", [(b"k", b"w"), (bytes(40_000), b"1")])]),
        ([], [(b"kid", [(b"k", b"w")]), (bytes(40_000), [(b"k", b"w")])]),
    ):
        with pytest.raises(CodecError, match="bytes"):
            trie.apply(main, children)
    assert trie.root == root
    assert trie.get(b"k", child=b"kid") == b"v"
    with pytest.raises(CodecError, match="40000 bytes"):
        core.MerkleTrie().apply([(bytes(40_000), b"1")])


def test_versions() -> None:
    with pytest.raises(ValueError, match="state version 2"):
        Trie(version=2)
    with pytest.raises(ProofError, match="32 bytes"):
        read_proof(b"", [], b"")


def mangle(node: bytes, at: int, cut: int, extra: bytes) -> bytes:
    changed = bytearray(node)
    if changed:
        changed[at % len(changed)] ^= 1 + at % 255
    return bytes(changed[: cut % (len(changed) + 1)] or changed) + extra


@settings(max_examples=400)
@given(st.binary(max_size=200), st.binary(max_size=8))
def test_any_bytes_as_the_root_node_end_in_a_value_or_an_error(node: bytes, key: bytes) -> None:
    try:
        found = read_proof(blake(node), [node], key)
    except ProofError:
        return
    assert found is None or isinstance(found, bytes)


@settings(max_examples=300)
@given(
    PAIRS.filter(bool),
    VERSIONS,
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.binary(max_size=3),
    st.data(),
)
def test_malformed_nodes_under_their_own_hash_end_in_a_value_or_an_error(
    pairs: dict[bytes, bytes], version: int, at: int, cut: int, extra: bytes, data: st.DataObject
) -> None:
    """Even a block author who commits to a malformed node gets nothing but an error."""
    trie = Trie(pairs.items(), version=version)
    key = data.draw(st.sampled_from(sorted(pairs)))
    nodes = trie.proof([key])
    root = next(node for node in nodes if blake(node) == trie.root)
    bad = mangle(root, at, cut, extra)
    with contextlib.suppress(ProofError):
        read_proof(blake(bad), [bad, *nodes], key)
