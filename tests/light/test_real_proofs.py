"""Read proofs of real chains: they hold, and no node can be left out or changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prbkit._native import core
from prbkit.errors import ProofError
from prbkit.light import Header, ProofReader, Trie, read_proof

from .data import load, unhex

PARA_1000 = (1000).to_bytes(4, "little")

Case = tuple[bytes, list[bytes], bytes, bytes | None]
"""(root, nodes, key, value) of a proof that is of one key."""


def case(item: Any, root: str | None = None) -> Case:
    value = None if item["value"] is None else unhex(item["value"])
    nodes = [unhex(node) for node in item["proof"]]
    return unhex(root or item["stateRoot"]), nodes, unhex(item["key"]), value


@pytest.fixture(scope="module")
def cases(data_dir: Path) -> list[Case]:
    folder = data_dir / "proofs"
    bridge = load(folder / "relay_to_para_polkadot_assethub.json")
    made = load(folder / "made_from_khala_genesis.json")
    return [
        case(load(folder / "polkadot_system_account.json")),
        case(load(folder / "moonbase_243221_events.json")),
        case(bridge["relay"]),
        case(bridge["para"]),
        *(case(item, made["stateRoot"]) for item in made["items"]),
    ]


def test_proofs_give_the_value(cases: list[Case]) -> None:
    assert len(cases) == 15
    for root, nodes, key, value in cases:
        assert read_proof(root, nodes, key) == value
        assert read_proof(root, nodes[::-1], key) == value


def test_no_node_may_be_missing(cases: list[Case]) -> None:
    for root, nodes, key, _ in cases:
        for i in range(len(nodes)):
            with pytest.raises(ProofError):
                read_proof(root, nodes[:i] + nodes[i + 1 :], key)


def test_no_byte_may_be_changed(cases: list[Case]) -> None:
    for root, nodes, key, _ in cases:
        for i, node in enumerate(nodes):
            for at in range(len(node)):
                changed = bytearray(node)
                changed[at] ^= 1 + (at * 7 + i) % 255
                with pytest.raises(ProofError):
                    read_proof(root, [*nodes[:i], bytes(changed), *nodes[i + 1 :]], key)


def test_no_node_may_be_cut_or_lengthened(cases: list[Case]) -> None:
    for root, nodes, key, _ in cases:
        for i, node in enumerate(nodes):
            for end in range(0, len(node), 1 + len(node) // 100):
                with pytest.raises(ProofError):
                    read_proof(root, [*nodes[:i], node[:end], *nodes[i + 1 :]], key)
            with pytest.raises(ProofError):
                read_proof(root, [*nodes[:i], node + b"\0", *nodes[i + 1 :]], key)


def test_a_key_outside_the_proof_is_an_error_and_not_absent(cases: list[Case]) -> None:
    for root, nodes, key, value in cases:
        if value is None:
            continue
        other = bytes([key[0] ^ 0x10]) + key[1:]
        try:
            found = read_proof(root, nodes, other)
        except ProofError:
            continue
        # Only a branch that the proof shows and that has no such child proves absence.
        assert found is None
        assert not any(read_or_none(r, n, other) for r, n, k, _ in cases if r == root)
    with pytest.raises(ProofError, match="the root node"):
        read_proof(bytes(32), cases[0][1], cases[0][2])


def read_or_none(root: bytes, nodes: list[bytes], key: bytes) -> bytes | None:
    try:
        return read_proof(root, nodes, key)
    except ProofError:
        return None


def test_prefix_scan(data_dir: Path) -> None:
    """One proof of 41 keys: without a node, or with one changed, some key cannot be read."""
    scan = load(data_dir / "proofs" / "prefix_scan_subset.json.gz")
    root, nodes = unhex(scan["stateRoot"]), [unhex(node) for node in scan["proof"]]
    entries = [(unhex(key), unhex(value)) for key, value in scan["entries"]]
    assert len(entries) == 41
    reader = ProofReader(root, nodes)
    assert [reader.get(key) for key, _ in entries] == [value for _, value in entries]
    for i, node in enumerate(nodes):
        changed = bytearray(node)
        changed[i * 31 % len(node)] ^= 1 << i % 8
        for instead in ([], [bytes(changed)]):
            reader = ProofReader(root, [*nodes[:i], *instead, *nodes[i + 1 :]])
            lost = 0
            for key, value in entries:
                try:
                    assert reader.get(key) == value
                except ProofError:
                    lost += 1
            assert lost


def test_the_whole_path_of_a_bridge(data_dir: Path) -> None:
    """From a relay state root to an account in the parachain."""
    path = load(data_dir / "proofs" / "relay_to_para_polkadot_assethub.json")
    root, nodes, key, _ = case(path["relay"])
    head = read_proof(root, nodes, key)
    assert head is not None
    walker = core.Walker(head)
    header = Header.decode(walker.blob())
    walker.done()
    assert header.scale == unhex(path["paraHeader"])
    assert header.hash == unhex(path["paraHeaderHash"])
    assert header.number == path["paraNumber"]
    assert key == core.twox_128(b"Paras") + core.twox_128(b"Heads") + (
        core.twox_64(PARA_1000) + PARA_1000
    )
    root, nodes, key, value = case(path["para"])
    assert root == header.state_root
    assert value is not None
    assert read_proof(header.state_root, nodes, key) == value
    # No step can be left out: the relay chain's root proves nothing of the parachain's state.
    with pytest.raises(ProofError):
        read_proof(unhex(path["relay"]["stateRoot"]), nodes, key)


def test_our_own_proofs_of_khala_genesis_are_those(data_dir: Path) -> None:
    top = load(data_dir / "chainspec" / "khala.json.gz")["genesis"]["raw"]["top"]
    trie = Trie([(unhex(key), unhex(value)) for key, value in top.items()])
    for item in load(data_dir / "proofs" / "made_from_khala_genesis.json")["items"]:
        assert trie.proof([unhex(item["key"])]) == [unhex(node) for node in item["proof"]]
